"""Registries: every transfer goes through skopeo, which knows mirrors, tokens and proxies."""

"""Words that logins, their files and helpers share in tests."""

from __future__ import annotations

import base64

HUB = "https://index.docker.io/v1/"
ACCEPTED = {"Status": "Login Succeeded", "IdentityToken": ""}
INSECURE = "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n"


def encoded(pair: str) -> str:
    """``user:password`` as config.json keeps it."""
    return base64.b64encode(pair.encode()).decode()

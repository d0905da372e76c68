"""The host: the only room that runs subprocesses, takes locks and asks what this host can do."""

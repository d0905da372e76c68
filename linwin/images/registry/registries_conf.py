"""What linwin itself reads of containers-registries.conf(5); the rest of it is skopeo's to read."""

from __future__ import annotations

import tomllib
from pathlib import Path

from linwin.errors import InvalidRequest

SYSTEM_CONF = Path("/etc/containers/registries.conf")
"""What skopeo reads when the root has no file of its own."""


def allows_plain_http(path: Path, registry: str) -> bool:
    """Whether ``insecure = true`` is set for a registry in ``path``, or else in the host's file.

    Raises InvalidRequest for a file that is not TOML.
    """
    used = path if path.exists() else SYSTEM_CONF
    try:
        with used.open("rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"cannot read {used}: {error}") from error
    entries = document.get("registry", [])
    return isinstance(entries, list) and any(
        isinstance(entry, dict)
        and entry.get("insecure") is True
        and registry in (entry.get("prefix"), entry.get("location"))
        for entry in entries
    )

"""docker's contexts: named daemons, kept by ``docker context create`` in the user's folder.

Each is ``contexts/meta/DIGEST/meta.json`` in ``~/.docker``, the digest being SHA-256 of its
name; what TLS needs is in ``contexts/tls/DIGEST/docker``. Read only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linwin.cli.docker_config import config_path, read_config, section
from linwin.client.http import default_host
from linwin.errors import InvalidRequest, LinwinError, NotFound

DEFAULT = "default"
"""The name of what is no context: the daemon that linwin talks to when nobody names one."""
_TLS_FILES = {"LINWIN_TLS_CACERT": "ca.pem", "LINWIN_TLS_CERT": "cert.pem", "LINWIN_TLS_KEY": "key.pem"}
IN_MEMORY = "<IN MEMORY>"


@dataclass(frozen=True)
class Context:
    """A named daemon. ``folder`` is where its certificates are, None for the default.

    One with an ``error`` cannot be talked to: it is only listed.
    """

    name: str
    host: str
    description: str = ""
    meta: Path | None = None
    folder: Path | None = None
    error: str = ""

    @property
    def tls_files(self) -> dict[str, Path]:
        """Those of its certificates that are there, by the variable that names them to the client."""
        if self.folder is None:
            return {}
        found = {variable: self.folder / "docker" / name for variable, name in _TLS_FILES.items()}
        return {variable: path for variable, path in found.items() if path.is_file()}


def find(name: str) -> Context:
    """The context ``name``. Raises NotFound, and InvalidRequest for one that names no docker daemon."""
    if name == DEFAULT:
        return Context(DEFAULT, default_host(), "Current LINWIN_HOST based configuration")
    path = _meta_of(name)
    if not path.is_file():
        raise NotFound(
            f'context "{name}": context not found: open {path}: no such file or directory',
            hint="See linwin context ls; make one with docker context create.",
        )
    return _read(path)


def all_contexts() -> list[Context]:
    """The default, and then docker's by name, also those that :func:`find` would refuse."""
    kept = sorted(map(_listed, _root("meta").glob("*/meta.json")), key=lambda context: context.name)
    return [find(DEFAULT), *kept]


def use(name: str) -> None:
    """Let the client talk to a context's daemon, with its certificates."""
    if name == DEFAULT:
        return
    context = find(name)
    os.environ["LINWIN_HOST"] = context.host
    if context.host.startswith("tcp://"):
        os.environ.update({variable: str(path) for variable, path in context.tls_files.items()})
        os.environ["LINWIN_TLS_VERIFY"] = "1"


def _root(kind: str) -> Path:
    return config_path().parent / "contexts" / kind


def _digest(name: str) -> str:
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()


def _meta_of(name: str) -> Path:
    return _root("meta") / _digest(name) / "meta.json"


def _listed(path: Path) -> Context:
    """What ``path`` holds, or what is wrong with it: one that is broken must not hide the others."""
    name = path.parent.name  # which is known of each
    try:
        content = read_config(path)
        name = _name(content, path)
        return _context(name, content, path)
    except LinwinError as error:
        return Context(name, "", error=error.message)


def _read(path: Path) -> Context:
    content = read_config(path)
    return _context(_name(content, path), content, path)


def _name(content: Mapping[str, Any], path: Path) -> str:
    name = content.get("Name")
    if not isinstance(name, str) or _digest(name) != path.parent.name:
        raise _no_context(path)
    return name


def _context(name: str, content: dict[str, Any], path: Path) -> Context:
    host = section(section(content, path, "Endpoints"), path, "docker").get("Host")
    if not isinstance(host, str):
        raise _no_context(path)
    return Context(name, host, _description(content, path), path.parent, _root("tls") / path.parent.name)


def _no_context(path: Path) -> InvalidRequest:
    return InvalidRequest(f"{path} is not a docker context", hint="Make it again with docker context create.")


def _description(content: Mapping[str, Any], path: Path) -> str:
    text = section(dict(content), path, "Metadata").get("Description")
    return text if isinstance(text, str) else ""

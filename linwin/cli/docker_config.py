"""docker's configuration file, which its users and other clients share: ``~/.docker/config.json``.

Only the keys about credentials are read (docker's reference, "docker CLI configuration file");
all others stay as they are when the file is written.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from linwin.errors import InvalidRequest, Unavailable

FOLDER = "DOCKER_CONFIG"


def config_path() -> Path:
    """``config.json`` in ``$DOCKER_CONFIG``, or in ``~/.docker``."""
    folder = os.environ.get(FOLDER)
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def read_config(path: Path) -> dict[str, Any]:
    """The file's content; empty when there is no file. Raises InvalidRequest for what is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}", hint=_ELSEWHERE) from error
    except UnicodeDecodeError as error:
        raise _malformed(path, "it is not UTF-8") from error
    try:
        content = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise _malformed(path, f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise _malformed(path, "it is nested too deeply") from error
    if not isinstance(content, dict):
        raise _malformed(path, "it is not a JSON object")
    return content


def section(content: dict[str, Any], path: Path, name: str) -> dict[str, Any]:
    """The object ``name`` of the file, empty when it is not there."""
    value = content.get(name)
    if value is not None and not isinstance(value, dict):
        raise _malformed(path, f'"{name}" is not a JSON object')
    return value or {}


@contextmanager
def edited_config(path: Path) -> Iterator[dict[str, Any]]:
    """The file's content to be changed; written when the block ends without an error.

    Two that edit at once take turns, and a reader sees the file before or
    after, never between. Raises Unavailable when it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        content = read_config(path)
        yield content
        _replace(path, json.dumps(content, indent="\t", ensure_ascii=False) + "\n")
    finally:
        os.close(folder)


def _replace(path: Path, text: str) -> None:
    """Write anew beside the file and rename, for the owner's eyes only. A link stays one."""
    target = Path(os.path.realpath(path))
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mode 0600
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


_ELSEWHERE = f"repair it, or name another folder with {FOLDER}"


def _malformed(path: Path, why: str) -> InvalidRequest:
    return InvalidRequest(f"cannot use docker's configuration file {path}: {why}", hint=_ELSEWHERE)


def _unwritable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(f"cannot write {path}: {error.strerror}", hint=_ELSEWHERE)

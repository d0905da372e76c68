"""The context of a build: which files of a folder the daemon gets, and how they travel.

docker's rules: what ``.dockerignore`` names stays here, but for the Dockerfile and
``.dockerignore`` itself; a Dockerfile that is not in the context goes along under a
random name, which ``.dockerignore`` then has too, so that COPY does not see it.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO

from linwin.cli.local_files import TarStream, streamed
from linwin.errors import InvalidRequest, Unavailable
from linwin.model.dockerignore import DockerIgnore

DOCKERFILE = "Dockerfile"
IGNORE = ".dockerignore"
STDIN = "-"
LARGEST_TEXT = 16 * 1024 * 1024
"""Bytes of a Dockerfile or ``.dockerignore``."""

_REMOTE = ("http://", "https://", "git://", "git@", "github.com/")
_LEAVE_OUT = f"Change that, or name it in {IGNORE}."


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or link that is sent: ``name`` is its path in the context, with slashes."""

    name: str
    path: str
    stat: os.stat_result


@dataclass(frozen=True, slots=True)
class Context:
    """What is sent of ``folder``: ``entries`` and, before them, ``texts`` by name.

    ``dockerfile`` is the name that the Dockerfile has among them.
    """

    folder: str
    dockerfile: str
    entries: tuple[Entry, ...]
    texts: dict[str, bytes] = field(default_factory=dict)

    def packed(self) -> AbstractContextManager[TarStream]:
        """All of it as a tar stream. Raises Unavailable for what cannot be read any more."""
        return streamed(self._fill, self.folder)

    def _fill(self, tar: tarfile.TarFile) -> None:
        for name, content in self.texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for entry in self.entries:
            _add(tar, entry)


def is_remote(source: str) -> bool:
    """Whether a context is an address, which the daemon fetches: docker's rules. A folder is none."""
    return source.startswith(_REMOTE) and not os.path.isdir(source)


def local_context(folder: str, dockerfile: str | None) -> Context:
    """What a folder has for a build, all of it looked at.

    ``dockerfile`` is what ``-f`` says, ``-`` for standard input. Raises InvalidRequest for what is
    no context, or cannot be read or sent.
    """
    root = _folder(folder)
    texts: dict[str, bytes] = {}
    kept: list[Entry] = []
    name = _dockerfile_name(root, dockerfile)
    ignore_path = _ignore_path(root, name, dockerfile)
    rules = _read(ignore_path) if ignore_path else b""
    if name is None:
        name = f".dockerfile.{uuid.uuid4().hex[:20]}"
        texts[name] = _standard_input() if dockerfile == STDIN else _read(str(dockerfile))
        texts[IGNORE] = rules + f"\n{name}\n".encode()
    else:
        kept = [_kept(root, os.path.join(root, name)), *([_kept(root, ignore_path)] if ignore_path else [])]
    sent = frozenset([*texts, *(entry.name for entry in kept)])
    entries = (*kept, *_walk(root, _ignore(rules, ignore_path), sent))
    return Context(root, name, entries, texts)


# ---- the Dockerfile, and what is ignored ------------------------------------------


def _folder(path: str) -> str:
    root = os.path.realpath(path)
    if not os.path.exists(root):
        raise InvalidRequest(f'unable to prepare context: path "{path}" not found')
    if not os.path.isdir(root):
        raise InvalidRequest(f"unable to prepare context: context must be a directory: {path}")
    return root


def _dockerfile_name(root: str, given: str | None) -> str | None:
    """The Dockerfile's path in the context; None for one that lies elsewhere."""
    if given == STDIN:
        return None
    if given is None:
        for name in (DOCKERFILE, DOCKERFILE.lower()):
            if os.path.lexists(os.path.join(root, name)):
                return name
        raise InvalidRequest(
            f"there is no {DOCKERFILE} in {root}",
            hint="Name another file or folder: linwin build -f FILE PATH",
        )
    folder, base = os.path.split(os.path.abspath(given))
    name = os.path.relpath(os.path.join(os.path.realpath(folder), base), root)
    return None if name == os.pardir or name.startswith(os.pardir + os.sep) else name


def _ignore_path(root: str, name: str | None, given: str | None) -> str | None:
    """The file with the rules: one of the Dockerfile's own (``FILE.dockerignore``) before the context's."""
    places = [os.path.join(root, IGNORE)]
    if given != STDIN:
        dockerfile = os.path.join(root, name) if name else os.path.abspath(str(given))
        places.insert(0, f"{dockerfile}{IGNORE}")
    return next((path for path in places if os.path.lexists(path)), None)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return _bounded(file, path)
    except OSError as error:
        raise InvalidRequest(f"cannot open {path}: {error.strerror}") from error


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        raise InvalidRequest(
            "build reads a Dockerfile from standard input", hint="linwin build -f - . < FILE"
        )
    return _bounded(sys.stdin.buffer, "the Dockerfile on standard input")


def _bounded(file: BinaryIO, what: str) -> bytes:
    content = file.read(LARGEST_TEXT + 1)
    if len(content) > LARGEST_TEXT:
        raise InvalidRequest(f"{what} is larger than {LARGEST_TEXT} bytes")
    return content


def _ignore(rules: bytes, path: str | None) -> DockerIgnore:
    try:
        return DockerIgnore(rules.decode())
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is not UTF-8", hint="Write it in that encoding.") from error
    except ValueError as error:
        raise InvalidRequest(f"cannot use {path}: {error}", hint="Correct that line.") from error


# ---- the files -----------------------------------------------------------------------


def _kept(root: str, path: str) -> Entry:
    """A file that is sent whatever the rules say, with the content of what it leads to if it is a link."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise InvalidRequest(f"cannot open {path}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise InvalidRequest(f"{path} is not a regular file")
    if not os.access(path, os.R_OK):
        raise InvalidRequest(f"no permission to read from {path}")
    return Entry(os.path.relpath(path, root), os.path.realpath(path), status)


def _walk(root: str, ignore: DockerIgnore, sent: frozenset[str]) -> Iterator[Entry]:
    """What is not ignored, folders before what is in them, without what is ``sent`` already."""
    waiting = [("", root, ignore.root)]
    while waiting:
        prefix, folder, parent = waiting.pop()
        below = []
        for found in _listed(folder):
            name = prefix + found.name
            status = found.stat(follow_symlinks=False)
            verdict = ignore.judge(name, parent)
            if stat.S_ISDIR(status.st_mode) and not (verdict.excluded and not ignore.may_keep_in(name)):
                below.append((f"{name}/", found.path, verdict))
            if not verdict.excluded and name not in sent and _is_sent(found.path, status):
                _check_name(name)
                yield Entry(name, found.path, status)
        waiting += reversed(below)


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda one: one.name)
    except PermissionError as error:
        raise _unreadable(folder) from error
    except OSError as error:
        raise Unavailable(f"cannot read {folder}: {error.strerror}") from error


def _is_sent(path: str, status: os.stat_result) -> bool:
    """Sockets and pipes are nothing to send. Raises InvalidRequest for what cannot be sent, and is wanted."""
    kind = stat.S_IFMT(status.st_mode)
    if kind in (stat.S_IFSOCK, stat.S_IFIFO):
        return False
    if kind in (stat.S_IFBLK, stat.S_IFCHR):
        raise InvalidRequest(f"{path} is a device, which Windows cannot have as a file", hint=_LEAVE_OUT)
    if kind == stat.S_IFREG and not os.access(path, os.R_OK):
        raise _unreadable(path)
    return True


def _unreadable(path: str) -> InvalidRequest:
    return InvalidRequest(f"no permission to read from {path}", hint=_LEAVE_OUT)


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode("utf-8", "backslashreplace").decode()
        raise InvalidRequest(
            f"the name of {shown} is not UTF-8, and Windows has no other", hint=_LEAVE_OUT
        ) from error


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    """Write a member: nobody's, and of whole seconds, as docker's client does."""
    member = tarfile.TarInfo(entry.name)
    member.mode = stat.S_IMODE(entry.stat.st_mode) & 0o777
    member.mtime = max(0, int(entry.stat.st_mtime))
    if stat.S_ISDIR(entry.stat.st_mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(entry.stat.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(entry.path)
    else:
        _add_file(tar, member, entry.path)
        return
    tar.addfile(member)


def _add_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    # What has become a pipe or a link meanwhile is neither waited for nor followed.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unavailable(f"cannot read {path}: it is no file any more")
        member.size, member.mtime = status.st_size, max(0, int(status.st_mtime))
        try:
            tar.addfile(member, file)
        except OSError as error:  # one that has shrunk
            if error.errno is not None:
                raise
            raise Unavailable(f"cannot read {path}: {error}") from error

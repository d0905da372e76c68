"""Local files as tar streams: packed for a container, and unpacked from one."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import IO, Any

from linwin.cli.copy_rules import Source, Target, renamed
from linwin.errors import InvalidRequest, LinwinError, Unavailable

MOST_LINKS = 10
PIECE = 1 << 20


def absolute(path: str) -> str:
    """The path from the root, with the slash or dot at its end that it was written with."""
    whole = os.path.abspath(path)
    if path.endswith(("/.", "/")) or path in (".", ""):
        return os.path.join(whole, "." if path.rstrip("/").endswith(".") and not path.endswith("/") else "")
    return whole


def source(path: str, *, follow: bool) -> tuple[str, Source]:
    """A local source: where it lies, and what it is. Raises InvalidRequest in docker's words."""
    whole = absolute(path)
    shown = whole.removesuffix("/.").rstrip("/") or "/"
    try:
        found = os.stat(whole) if follow else os.lstat(whole)
    except OSError as error:
        raise InvalidRequest(f"lstat {whole}: {(error.strerror or '').lower()}") from error
    name = "." if whole.endswith("/.") else os.path.basename(shown) or "/"
    return whole, Source(name, stat.S_ISDIR(found.st_mode))


def target(path: str) -> Target:
    """A local target, its links followed. Raises InvalidRequest in docker's words."""
    whole = absolute(path)
    says_folder = whole.endswith(("/", "/."))
    at = whole.removesuffix("/.").rstrip("/") or "/"
    for _ in range(MOST_LINKS):
        if not os.path.islink(at):
            break
        at = os.path.join(os.path.dirname(at), os.readlink(at))
    else:
        raise InvalidRequest(f"too many symlinks in {path}")
    parent = os.path.dirname(at)
    if not os.path.isdir(parent):
        if os.path.exists(parent):
            raise InvalidRequest("not a directory", hint=f"{parent} is a file.")
        raise InvalidRequest(f'invalid output path: directory "{parent}" does not exist')
    exists = os.path.exists(at)
    if exists and not os.path.isdir(at) and not os.path.isfile(at):
        raise InvalidRequest(f'invalid output path: "{at}" must be a directory or a regular file')
    return Target(at, parent, os.path.basename(at), exists, os.path.isdir(at), says_folder)


# ---- packing --------------------------------------------------------------------


def packed(path: str, name: str, *, follow: bool) -> AbstractContextManager[TarStream]:
    """A tar stream of a file or folder whose first member is called ``name``."""
    real = os.path.realpath(path) if follow else path
    return streamed(lambda tar: tar.add(real, name, filter=packable), real)


@contextmanager
def streamed(fill: Callable[[tarfile.TarFile], None], what: str) -> Iterator[TarStream]:
    """A tar stream of what ``fill`` adds to it, while it does; ``what`` names it in an error without a name.

    Raises Unavailable for what could not be read, where the archive's end is looked for and in the end.
    """
    reading, writing = os.pipe()
    packer = Packer(fill, what, writing)
    packer.start()
    try:
        with os.fdopen(reading, "rb") as pipe:
            yield TarStream(pipe, packer)
    except LinwinError:
        packer.raise_failure()  # what the daemon says of a stream that broke off is no news
        raise
    packer.raise_failure()


class Packer(threading.Thread):
    """Writes the archive into a pipe."""

    def __init__(self, fill: Callable[[tarfile.TarFile], None], what: str, descriptor: int) -> None:
        super().__init__(name="packer", daemon=True)
        self._fill, self._what, self._descriptor = fill, what, descriptor
        self._failure: LinwinError | None = None

    def run(self) -> None:
        try:
            # Its end is not written when it fails: what broke off must not look whole.
            with (
                os.fdopen(self._descriptor, "wb") as pipe,
                tarfile.open(fileobj=pipe, mode="w|", format=tarfile.PAX_FORMAT) as tar,
            ):
                self._fill(tar)
        except BrokenPipeError:
            return  # the daemon has said why it takes no more
        except LinwinError as error:
            self._failure = error
        except OSError as error:
            self._failure = Unavailable(
                f"cannot read {error.filename or self._what}: {error.strerror or error}"
            )

    def raise_failure(self) -> None:
        """Raise what went wrong, once it has ended."""
        self.join()
        if self._failure is not None:
            raise self._failure from None


class TarStream:
    """The reading end. An archive that broke off has no end: looking for it raises the reason."""

    def __init__(self, pipe: IO[bytes], packer: Packer) -> None:
        self._pipe, self._packer = pipe, packer

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes, all that are left by default; fewer at the end."""
        return self._checked(self._pipe.read(size))

    def read1(self, size: int = PIECE) -> bytes:
        """Bytes as they come, at most ``size``; empty at the end."""
        return self._checked(self._pipe.read1(size))  # type: ignore[attr-defined]

    def _checked(self, data: bytes) -> bytes:
        if not data:
            self._packer.raise_failure()
        return data


def packable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """All but devices, pipes and sockets, which Windows does not have."""
    return member if member.isfile() or member.isdir() or member.issym() or member.islnk() else None


# ---- unpacking --------------------------------------------------------------------


def unpack(stream: Any, folder: str, old: str, new: str) -> None:
    """Unpack below ``folder`` an archive whose first member is called ``old``, as ``new``.

    Nothing else is touched: a folder beside it is its user's, whatever the daemon sends.
    Raises InvalidRequest, in docker's words for what is there already and may not be replaced.
    """
    root = os.path.realpath(folder)
    top = os.path.normpath(os.path.join(root, new.lstrip("/")))
    folders: list[tuple[str, float]] = []
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                path = os.path.normpath(os.path.join(root, renamed(member.name, old, new).lstrip("/")))
                check_inside(top, path, member.name)
                put(tar, member, root, path)
                if member.isdir():
                    folders.append((path, member.mtime))
        for path, modified in reversed(folders):
            os.utime(path, (modified, modified))
    except tarfile.TarError as error:
        raise Unavailable(f"the daemon's archive broke off or is damaged: {error}") from error
    except OSError as error:
        raise Unavailable(f"cannot write {error.filename or folder}: {error.strerror}") from error
    except (ValueError, OverflowError) as error:  # names and times that no file here can have
        raise InvalidRequest(f"the daemon's archive holds what cannot be written here: {error}") from error


def check_inside(top: str, path: str, name: str) -> None:
    """Refuse what leads out of what is unpacked, also by way of links that came before."""
    inside = os.path.join(os.path.realpath(os.path.dirname(path)), "")
    if path != top and not inside.startswith(os.path.join(top, "")):
        raise InvalidRequest(f'"{name}" is outside of "{top}"')


def put(tar: tarfile.TarFile, member: tarfile.TarInfo, root: str, path: str) -> None:
    is_folder = os.path.isdir(path) and not os.path.islink(path)
    if is_folder and not member.isdir():
        raise InvalidRequest(f'cannot overwrite directory "{path}" with non-directory "{root}"')
    if not is_folder and member.isdir() and os.path.lexists(path):
        raise InvalidRequest(f'cannot overwrite non-directory "{path}" with directory "{root}"')
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if member.isdir():
        os.makedirs(path, exist_ok=True)
        return
    with suppress(FileNotFoundError):
        os.unlink(path)
    if member.issym():
        link(member, root, path)
    elif member.isfile() and (content := tar.extractfile(member)) is not None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o777 | 0o200)
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(content, file, PIECE)
        os.chmod(path, member.mode & 0o777)
        os.utime(path, (member.mtime, member.mtime))


def link(member: tarfile.TarInfo, root: str, path: str) -> None:
    """docker makes no link that leads out; an absolute one counts from where it is unpacked."""
    leads = os.path.normpath(os.path.join(os.path.dirname(path), member.linkname.lstrip("/")))
    if not os.path.join(leads, "").startswith(os.path.join(root, "")):
        raise InvalidRequest(f'invalid symlink "{path}" -> "{member.linkname}"')
    os.symlink(member.linkname, path)

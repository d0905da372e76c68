"""The outer tar of an image archive: an index of its members, read in any order.

Nothing is extracted to a path. Python's tarfile reads the headers through a
file that bounds what a lying header can make it read; data is read here, from
the offsets the headers told.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from linwin.errors import InvalidRequest, Unavailable
from linwin.images.compression import Reader, decompressed, decompressing, detect
from linwin.images.documents import MAXIMUM_BYTES
from linwin.images.durable import storing

_CHUNK = 1 << 20
_MAXIMUM_MEMBERS = 65_536
_MAXIMUM_HEADER = 1 << 20
_MAXIMUM_HEADERS = 128 << 20
_MAXIMUM_LINKS = 16
_MAXIMUM_DOCUMENTS = 64 << 20
_SIGN_OF_TRUNCATION = "The archive may have been cut off; write or copy it again."


@dataclass(frozen=True, slots=True)
class Member:
    """Where one file's bytes lie in the archive."""

    name: str
    offset: int
    size: int


class TarArchive:
    """An open archive. Names are normalised: ``/`` separators, no leading ``./``."""

    label = "the archive"
    """How messages call it: the file that a daemon reads has no name its user would know."""

    def __init__(self, file: IO[bytes]) -> None:
        self._descriptor = file.fileno()
        self._files: dict[str, Member] = {}
        self._links: dict[str, str] = {}
        self._documents_left = _MAXIMUM_DOCUMENTS
        self._index(file)

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def find(self, name: str) -> Member | None:
        """The file called ``name``, through the links that point at it."""
        name = _normal(name)
        for _ in range(_MAXIMUM_LINKS):
            if name not in self._links:
                return self._files.get(name)
            name = self._links[name]
        raise InvalidRequest(f"{self.label} is malformed: the links at {name} lead in a circle")

    def read(self, name: str) -> bytes:
        """The whole of a small document. Raises InvalidRequest when absent or too large."""
        member = self.require(name)
        if member.size > MAXIMUM_BYTES:
            raise InvalidRequest(f"{name} in {self.label} is larger than {MAXIMUM_BYTES} bytes")
        self._documents_left -= member.size
        if self._documents_left < 0:
            raise InvalidRequest(f"{self.label} holds more than {_MAXIMUM_DOCUMENTS} bytes of documents")
        reader = self.open(member)
        return b"".join(iter(lambda: reader.read(_CHUNK), b""))

    def require(self, name: str) -> Member:
        member = self.find(name)
        if member is None:
            raise InvalidRequest(f"{self.label} lacks {name}", hint=_SIGN_OF_TRUNCATION)
        return member

    def open(self, member: Member) -> MemberReader:
        return MemberReader(self._descriptor, member)

    def _index(self, file: IO[bytes]) -> None:
        end = os.fstat(self._descriptor).st_size
        try:
            bounded = _BoundedFile(file)
            with tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r:") as tar:
                for _ in range(_MAXIMUM_MEMBERS):
                    header = tar.next()
                    if header is None:
                        return
                    self._add(header, end)
                    bounded.allow_next()
                    # Or tarfile keeps all that every header said.
                    tar.members.clear()  # type: ignore[attr-defined]
        except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
            raise InvalidRequest(f"{self.label} is not a whole tar archive: {error}") from error
        raise InvalidRequest(f"{self.label} has more than {_MAXIMUM_MEMBERS} members")

    def _add(self, header: tarfile.TarInfo, end: int) -> None:
        name = _normal(header.name)
        if header.isreg() and not header.issparse():
            if header.size < 0 or header.offset_data + header.size > end:
                raise InvalidRequest(
                    f"{self.label} ends within its member {header.name}", hint=_SIGN_OF_TRUNCATION
                )
            self._links.pop(name, None)
            self._files[name] = Member(header.name, header.offset_data, header.size)
        elif header.issym():
            self._links[name] = _normal(posixpath.join(posixpath.dirname(name), header.linkname))
        elif header.islnk():
            self._links[name] = _normal(header.linkname)


class MemberReader:
    """Reads one member. Raises InvalidRequest when the archive shrinks under it."""

    def __init__(self, descriptor: int, member: Member) -> None:
        self._descriptor = descriptor
        self._member = member
        self._position = 0

    def read(self, size: int, /) -> bytes:
        wanted = min(size, self._member.size - self._position)
        if wanted <= 0:
            return b""
        try:
            data = os.pread(self._descriptor, wanted, self._member.offset + self._position)
        except OSError as error:
            raise InvalidRequest(f"cannot read {self._member.name}: {error.strerror}") from error
        if not data:
            raise InvalidRequest(f"the archive ends within {self._member.name}", hint=_SIGN_OF_TRUNCATION)
        self._position += len(data)
        return data


@contextmanager
def open_archive(path: Path, scratch: Path, breathe: Callable[[], None]) -> Iterator[TarArchive]:
    """Open an archive, plain or compressed with gzip, zstd or xz.

    A compressed one is unpacked into a nameless file in ``scratch`` first, for
    its members are read in another order than they lie in. ``breathe`` is
    called between chunks and may raise to stop the work.

    Raises InvalidRequest for a file that cannot be read as an archive,
    Unavailable for a full disk and for an archive that would fill it.
    """
    with _opened(path) as file:
        compression = detect(file.read(8))
        file.seek(0)
        if compression is None:
            yield TarArchive(file)
            return
        with storing(TarArchive.label):
            plain = tempfile.TemporaryFile(buffering=0, dir=scratch)  # noqa: SIM115 - closed by the next line
        with plain:
            _unpack(decompressed(file, compression), plain, shutil.disk_usage(scratch).free, breathe)
            plain.seek(0)
            yield TarArchive(plain)


def _unpack(reader: Reader, plain: IO[bytes], free: int, breathe: Callable[[], None]) -> None:
    """Write what a compressed archive stands for, as long as it leaves as much space for its blobs.

    A few bytes can stand for any number of them, and a disk that is full stops
    more than this load.
    """
    label, left = TarArchive.label, free // 2
    while True:
        breathe()
        with decompressing(label):
            data = reader.read(_CHUNK)
        if not data:
            return
        left -= len(data)
        if left < 0:
            raise Unavailable(
                f"{label} expands to more than half of the {free} bytes that are free",
                hint="While it is loaded it is there twice. Free some space, or remove images with: "
                "linwin rmi IMAGE",
            )
        with storing(label):
            view = memoryview(data)
            while view:
                view = view[plain.write(view) :]


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise InvalidRequest(f"cannot open archive {path.name}: {error.strerror}") from error


def _normal(name: str) -> str:
    # Docker on Windows has written backslashes into names.
    return posixpath.normpath(name.replace("\\", "/")).lstrip("/")


class _BoundedFile:
    """What tarfile may read of the archive: no more, for a member and in all, than headers need."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = _MAXIMUM_HEADERS
        self._left_of_member = _MAXIMUM_HEADER

    def allow_next(self) -> None:
        self._left_of_member = _MAXIMUM_HEADER

    def read(self, size: int) -> bytes:
        self._left -= size
        self._left_of_member -= size
        if self._left_of_member < 0:
            raise tarfile.ReadError(f"a member has more than {_MAXIMUM_HEADER} bytes of headers")
        if self._left < 0:
            raise tarfile.ReadError(f"it has more than {_MAXIMUM_HEADERS} bytes of headers")
        return self._file.read(size)

    def seek(self, position: int) -> int:
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()

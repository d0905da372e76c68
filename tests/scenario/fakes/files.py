"""The files of a container whose disk is a tar archive; names are matched as Windows matches them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import InvalidRequest, NotFound
from linwin.model.files import FileStat, VolumePath, follow, parse_entry

PIECE = 1000


@dataclass
class FakeFile:
    """``content`` is None for a folder; ``link`` a link's target."""

    parts: tuple[str, ...]
    content: bytes | None
    link: str = ""
    modified: int = 0


class FakeFiles:
    """Implements :class:`linwin.engine.interfaces.Files`.

    ``open_in_a_guest`` takes only what the disks' room has made plain. ``below`` are the files of
    a chain, which has no overlay. ``times`` are when files were changed, in ns: no disk keeps them.
    """

    def __init__(
        self,
        overlay: Path,
        *,
        open_in_a_guest: bool = False,
        below: dict[tuple[str, ...], FakeFile] | None = None,
        times: dict[tuple[str, ...], int] | None = None,
    ) -> None:
        self._overlay = overlay
        self._below = below
        self._plain = open_in_a_guest
        self._times = {} if times is None else times

    async def stat(self, path: VolumePath) -> FileStat:
        found = self._find(self._load(), path)
        return FileStat(
            len(found.content or b""),
            found.content is None,
            is_read_only=False,
            modified=self._times.get(folded(found.parts), 0),
            link=found.link,
        )

    async def read(self, path: VolumePath) -> AsyncGenerator[bytes, None]:
        files = self._load()
        root = self._find(files, path)
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w") as tar:
            for found in sorted(files.values(), key=lambda file: file.parts):
                if found.parts[: len(root.parts)] == root.parts:
                    below = found.parts[len(root.parts) :]
                    put(tar, "/".join((path.base.rstrip("/"), *below)) or "/", found)
        data = target.getvalue()
        for at in range(0, len(data), PIECE):
            yield data[at : at + PIECE]

    async def names(self, path: VolumePath) -> list[tuple[str, bool]]:
        files = self._load()
        folder = self._find(files, path)
        inside = [file for file in files.values() if file.parts and file.parts[:-1] == folder.parts]
        return sorted((file.parts[-1], file.content is None) for file in inside)

    async def write(self, path: VolumePath, archive: Path, *, keep_kinds: bool) -> None:
        files = self._load()
        into = self._find(files, VolumePath(path.parts, is_folder=True, base=""))
        members = read_members(archive)
        assert not self._plain or archive.name == "plain.tar", "a guest was given what a client sent"
        for member in members:
            if not member.parts:
                continue
            member.parts = into.parts + member.parts
            there = files.get(folded(member.parts))
            if keep_kinds and there and (there.content is None) != (member.content is None):
                raise InvalidRequest(f"cannot overwrite {there.parts[-1]}")
            files[folded(member.parts)] = member
            self._times[folded(member.parts)] = member.modified * 10**9
        with tarfile.open(self._overlay, "w") as tar:
            for file in files.values():
                if file.parts:
                    put(tar, "/".join(file.parts), file)

    def _load(self) -> dict[tuple[str, ...], FakeFile]:
        own = read_members(self._overlay) if self._below is None else self._below.values()
        above = [FakeFile(file.parts[:end], None) for file in own for end in range(1, len(file.parts))]
        files = [FakeFile((), None), FakeFile(("Windows",), None), *above, *own]
        return {folded(file.parts): file for file in files}

    def _find(self, files: dict[tuple[str, ...], FakeFile], path: VolumePath) -> FakeFile:
        found = files.get(folded(path.parts))
        if found is not None and found.link and path.is_folder:
            found = files.get(folded(follow(found.link, found.parts[:-1])))
        if found is None or (path.is_folder and found.content is not None):
            raise NotFound("no such file")
        return found


def folded(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.lower() for part in parts)


def put(tar: tarfile.TarFile, name: str, file: FakeFile, modified: int = 0) -> None:
    info = tarfile.TarInfo(name)
    info.mtime = modified
    if file.link:
        info.type, info.linkname = tarfile.SYMTYPE, file.link
    elif file.content is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    else:
        info.size = len(file.content)
    tar.addfile(info, io.BytesIO(file.content or b""))


def read_members(archive: Path) -> list[FakeFile]:
    files = []
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                data = tar.extractfile(member).read() if member.isfile() else None  # type: ignore[union-attr]
                link = member.linkname if member.issym() else ""
                files.append(
                    FakeFile(parse_entry(member.name), b"" if link else data, link, int(member.mtime))
                )
    except (tarfile.TarError, ValueError) as error:
        raise InvalidRequest(f"the archive: {error}") from error
    return files


def write_members(archive: Path, files: Iterable[FakeFile]) -> None:
    """Write an archive of files, the same bytes for the same files."""
    with tarfile.open(archive, "w") as tar:
        for file in sorted(files, key=lambda file: file.parts):
            put(tar, "/".join(file.parts), file)


def make_plain(archive: Path, output: Path) -> None:
    with tarfile.open(output, "w") as tar:
        for file in read_members(archive):
            put(tar, "/".join(file.parts), file, file.modified)

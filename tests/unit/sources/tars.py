"""Contexts as tars, and what a pack of them is to whoever unpacks it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from linwin.layers import EPOCH, AlternateStream, Directory, File, HardLink, ReparsePoint
from linwin.layers.copied import read_copy
from linwin.layers.reparse import link_of
from linwin.model.build import FromContext, Packed
from linwin.sources.context import Context

TIME = 1_600_000_000
"""Seconds since 1970: what is in these contexts is that old."""
FILETIME = TIME * 10**7 + EPOCH


def member(
    name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", time: float = TIME
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime = kind, link, time
    return info


def tar_of(
    files: Mapping[str, bytes | str | None], more: Iterable[tarfile.TarInfo] = (), mode: str = "w"
) -> bytes:
    """A tar of files by name; text is written as UTF-8, and None is a folder. ``more`` is put behind."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode=mode, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            if content is None:
                tar.addfile(member(name, tarfile.DIRTYPE))
                continue
            data = content.encode() if isinstance(content, str) else content
            info = member(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in more:
            tar.addfile(info)
    return written.getvalue()


def opened(folder: Path, body: bytes) -> Context:
    """The context that a request's body is."""
    (folder / "body").write_bytes(body)
    return Context.open(folder / "body", folder / "spool")


def context_of(
    folder: Path, files: Mapping[str, bytes | str | None], more: Iterable[tarfile.TarInfo] = ()
) -> Context:
    return opened(folder, tar_of(files, more))


@dataclass(frozen=True)
class Unpacked:
    """What lies somewhere on C: ``what`` is a file's bytes, a link's target, or what else it is."""

    what: bytes | str
    time: int = FILETIME
    attributes: int = 0x20


def folder(time: int = FILETIME) -> Unpacked:
    return Unpacked("a folder", time, 0x10)


def unpacked(archive: Path) -> dict[str, Unpacked]:
    """What linwin's own reader makes of a pack, by path, in its order."""
    found: dict[str, Unpacked] = {}
    for entry in read_copy(archive, (), limit=1 << 30):
        match entry:
            case File(path, metadata, size, content):
                data = b""
                while piece := content.read(1 << 16):
                    data += piece
                assert len(data) == size
                found[path] = Unpacked(data, metadata.modified, metadata.attributes)
            case Directory(path, metadata):
                found[path] = folder(metadata.modified)
            case ReparsePoint(path, metadata, data):
                link = link_of(data)
                assert link is not None
                found[path] = Unpacked(link[0], metadata.modified, metadata.attributes)
            case HardLink(path, target):
                found[path] = Unpacked(f"a hard link to {target}")
            case AlternateStream(path, stream):
                data = b""
                while piece := entry.content.read(1 << 16):
                    data += piece
                found[f"{path}:{stream}"] = Unpacked(data)
    return found


def packed(context: Context, folder: Path, *items: Packed) -> dict[str, Unpacked]:
    context.pack(items, folder / "packed.tar")
    return unpacked(folder / "packed.tar")


def copied(context: Context, folder: Path, source: str = "", target: str = "") -> dict[str, Unpacked]:
    """All that is copied of a file or folder of the context."""
    return packed(context, folder, FromContext(source, target))

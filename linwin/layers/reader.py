"""Reads one layer: blob → entries, everything checked."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from linwin.errors import InvalidRequest, Unavailable
from linwin.layers.decode import entry_of
from linwin.layers.entries import Entry
from linwin.layers.errors import Malformed
from linwin.layers.names import Area
from linwin.layers.stream import LayerStream
from linwin.layers.tar import TarReader

DAMAGED = "the image is damaged or was not made for Windows; build or fetch it again"


def read_layer(
    blob: Path,
    diff_id: str,
    *,
    limit: int,
    area: Area = Area.FILES,
    progress: Callable[[int], None] = lambda _: None,
) -> Generator[Entry, None, None]:
    """Yield the entries of the layer stored in ``blob`` that are about ``area``.

    The blob may be a plain, gzip or zstd tar, of at most ``limit`` bytes when
    expanded. An entry's content is readable until the next one is asked for.
    The iteration only ends without an error when the whole stream, trailing
    bytes included, has the digest ``diff_id``: what was done on the way is
    worth nothing before that. ``progress`` is told how many bytes of the blob
    have been used, about once a MiB.

    Raises InvalidRequest, naming layer and entry, and Unavailable when the blob
    cannot be read.
    """
    reading = Reading(f"layer {short(diff_id)}", DAMAGED)
    with reading.translated(), LayerStream(blob, limit=limit, progress=progress) as stream:
        archive = reading.archive = TarReader(stream.read)
        for member in archive:
            entry = entry_of(member, reading, area)
            if entry is not None:
                yield entry
        reading.archive = None
        stream.drain()
        if stream.digest != diff_id:
            raise Malformed(f"its content has the digest {stream.digest}, not {diff_id}")


class Reading:
    """How far the reading of one archive has come; as a Content, the entry's that it has come to.

    ``what`` names the archive for an error's reader, ``hint`` says what to do about a damaged one.
    """

    def __init__(self, what: str, hint: str) -> None:
        self._what = what
        self._hint = hint
        self.archive: TarReader | None = None

    def read(self, size: int) -> bytes:
        assert self.archive is not None
        with self.translated():
            return self.archive.read(size)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Say of what goes wrong in which archive and entry it did."""
        try:
            yield
        except Malformed as error:
            raise InvalidRequest(f"{self._what}{self._place()}: {error}", hint=self._hint) from error
        except OSError as error:
            raise Unavailable(f"{self._what} cannot be read: {error.strerror}") from error

    def _place(self) -> str:
        archive = self.archive
        if archive is not None and archive.name is not None:
            return f", entry {quoted(archive.name)}"
        if archive is not None and archive.previous is not None:
            return f", behind entry {quoted(archive.previous)}"
        return ""


def short(digest: str) -> str:
    """Twelve digits of a digest, as docker shows layers."""
    return digest.removeprefix("sha256:")[:12]


def quoted(name: str) -> str:
    """An entry's name for an error's reader: printable, and of bounded length."""
    shown = name if len(name) <= 200 else name[:200] + "…"
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown) + '"'

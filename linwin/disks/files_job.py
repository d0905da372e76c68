"""What the daemon and the process that copies files say to each other.

The job is a line of JSON on its stdin. On its stdout come messages, each behind
a header of its kind and length: bytes of an archive, and JSON.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from linwin import errors
from linwin.errors import Internal, LinwinError, Unavailable
from linwin.model.files import Change, FileStat, VolumePath
from linwin.model.layer import WrittenLayer

HEADER = struct.Struct(">cI")
DATA, STAT, WRITTEN, DONE, ERROR = b"d", b"s", b"w", b"e", b"x"
LARGEST = 2 << 20
"""Bytes of one message: a piece of an archive, or a header with all that a file may have."""
ESCAPED = 12
"""Bytes that JSON has for a character at most: two escapes of its surrogates."""
MOST_PATHS = 128 << 20
"""Characters of all paths of what changed, which the daemon has in memory: some million files."""
TOO_MANY = "more of the container's files changed than can be told"

Verb = Literal["stat", "read", "names", "write", "flatten", "changes", "layer"]


@dataclass(frozen=True, slots=True)
class FilesJob:
    """Do ``verb`` with what lies at ``path`` on ``disk``.

    *stat*, *read* and *names* look at a disk as it is. *write* unpacks ``archive`` into
    the folder at ``path``, on a disk that is thrown away unless it succeeds and
    stands on ``backing``. *flatten* needs no disk: it checks ``archive`` and
    writes it to ``output`` as a plain tar of canonical names. *changes* compares ``disk``
    with its ``backing``; ``written`` are the parts, start and length in bytes, that it
    holds itself. *layer* compares them too, and writes what differs to ``output`` as the layer
    of an image for templates of ``kind``, with no time later than ``latest``, in nanoseconds
    since 1970. ``offset`` is where
    C: begins, in bytes, ``run_dir`` a private folder, ``parent`` the process to
    die with, ``limit`` how many bytes an archive may expand to.
    """

    verb: Verb
    run_dir: str
    parent: int
    path: VolumePath
    disk: str = ""
    backing: str = ""
    offset: int = 0
    archive: str = ""
    output: str = ""
    keep_kinds: bool = False
    limit: int = 0
    written: tuple[tuple[int, int], ...] = ()
    kind: str = ""
    latest: int | None = None

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> FilesJob:
        fields = json.loads(line)
        path = fields.pop("path")
        return cls(**fields, path=VolumePath(tuple(path["parts"]), path["is_folder"], path["base"]))


def message(kind: bytes, payload: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


def of_stat(stat: FileStat) -> bytes:
    return message(STAT, json.dumps(asdict(stat)).encode())


def of_error(error: LinwinError) -> bytes:
    fields = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    return message(ERROR, json.dumps(fields).encode())


def of_layer(layer: WrittenLayer) -> bytes:
    return message(WRITTEN, json.dumps(asdict(layer)).encode())


def of_changes(changes: Iterable[Change]) -> Iterator[bytes]:
    """Raises Unavailable where they are too many."""
    return of_rows(((change.path, change.kind) for change in changes), TOO_MANY)


def of_names(names: Iterable[tuple[str, bool]]) -> Iterator[bytes]:
    """Raises Unavailable where they are too many."""
    return of_rows(names, "the folder has more names than can be told")


def of_rows(rows: Iterable[tuple[str, str | bool]], too_many: str) -> Iterator[bytes]:
    """Messages of paths or names, and what is said of each."""
    some: list[tuple[str, str | bool]] = []
    size = characters = 0
    for text, about in rows:
        most = ESCAPED * len(text) + len(f'["", "{about}"], ')
        characters += len(text)
        if characters > MOST_PATHS:
            raise Unavailable(too_many, hint="copy out of it what you need: linwin cp")
        if size + most > LARGEST // 2:
            yield message(DATA, json.dumps(some).encode())
            some, size = [], 0
        some.append((text, about))
        size += most
    if some:
        yield message(DATA, json.dumps(some).encode())


def changes_in(payload: bytes) -> list[Change]:
    return [Change(kind, path) for path, kind in json.loads(payload)]


def names_in(payload: bytes) -> list[tuple[str, bool]]:
    return [(name, is_folder) for name, is_folder in json.loads(payload)]


def layer_in(payload: bytes) -> WrittenLayer:
    return WrittenLayer(**json.loads(payload))


def stat_in(payload: bytes) -> FileStat:
    return FileStat(**json.loads(payload))


def error_in(payload: bytes) -> LinwinError:
    value: dict[str, Any] = json.loads(payload)
    kind = getattr(errors, value["error"], Internal)
    error: LinwinError = kind(value["message"], hint=value["hint"])
    return error

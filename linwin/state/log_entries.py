"""One line of a log in docker's json-file form, written and read.

    {"log":"text of one line\\n","stream":"stdout","time":"2026-01-02T03:04:05.000000006Z"}

Docker's own writer replaces bytes that are not UTF-8; here such a line carries
its exact bytes as well, base64 in ``raw``, so that the log is lossless. A line
that a process printed in pieces is logged in pieces: only the last ends in a
newline, and readers that put the ``log`` texts together see it whole.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring
from pathlib import Path

from linwin.errors import Internal
from linwin.model.container import LogRecord
from linwin.model.guest import StreamName


def split(data: bytes) -> list[bytes]:
    """Lines with their newlines; the last may have none."""
    *whole, rest = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def tail_of(stream: StreamName, time_ns: int, attributes: str) -> str:
    """What follows the text of an entry; ``attributes`` comes from :func:`attributes_text`."""
    return f',"stream":"{stream}"{attributes},"time":"{_stamp(time_ns)}"'


def attributes_text(attributes: Mapping[str, str]) -> str:
    """A container's attributes as every entry of its log carries them."""
    return f',"attrs":{json.dumps(dict(attributes))}' if attributes else ""


def encode(line: bytes, tail: str) -> bytes:
    """One entry; written by hand because json.dumps of a dict costs five times as much a line."""
    try:
        return f'{{"log":{encode_basestring(line.decode())}{tail}}}\n'.encode()
    except UnicodeDecodeError:
        text = encode_basestring(line.decode(errors="replace"))
        raw = base64.b64encode(line).decode("ascii")
        return f'{{"log":{text}{tail},"raw":"{raw}"}}\n'.encode()


def decode(path: Path, line: bytes) -> LogRecord:
    """The record of an entry; ``path`` is for the error when it is not one of ours."""
    try:
        entry = json.loads(line)
        data = base64.b64decode(entry["raw"]) if "raw" in entry else entry["log"].encode()
        whole, _, fraction = entry["time"].removesuffix("Z").partition(".")
        seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
        time_ns = seconds * 1_000_000_000 + int(fraction.ljust(9, "0"))
        if entry["stream"] not in ("stdout", "stderr"):
            raise KeyError(entry["stream"])
        return LogRecord(entry["stream"], time_ns, data, entry.get("attrs") or {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Internal(f"the log {path} holds a line that is not ours: {line[:80]!r}") from error


def _stamp(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"

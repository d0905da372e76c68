"""The daemon's log: which container each record is about, and the two forms of a line.

Who begins work for one container says so once (:func:`about`, :func:`context_about`);
whatever is logged while that work goes on, in tasks that it starts too, carries the
container's short id in the field ``container``. docs/configuration.md has it for people.
"""

from __future__ import annotations

import contextvars
import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

SHORT_ID = 12
"""Digits of a container's id that a record carries, as many as docker shows."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_container: contextvars.ContextVar[str] = contextvars.ContextVar("container", default="")


@contextmanager
def about(container_id: str) -> Iterator[None]:
    """What is logged until the context ends is about this container; an empty id is about none."""
    token = _container.set(container_id[:SHORT_ID])
    try:
        yield
    finally:
        _container.reset(token)


def context_about(container_id: str) -> contextvars.Context:
    """The context of a task whose records are about this container, or with an empty id about none."""
    context = contextvars.copy_context()
    context.run(_container.set, container_id[:SHORT_ID])
    return context


def container() -> str:
    """The short id of the container that work goes on for, empty where it is for none."""
    return _container.get()


class TextLines(logging.Formatter):
    """``2026-01-31 12:00:00,000 INFO linwin.engine.start: container=0123456789ab message``.

    Further lines of a record, those of a traceback or of a sentence from a guest, are
    indented and carry the field too: grep finds all of them, and none passes for a record.
    Control characters are escaped, for the terminal that shows the log.
    """

    def format(self, record: logging.LogRecord) -> str:
        field = f"container={container()} " if container() else ""
        message, *more = self._text(record).splitlines() or [""]
        head = f"{self.formatTime(record)} {record.levelname} {record.name}: {field}{message}"
        lines = [head, *(f"    {field}{line}" for line in more)]
        return "\n".join(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line) for line in lines)

    def _text(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonLines(logging.Formatter):
    """One object a line; ``time`` is UTC as in RFC 3339, ``container`` and ``trace`` may be missing."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        held = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "container": container(),
            "message": record.getMessage(),
            "trace": self.formatException(record.exc_info) if record.exc_info else "",
        }
        return json.dumps({name: value for name, value in held.items() if value})


FORMS: dict[str, type[logging.Formatter]] = {"text": TextLines, "json": JsonLines}


def handler(form: str, stream: TextIO) -> logging.Handler:
    """Writes records to a stream, as text or json."""
    made = logging.StreamHandler(stream)
    made.setFormatter(FORMS[form]())
    return made


def configure(level: str, form: str) -> None:
    """Log everything from ``level`` (debug, info, warning, error) on to stderr, as text or json."""
    logging.basicConfig(level=level.upper(), handlers=[handler(form, sys.stderr)], force=True)
    # It reports every guest's end as news, and every byte of its conversation where it may.
    logging.getLogger("qemu.qmp").setLevel(max(logging.WARNING, logging.getLogger().level))

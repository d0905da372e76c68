"""Lines of the daemon's log: their two forms, and the container that they are about."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from linwin.daemon_log import about, container, context_about, handler

ID = "0123456789abcdef" * 4
SHORT = "0123456789ab"


class Recorded:
    """A logger of our own, and what it has written."""

    def __init__(self, form: str) -> None:
        self._stream = io.StringIO()
        self.handler = handler(form, self._stream)
        self.logger = logging.Logger("linwin.test")
        self.logger.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        """Without the time, which is checked."""
        stamp = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ")
        written = self._stream.getvalue().splitlines()
        assert all(stamp.match(line) or line.startswith("    ") for line in written)
        return [stamp.sub("", line) for line in written]

    @property
    def objects(self) -> list[dict[str, str]]:
        """Without the time, which is checked."""
        found = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        for held in found:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", held.pop("time"))
        return found


@pytest.fixture
def text() -> Iterator[Recorded]:
    recorded = Recorded("text")
    yield recorded
    recorded.handler.close()


def test_the_field_is_there_while_work_for_a_container_goes_on(text: Recorded) -> None:
    text.logger.info("before")
    with about(ID):
        text.logger.info("of %d", 1)
        with about(""):
            text.logger.info("of none")
    text.logger.warning("after")
    assert text.lines == [
        "INFO linwin.test: before",
        f"INFO linwin.test: container={SHORT} of 1",
        "INFO linwin.test: of none",
        "WARNING linwin.test: after",
    ]


async def test_tasks_are_about_the_container_of_those_who_start_them() -> None:
    async def which() -> str:
        return container()

    with about(ID):
        inherited = asyncio.create_task(which())
        other = asyncio.create_task(which(), context=context_about("f" * 64))
        nobodys = asyncio.create_task(which(), context=context_about(""))
        assert await asyncio.to_thread(container) == SHORT
        assert container() == SHORT
    assert [await task for task in (inherited, other, nobodys)] == [SHORT, "f" * 12, ""]


def test_no_line_passes_for_another_record(text: Recorded) -> None:
    with about(ID):
        text.logger.error("the guest says: %s", "a\n2026-01-01 00:00:00,000 INFO x: forged\r\nb\x1b[2Jc\x00")
    assert text.lines == [
        f"ERROR linwin.test: container={SHORT} the guest says: a",
        f"    container={SHORT} 2026-01-01 00:00:00,000 INFO x: forged",
        f"    container={SHORT} b\\x1b[2Jc\\x00",
    ]


def test_an_empty_message_is_a_line(text: Recorded) -> None:
    text.logger.info("")
    assert text.lines == ["INFO linwin.test: "]


def test_every_line_of_a_traceback_carries_the_field(text: Recorded) -> None:
    with about(ID):
        try:
            raise RuntimeError("broken\nin two")
        except RuntimeError:
            text.logger.exception("it failed")
    assert text.lines[0] == f"ERROR linwin.test: container={SHORT} it failed"
    assert text.lines[1] == f"    container={SHORT} Traceback (most recent call last):"
    assert text.lines[-1] == f"    container={SHORT} in two"
    assert all(f"container={SHORT} " in line for line in text.lines)


def test_json() -> None:
    recorded = Recorded("json")
    recorded.logger.warning("a\nb \x1b %s", "ü")
    with about(ID):
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            recorded.logger.exception("it failed")
    plain, failed = recorded.objects
    assert plain == {"level": "warning", "logger": "linwin.test", "message": "a\nb \x1b ü"}
    assert failed.pop("trace").endswith("RuntimeError: broken")
    assert failed == {"level": "error", "logger": "linwin.test", "message": "it failed", "container": SHORT}


@pytest.mark.parametrize(
    ("level", "told"), [("debug", {"d", "i", "w", "e"}), ("info", {"i", "w", "e"}), ("error", {"e"})]
)
def test_the_level(level: str, told: set[str]) -> None:
    """In a process of its own: the root logger of this one is pytest's."""
    script = f"""
import logging
from linwin import daemon_log
daemon_log.configure({level!r}, "json")
logger = logging.getLogger("linwin.x")
logger.debug("d"); logger.info("i"); logger.warning("w"); logger.error("e")
logging.getLogger("qemu.qmp.guest").info("a guest ended")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {json.loads(line)["message"] for line in done.stderr.splitlines()} == told

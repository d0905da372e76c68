"""What a guest writes to its console cannot fill the disk or drive a terminal."""

from __future__ import annotations

import os
from pathlib import Path

from linwin.machine import console
from linwin.machine.console import last_lines, trim


def test_the_last_lines_without_the_blank_ones(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"one\r\n\r\ntwo\r\n   \r\nthree")
    assert last_lines(log, 2) == ("two", "three")
    assert last_lines(log, 9) == ("one", "two", "three")
    assert last_lines(log, 0) == ()
    assert last_lines(tmp_path / "none", 9) == ()


def test_a_terminal_is_not_driven(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"\x1bc\x1b[2J\x1b[1;31mred\x07\x9b\xff\ttab\x1b]0;title\x07\n")
    (line,) = last_lines(log, 5)
    assert line.isprintable()
    assert "\x1b" not in line
    assert "red" in line


def test_an_endless_line_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"x" * 200_000)
    assert last_lines(log, 5) == ("x" * 500,)


def test_a_log_that_outgrew_its_limit_keeps_its_end(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(fd, b"y" * console.LIMIT)
        trim(log)
        assert log.stat().st_size == console.LIMIT
        os.write(fd, b"the end\n")
        trim(log)
        os.write(fd, b"and more\n")
    finally:
        os.close(fd)
    assert log.stat().st_size == (64 << 10) + 9
    assert log.read_bytes().endswith(b"yythe end\nand more\n")
    trim(tmp_path / "none")

"""Rotation of a log: no byte is lost or doubled, whatever dies when."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linwin.errors import Internal, Unsupported
from linwin.model.container import LogQuery, LogRecord
from linwin.model.guest import StreamName
from linwin.model.log_config import Rotation
from linwin.state import log as log_module
from linwin.state import log_reader
from linwin.state.log import JsonFileLog, NoLog
from linwin.state.log_position import PositionFile

ENDLESS = 10_000


async def records(log: JsonFileLog, query: LogQuery | None = None) -> list[LogRecord]:
    return [record async for record in log.read(query or LogQuery())]


async def text(log: JsonFileLog, query: LogQuery | None = None) -> bytes:
    return b"".join(record.data for record in await records(log, query))


async def rotated(path: Path, rotation: Rotation, lines: int) -> JsonFileLog:
    """A log in which ``lines`` numbered lines were logged one by one."""
    log = JsonFileLog(path, rotation)
    await log.begin(1)
    for number in range(lines):
        await log.append("stdout", f"line {number}\n".encode())
    await log._files.settled()
    return log


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".position"))


async def test_files_take_turns_under_dockers_names(tmp_path: Path) -> None:
    log = await rotated(tmp_path / "log.json", Rotation(max_size=200, max_files=3), 12)
    assert names(tmp_path) == ["log.json", "log.json.1", "log.json.2"]
    assert await text(log) == b"".join(f"line {number}\n".encode() for number in range(3, 12))
    for number in (1, 2):  # docker goes on in a new file once the size is reached
        assert 200 <= len((tmp_path / f"log.json.{number}").read_bytes()) < 300
    await log.finish()


async def test_one_chunk_of_many_lines_is_spread_over_files(tmp_path: Path) -> None:
    log = JsonFileLog(tmp_path / "log.json", Rotation(max_size=1000, max_files=ENDLESS))
    await log.begin(1)
    chunk = b"".join(f"line {number}\n".encode() for number in range(100))
    await log.append("stderr", chunk)
    assert len(names(tmp_path)) == 8
    assert await text(log) == chunk
    assert await log.begin(1) == {"stdout": 0, "stderr": len(chunk)}
    await log.finish()


async def test_a_single_file_starts_anew(tmp_path: Path) -> None:
    log = await rotated(tmp_path / "log.json", Rotation(max_size=200, max_files=1), 10)
    assert names(tmp_path) == ["log.json"]
    assert await text(log) == b"line 9\n"
    await log.finish()
    log = JsonFileLog(tmp_path / "log.json", Rotation(max_size=200, max_files=1))
    assert await log.begin(1) == {"stdout": 70, "stderr": 0}, "what went is counted all the same"
    await log.finish()


async def test_finished_files_are_compressed(tmp_path: Path) -> None:
    rotation = Rotation(max_size=200, max_files=4, compress=True)
    log = await rotated(tmp_path / "log.json", rotation, 13)
    assert names(tmp_path) == ["log.json", "log.json.1.gz", "log.json.2.gz", "log.json.3.gz"]
    assert gzip.decompress((tmp_path / "log.json.1.gz").read_bytes()).count(b"\n") == 3
    expected = b"".join(f"line {number}\n".encode() for number in range(3, 13))
    assert await text(log) == expected
    assert await text(log, LogQuery(tail=5)) == expected[-38:]
    await log.finish()
    again = JsonFileLog(tmp_path / "log.json", rotation)
    assert await text(again) == expected, "a new daemon finds them"


async def test_a_damaged_compressed_file_is_named(tmp_path: Path) -> None:
    log = await rotated(tmp_path / "log.json", Rotation(200, 3, compress=True), 8)
    packed = tmp_path / "log.json.1.gz"
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(Internal, match=r"the log .*log\.json\.1\.gz is damaged"):
        await text(log)
    await log.finish()


async def test_a_plain_file_beside_its_compressed_form_is_read_once(tmp_path: Path) -> None:
    rotation = Rotation(200, 3, compress=True)
    log = await rotated(tmp_path / "log.json", rotation, 8)
    expected = await text(log)
    await log.finish()
    (tmp_path / "log.json.1").write_bytes(gzip.decompress((tmp_path / "log.json.1.gz").read_bytes()))
    again = JsonFileLog(tmp_path / "log.json", rotation)
    assert await text(again) == expected


async def test_tail_and_since_go_across_files(tmp_path: Path) -> None:
    log = await rotated(tmp_path / "log.json", Rotation(200, ENDLESS), 30)
    everything = await records(log)
    for number in (0, 1, 2, 3, 4, 29, 30, 31):
        assert await records(log, LogQuery(tail=number)) == everything[len(everything) - min(number, 30) :]
    for index in (0, 1, 13, 29):
        moment = everything[index].time_ns
        found = await records(log, LogQuery(since=moment))
        assert found == [record for record in everything if record.time_ns >= moment]
        found = await records(log, LogQuery(until=moment))
        assert found == [record for record in everything if record.time_ns <= moment]
    await log.finish()


async def test_since_finds_its_place_by_halving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = await rotated(tmp_path / "log.json", Rotation(), 200)
    monkeypatch.setattr(log_reader, "BACK_SIZE", 100)
    everything = await records(log)
    for index in (0, 1, 99, 198, 199):
        moment = everything[index].time_ns
        assert await records(log, LogQuery(since=moment)) == everything[index:]
    assert await records(log, LogQuery(since=everything[-1].time_ns + 1)) == []
    await log.finish()


async def test_tail_of_a_long_log_reads_its_end_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = JsonFileLog(tmp_path / "log.json")
    await log.begin(1)
    await log.append("stdout", b"x" * 99 + b"\n")
    await log.append("stdout", (b"y" * 99 + b"\n") * 50_000)
    decoded = mock.Mock(side_effect=log_reader.decode)
    monkeypatch.setattr(log_reader, "decode", decoded)
    assert await text(log, LogQuery(tail=3)) == (b"y" * 99 + b"\n") * 3
    assert decoded.call_count <= 4 + 3
    await log.finish()


async def test_pieces_of_one_line_are_one_line_of_the_tail(tmp_path: Path) -> None:
    log = JsonFileLog(tmp_path / "log.json")
    await log.begin(1)
    for piece in (b"first\n", b"sec", b"ond", b"\n", b"thi", b"rd"):
        await log.append("stdout", piece)
    assert await text(log, LogQuery(tail=1)) == b"third"
    assert await text(log, LogQuery(tail=2)) == b"second\nthird"
    await log.finish()


async def test_a_follower_passes_from_file_to_file(tmp_path: Path) -> None:
    log = JsonFileLog(tmp_path / "log.json", Rotation(200, 2))
    await log.begin(1)
    await log.append("stdout", b"before\n")
    heard: list[bytes] = []
    came = asyncio.Event()

    async def follow() -> None:
        async for record in log.read(LogQuery(follow=True)):
            heard.append(record.data)
            came.set()

    following = asyncio.create_task(follow())
    for number in range(40):
        await log.append("stdout", f"line {number}\n".encode())
        while len(heard) < number + 2:
            came.clear()
            await came.wait()
    await log.finish()
    await following
    assert heard == [b"before\n", *(f"line {number}\n".encode() for number in range(40))]


async def test_a_slow_reader_keeps_the_file_that_it_reads(tmp_path: Path) -> None:
    log = await rotated(tmp_path / "log.json", Rotation(200, 1), 2)
    reading = aiter(log.read(LogQuery()))
    assert (await anext(reading)).data == b"line 0\n"
    for number in range(2, 9):
        await log.append("stdout", f"line {number}\n".encode())
    assert [record.data async for record in reading] == [b"line 1\n"]
    await log.finish()


async def test_what_was_asked_for_is_what_was_there(tmp_path: Path) -> None:
    """An attachment's history must not hold what is published to it meanwhile."""
    log = await rotated(tmp_path / "log.json", Rotation(150, ENDLESS), 3)
    history = log.read(LogQuery())
    for number in range(3, 9):
        await log.append("stdout", f"line {number}\n".encode())
    assert [record.data async for record in history] == [b"line 0\n", b"line 1\n", b"line 2\n"]
    await log.finish()


async def test_following_ends_at_until(tmp_path: Path) -> None:
    log = await rotated(tmp_path / "log.json", Rotation(), 2)
    last = (await records(log))[-1].time_ns
    async with asyncio.timeout(10):
        assert await text(log, LogQuery(follow=True, until=last)) == b"line 0\nline 1\n"
    await log.finish()


async def test_no_log_counts_and_keeps_nothing(tmp_path: Path) -> None:
    log = NoLog(tmp_path / "log.json")
    assert await log.begin(1) == {"stdout": 0, "stderr": 0}
    await log.append("stdout", b"12345")
    await log.append("stderr", b"67")
    other = NoLog(tmp_path / "log.json")
    assert await other.begin(1) == {"stdout": 5, "stderr": 2}
    await other.finish()
    assert await other.begin(2) == {"stdout": 0, "stderr": 0}
    await other.finish()
    await log.finish()
    assert names(tmp_path) == []
    with pytest.raises(Unsupported) as refused:
        log.read(LogQuery())
    assert refused.value.message == "configured logging driver does not support reading"


class Killed(BaseException):
    """The daemon dies here."""


@dataclass
class Fate:
    """Dies after so many changes of the disk; a write that it dies in puts ``part`` of its bytes there."""

    after: int
    part: float
    patches: list[Any] = field(default_factory=list)

    def step(self) -> bool:
        self.after -= 1
        return self.after < 0

    @contextmanager
    def in_force(self) -> Iterator[None]:
        rename, unlink, write = Path.rename, Path.unlink, PositionFile.write

        def dying(change: Any) -> Any:
            def wrapper(*arguments: Any, **more: Any) -> Any:
                if self.step():
                    raise Killed
                return change(*arguments, **more)

            return wrapper

        def write_all(file: BinaryIO, data: bytes) -> None:
            if self.step():
                file.write(data[: int(len(data) * self.part)])
                raise Killed
            file.write(data)

        with (
            mock.patch.object(Path, "rename", dying(rename)),
            mock.patch.object(Path, "unlink", dying(unlink)),
            mock.patch.object(PositionFile, "write", dying(write)),
            mock.patch.object(log_module, "_write_all", write_all),
        ):
            yield


class Guest:
    """Prints to a log, and keeps what was not acknowledged for the next daemon."""

    def __init__(self) -> None:
        self.printed: dict[StreamName, bytes] = defaultdict(bytes)
        self.acknowledged: dict[StreamName, int] = defaultdict(int)

    def print(self, stream: StreamName, data: bytes) -> None:
        self.printed[stream] += data

    async def deliver(self, log: JsonFileLog, logged: dict[StreamName, int]) -> None:
        """What a daemon does that has adopted it."""
        for stream, printed in self.printed.items():
            assert self.acknowledged[stream] <= logged[stream] <= len(printed), "this guest would be lost"
            if rest := printed[logged[stream] :]:
                await log.append(stream, rest)
            logged[stream] = self.acknowledged[stream] = len(printed)


PIECES = st.sampled_from([b"x\n", b"piece", b"\xff\n", b"a longer line of text\n"])
DEATH = st.tuples(st.integers(0, 12), st.floats(0, 1))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["stdout", "stderr"]), st.lists(PIECES, min_size=1, max_size=6), st.none() | DEATH
    ),
    max_size=12,
)


@given(
    steps=STEPS,
    max_size=st.integers(60, 400),
    max_files=st.sampled_from([1, 2, 3, ENDLESS]),
    compress=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_daemons_that_die_anywhere_lose_and_double_nothing(
    steps: list[tuple[StreamName, list[bytes], tuple[int, float] | None]],
    max_size: int,
    max_files: int,
    compress: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.json"
    rotation = Rotation(max_size, max_files, compress and max_files > 1)

    async def life(guest: Guest, fate: Fate) -> None:
        """One daemon's, from adoption to its death or until everything is logged."""
        log = JsonFileLog(path, rotation)
        try:
            with fate.in_force():
                logged = await log.begin(7)
                await guest.deliver(log, logged)
                await log._files.settled()
        finally:
            log._position.close()
            if log._file is not None:
                log._file.close()
            if log._files._compressing is not None:
                await asyncio.gather(log._files._compressing, return_exceptions=True)

    async def scenario() -> None:
        guest = Guest()
        for stream, pieces, death in steps:
            guest.print(stream, b"".join(pieces))
            try:
                await life(guest, Fate(*death) if death else Fate(1 << 30, 0))
            except Killed:
                continue
        await life(guest, Fate(1 << 30, 0))
        log = JsonFileLog(path, rotation)
        found: dict[StreamName, bytes] = defaultdict(bytes)
        for record in await records(log):
            found[record.stream] += record.data
        for stream, printed in guest.printed.items():
            assert printed.endswith(found[stream]), "what is kept is the end of what was printed"
            if max_files == ENDLESS:
                assert found[stream] == printed
        assert len(names(path.parent)) <= max_files
        assert not [name for name in os.listdir(path.parent) if name.endswith(".new")]

    asyncio.run(scenario())


async def test_a_slow_follower_of_a_log_with_one_file_reads_nothing_twice(tmp_path: Path) -> None:
    log = JsonFileLog(tmp_path / "log.json", Rotation(max_size=200, max_files=1))
    await log.begin(1)
    await log.append("stdout", b"line 0\n")
    async with aclosing(log.read(LogQuery(follow=True))) as following:  # type: ignore[type-var]
        seen = [(await anext(following)).data]
        for number in range(1, 10):  # three files come and go before it looks again
            await log.append("stdout", f"line {number}\n".encode())
        await log.finish()
        seen += [record.data async for record in following]
    assert seen == sorted(set(seen)), "each once, in order"
    assert seen[-1] == b"line 9\n"


async def test_tail_lets_others_run_while_it_passes_a_line_of_many_pieces(tmp_path: Path) -> None:
    log = JsonFileLog(tmp_path / "log.json")
    await log.begin(1)
    for _ in range(4 * log_reader.BREATH):
        await log.append("stdout", b"x")
    ran, over = 0, False

    async def others() -> None:
        nonlocal ran
        while not over:
            ran += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    first = await anext(aiter(log.read(LogQuery(tail=2))))
    over = True
    await task
    assert first.data == b"x"
    assert ran >= 4
    await log.finish()

"""The json-file log: lossless, resumable, followable."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linwin.errors import Internal, Unavailable
from linwin.model.container import LogQuery
from linwin.state.log import JsonFileLog

EVERYTHING = LogQuery()


async def begun(path: Path, start: int = 1) -> JsonFileLog:
    log = JsonFileLog(path)
    await log.begin(start)
    return log


async def text(log: JsonFileLog, query: LogQuery = EVERYTHING) -> bytes:
    return b"".join([record.data async for record in log.read(query)])


@given(pieces=st.lists(st.binary(min_size=1, max_size=60), max_size=20))
def test_every_byte_survives(pieces: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    async def scenario() -> None:
        log = await begun(tmp_path_factory.mktemp("log") / "log.json")
        for piece in pieces:
            await log.append("stdout", piece)
        assert await text(log) == b"".join(pieces)
        assert await log.begin(1) == {"stdout": sum(map(len, pieces)), "stderr": 0}
        await log.finish()

    asyncio.run(scenario())


async def test_an_entry_is_what_dockers_json_file_driver_writes(tmp_path: Path) -> None:
    log = await begun(tmp_path / "log.json")
    await log.append("stderr", b'say "hi"\r\n')
    await log.finish()
    entry = json.loads((tmp_path / "log.json").read_text())
    assert entry.keys() == {"log", "stream", "time"}
    assert entry["log"] == 'say "hi"\r\n'
    assert entry["stream"] == "stderr"
    assert entry["time"].endswith("Z")
    assert len(entry["time"]) == len("2026-01-02T03:04:05.000000006Z")


async def test_bytes_that_are_no_utf8_are_kept_beside_their_readable_form(tmp_path: Path) -> None:
    log = await begun(tmp_path / "log.json")
    await log.append("stdout", b"caf\xe9\n")
    await log.finish()
    entry = json.loads((tmp_path / "log.json").read_text())
    assert entry["log"] == "caf\ufffd\n"
    assert await text(log) == b"caf\xe9\n"


async def test_tail_counts_lines_before_streams_are_chosen_as_docker_does(tmp_path: Path) -> None:
    log = await begun(tmp_path / "log.json")
    await log.append("stdout", b"1\n2\n3\n")
    await log.append("stderr", b"oops\n")
    assert await text(log, LogQuery(tail=2)) == b"3\noops\n"
    assert await text(log, LogQuery(tail=9)) == b"1\n2\n3\noops\n"
    assert await text(log, LogQuery(tail=2, stderr=False)) == b"3\n"
    assert await text(log, LogQuery(stdout=False)) == b"oops\n"
    assert await text(log, LogQuery(tail=0)) == b""
    await log.finish()


async def test_since_and_until_bound_the_times(tmp_path: Path) -> None:
    log = await begun(tmp_path / "log.json")
    await log.append("stdout", b"early\n")
    await log.append("stdout", b"late\n")
    times = [record.time_ns async for record in log.read(LogQuery())]
    assert await text(log, LogQuery(since=times[1])) == b"late\n"
    assert await text(log, LogQuery(until=times[0])) == b"early\n"
    await log.finish()


async def test_a_follower_hears_what_comes_and_ends_with_the_run(tmp_path: Path) -> None:
    log = await begun(tmp_path / "log.json")
    await log.append("stdout", b"before\n")
    follower = asyncio.create_task(text(log, LogQuery(follow=True, tail=1)))
    await asyncio.sleep(0)
    await log.append("stdout", b"after\n")
    assert not follower.done()
    await log.finish()
    assert await follower == b"before\nafter\n"


async def test_a_line_torn_by_a_dead_daemon_is_cut_off_at_the_next_begin(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    log = await begun(path)
    await log.append("stdout", b"whole\n")
    await log.finish()
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"log":"half')
    assert await text(log) == b"whole\n"
    assert await text(log, LogQuery(tail=1)) == b"whole\n"
    log = await begun(path)
    assert path.stat().st_size == whole
    await log.append("stdout", b"next\n")
    await log.finish()
    assert await text(log) == b"whole\nnext\n"


async def test_what_is_logged_is_counted_for_each_start(tmp_path: Path) -> None:
    log = await begun(tmp_path / "log.json")
    await log.append("stdout", b"first run\n")
    await log.finish()
    assert await log.begin(2) == {"stdout": 0, "stderr": 0}
    await log.append("stdout", b"abc")
    await log.append("stderr", b"\xff\xfe")
    other = JsonFileLog(tmp_path / "log.json")  # of the daemon after this one
    assert await other.begin(2) == {"stdout": 3, "stderr": 2}
    await other.append("stdout", b"d")
    assert await other.begin(2) == {"stdout": 4, "stderr": 2}
    assert await other.begin(3) == {"stdout": 0, "stderr": 0}
    await other.finish()
    await log.finish()


async def test_a_foreign_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(b'{"no":"log"}\n')
    with pytest.raises(Internal, match="holds a line that is not ours"):
        await text(JsonFileLog(path))


async def test_a_container_that_never_ran_has_an_empty_log(tmp_path: Path) -> None:
    log = JsonFileLog(tmp_path / "log.json")
    assert await text(log, LogQuery(follow=True)) == b""


async def test_a_write_that_fails_half_way_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = JsonFileLog(tmp_path / "log.json")
    await log.begin(1)
    await log.append("stdout", b"before\n")
    whole = log._file
    assert whole is not None

    class Full:
        """A disk on which half a line finds room."""

        fileno = whole.fileno

        def write(self, data: memoryview) -> int:
            if len(data) > 20:
                return whole.write(data[:20])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(log, "_file", Full())
    with pytest.raises(Unavailable, match=r"cannot write the log .*: No space left on device"):
        await log.append("stdout", b"x")
    monkeypatch.setattr(log, "_file", whole)
    await log.append("stdout", b"after\n")
    lost = len(b"x")
    assert await log.begin(1) == {"stdout": len(b"before\nafter\n") + lost, "stderr": 0}
    await log.finish()
    assert [record.data async for record in log.read(LogQuery())] == [b"before\n", b"after\n"]

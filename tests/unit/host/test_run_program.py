"""Programs are run to their end, and never outlive the one who asked."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.host.process import Completed, run
from linwin.host.programs import find_program, last_words


async def test_output_streams_and_exit_code_are_kept_apart() -> None:
    completed = await run(["sh", "-c", "cat; echo complaint >&2; exit 3"], input=b"question")
    assert completed == Completed(
        ("sh", "-c", "cat; echo complaint >&2; exit 3"), 3, b"question", b"complaint\n"
    )


async def test_without_input_the_program_reads_end_of_file() -> None:
    assert (await run(["cat"])).stdout == b""


async def test_environment_and_folder_are_the_given_ones(tmp_path: Path) -> None:
    completed = await run(
        ["sh", "-c", "echo $LW_X; pwd"], env={"LW_X": "1", "PATH": os.defpath}, cwd=tmp_path
    )
    assert completed.stdout.decode().split() == ["1", str(tmp_path)]


async def test_passed_descriptors_are_inherited_under_their_number() -> None:
    reading, writing = os.pipe()
    try:
        await run(["sh", "-c", f"echo hi >/proc/self/fd/{writing}"], pass_fds=[writing], check=True)
        assert os.read(reading, 10) == b"hi\n"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.root
async def test_a_program_runs_as_the_given_user_and_groups() -> None:
    completed = await run(["sh", "-c", "id -u; id -g; id -G"], uid=61234, groups=[61235], check=True)
    assert completed.stdout.split(b"\n")[:3] == [b"61234", b"61234", b"61234 61235"]


async def test_a_failing_program_is_quoted() -> None:
    with pytest.raises(Unavailable) as caught:
        await run(["sh", "-c", "echo first >&2; echo the disk is full >&2; exit 7"], check=True)
    assert str(caught.value) == "sh failed with exit code 7: first; the disk is full"


async def test_a_program_ended_by_a_signal_says_so() -> None:
    with pytest.raises(Unavailable, match=r"^sh was ended by SIGTERM$"):
        await run(["sh", "-c", "kill -TERM $$"], check=True)


async def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(Unavailable) as caught:
        await run(["no-such-wimtool", "info"])
    assert caught.value.message == "the program no-such-wimtool is not installed"
    assert caught.value.hint == "install it with: apt-get install no-such-wimtool"


def test_a_package_named_unlike_its_program_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_args, **_kwargs: None)
    with pytest.raises(Unavailable) as caught:
        find_program("qemu-system-x86_64")
    assert caught.value.hint == "install it with: apt-get install qemu-system-x86"


async def test_a_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! >{tmp_path}/child; wait"
    with pytest.raises(Unavailable, match=r"^sh did not finish within 0.3 s$"):
        await run(["sh", "-c", script], timeout=0.3)
    assert_gone(int((tmp_path / "child").read_text()))


async def test_cancelling_the_caller_kills_the_program(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    task = asyncio.create_task(
        run(["sh", "-c", f"echo $$ >{tmp_path}/started; exec sleep 60"], input=b"x" * 1_000_000)
    )
    pid = int(await asyncio.to_thread((tmp_path / "started").read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_gone(pid)


def test_last_words_are_the_end_and_bounded() -> None:
    assert last_words(b"a\n\nb\nc\nd\n") == "b; c; d"
    assert len(last_words(b"x" * 100_000)) == 600


def assert_gone(pid: int) -> None:
    """The process has ended; as an orphan it may stay a zombie where process 1 reaps nothing."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return
    assert state == "Z"

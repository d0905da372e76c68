"""What only the Linux build does, and what is asked of it in more detail than tests/conformance does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
from pathlib import Path

import pytest

from linwin.errors import CommandNotExecutable, CommandNotFound, InvalidRequest, Unavailable
from linwin.guest import AgentGuest, AgentGuests
from linwin.model.guest import Preparation, ProcessSpec
from tests.conformance.streams import collect, until

from .conftest import FakeMachine, ScriptedMachine

REQUESTS = Path(__file__).parents[3] / "protocol" / "vectors" / "requests.json"


def shell(script: str, *, stdin: bool = False, cwd: str = "/") -> ProcessSpec:
    return ProcessSpec(("sh", "-c", script), cwd=cwd, stdin=stdin)


async def test_streams_arrive_apart_and_the_exit_code_is_whole(guest: AgentGuest) -> None:
    process = await guest.spawn("p", shell("cat; echo err >&2; exit 42", stdin=True))
    await process.write(b"b\na\n")
    await process.close_stdin()
    assert await collect(process) == (b"b\na\n", b"err\n")
    assert await process.wait() == 42


async def test_environment_and_folder(guest: AgentGuest, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho found $GREETING in $PWD\n")
    (tmp_path / "tool").chmod(0o755)
    env = {"GREETING": "a 'b'", "PATH": f"{tmp_path}:/usr/bin:/bin"}
    process = await guest.spawn("p", ProcessSpec(("tool",), env=env, cwd=str(tmp_path)))
    assert await collect(process) == (f"found a 'b' in {tmp_path}\n".encode(), b"")


async def test_fifty_megabytes_are_byte_exact(guest: AgentGuest, tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 50
    (tmp_path / "data").write_bytes(data)
    process = await guest.spawn("p", shell("cat data; echo done >&2", cwd=str(tmp_path)))
    stdout, stderr = await collect(process)
    assert hashlib.sha256(stdout).digest() == hashlib.sha256(data).digest()
    assert stderr == b"done\n"


async def test_term_and_int_reach_the_process(guest: AgentGuest) -> None:
    process = await guest.spawn(
        "p", shell("trap 'echo bye; exit 5' TERM; echo on; while :; do sleep 0.05; done")
    )
    output = process.output()
    await until(output, b"on\n")
    await process.signal("TERM")
    assert await until(output, b"bye\n")
    assert await process.wait() == 5
    other = await guest.spawn("q", ProcessSpec(("sleep", "600"), cwd="/"))
    await other.signal("INT")
    assert await other.wait() == 128 + signal.SIGINT


async def test_what_a_process_leaves_behind_ends_with_it(guest: AgentGuest, cgroup: Path) -> None:
    process = await guest.spawn("p", shell("setsid sleep 600 & echo $!"))
    stdout, _ = await collect(process)
    assert await process.wait() == 0
    assert stdout.strip().decode() not in os.listdir("/proc")
    assert not [name for name in os.listdir(cgroup) if name.startswith("linwin-")]


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        (
            ProcessSpec(("no-such-program", "x"), cwd="/"),
            CommandNotFound,
            'exec: "no-such-program": executable file not found in $PATH',
        ),
        (
            ProcessSpec(("/etc/passwd",), cwd="/"),
            CommandNotExecutable,
            'exec: "/etc/passwd": permission denied',
        ),
        (
            ProcessSpec(("true",), cwd="/nowhere"),
            InvalidRequest,
            'the working directory "/nowhere" does not exist',
        ),
        (
            ProcessSpec(("true",), cwd="/", user="bob"),
            InvalidRequest,
            "a linux guest cannot change users yet",
        ),
    ],
)
async def test_programs_that_do_not_start(
    guest: AgentGuest, spec: ProcessSpec, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        await guest.spawn("p", spec)
    assert str(caught.value) == message
    process = await guest.spawn("p", ProcessSpec(("true",), cwd="/"))  # the id is free again
    assert await process.wait() == 0


async def test_a_request_of_nearly_the_most_the_agent_takes_comes_in_parts(guest: AgentGuest) -> None:
    env = {f"NAME{n}": chr(97 + n % 26) * 9_000 for n in range(100)}
    process = await guest.spawn("p", ProcessSpec(("sh", "-c", "env | grep ^NAME | sort"), env=env, cwd="/"))
    stdout, _ = await collect(process)
    assert dict(line.split("=") for line in stdout.decode().splitlines()) == env


async def test_a_request_longer_than_the_agent_takes_is_refused_here(guest: AgentGuest) -> None:
    with pytest.raises(
        InvalidRequest, match=r"^the exec request is 20000[0-9]{2} bytes long, a guest takes 1048576\n"
    ):
        await guest.spawn("p", ProcessSpec(("echo", "x" * 1_999_900), cwd="/"))


def terminal(script: str, *, stdin: bool = True) -> ProcessSpec:
    return ProcessSpec(("sh", "-c", script), cwd="/", stdin=stdin, terminal=(24, 80))


async def test_a_terminal_is_all_three_handles(guest: AgentGuest) -> None:
    process = await guest.spawn("p", terminal("tty; stty size; echo err >&2; read x; echo got $x; exit 6"))
    output = process.output()
    assert await until(output, b"err\r\n") != b""
    await process.write(b"word\r")
    assert b"got word\r\n" in await until(output, b"got word\r\n")
    assert await process.wait() == 6
    assert [chunk async for chunk in output] == []


async def test_a_terminal_has_its_first_size_and_follows(guest: AgentGuest) -> None:
    process = await guest.spawn(
        "p", terminal("stty size; trap 'stty size' WINCH; echo set; while :; do sleep 0.05; done")
    )
    output = process.output()
    assert (await until(output, b"set\r\n")).startswith(b"24 80\r\n")
    await process.resize(50, 132)
    await until(output, b"50 132\r\n")
    with pytest.raises(InvalidRequest, match=r"^a terminal of 0 rows and 80 columns$"):
        await process.resize(0, 80)
    await process.signal("KILL")
    assert await process.wait() == 137
    await process.resize(25, 80)  # no-op after the end


async def test_control_keys_are_bytes_of_a_terminals_input(guest: AgentGuest) -> None:
    process = await guest.spawn(
        "p", terminal("trap 'echo interrupted; exit 4' INT; echo on; while :; do sleep 0.05; done")
    )
    output = process.output()
    await until(output, b"on\r\n")
    await process.write(b"\x03")
    await until(output, b"interrupted\r\n")
    assert await process.wait() == 4


async def test_input_that_a_terminals_program_does_not_read_waits(guest: AgentGuest) -> None:
    process = await guest.spawn("p", terminal("stty raw -echo; echo on; sleep 600"))
    output = process.output()
    await until(output, b"on")
    writing = asyncio.create_task(process.write(bytes(10_000_000)))
    done, _ = await asyncio.wait({writing}, timeout=0.3)
    assert not done
    await process.signal("KILL")
    await writing
    assert await process.wait() == 137


async def test_five_megabytes_through_a_terminal_are_whole(guest: AgentGuest) -> None:
    process = await guest.spawn("p", terminal("stty raw; seq 700000", stdin=False))
    stdout, stderr = await collect(process)
    assert stdout.split() == [b"%d" % n for n in range(1, 700_001)]
    assert stderr == b""


async def test_ended_processes_make_room_for_new_ones(guest: AgentGuest) -> None:
    for n in range(600):  # more than twice what the agent's table holds
        process = await guest.spawn(f"p{n}", ProcessSpec(("echo", "hi"), cwd="/"))
        assert await collect(process) == (b"hi\n", b"")
        assert await process.wait() == 0


async def test_a_command_line_is_not_sent_twice(guest: AgentGuest) -> None:
    line = "x" * 40_000
    with pytest.raises(InvalidRequest, match=r"^a linux guest needs an argv and takes no command line$"):
        await guest.spawn("p", ProcessSpec((line,), command_line=line, cwd="/"))


async def test_a_second_session_goes_on_where_the_first_broke_off(machine: FakeMachine) -> None:
    first = await AgentGuests().connect(machine, timeout=10)
    process = await first.spawn("p", shell("echo one; read x; echo $x; seq 100000; exit 9", stdin=True))
    output = process.output()
    chunk = await anext(output)
    assert chunk.data == b"one\n"
    await process.acknowledge(chunk)
    await process.write(b"two\n")
    await until(output, b"two\n")
    await first.close()
    with pytest.raises(Unavailable, match=r"^the session with the guest was closed\n"):
        await process.wait()

    second = await AgentGuests().connect(machine, timeout=10)
    adopted = await second.adopt("p", stdout=chunk.end, stderr=0)
    assert adopted is not None
    seen = b""
    async for chunk in adopted.output():
        seen += chunk.data
        await adopted.acknowledge(chunk)
    assert seen == b"two\n" + b"".join(b"%d\n" % i for i in range(1, 100001))
    assert await adopted.wait() == 9
    await second.close()


async def test_a_transient_process_ends_with_its_session(machine: FakeMachine, tmp_path: Path) -> None:
    """And makes room for others, although nobody has acknowledged what it printed."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    first = await AgentGuests().connect(machine, timeout=20)
    script = f"echo unread; exec 3>{fifo}; echo open >&3; sleep 1000"
    await first.spawn("probe", ProcessSpec(("sh", "-c", script), cwd="/", transient=True))
    with await asyncio.to_thread(fifo.open, "rb") as pipe:
        assert await asyncio.to_thread(pipe.readline) == b"open\n"
        await first.close()
        second = await AgentGuests().connect(machine, timeout=20)
        # An end of the pipe: whoever held its other end is gone.
        assert await asyncio.wait_for(asyncio.to_thread(pipe.read), 20) == b""
    for number in range(300):
        process = await second.spawn(f"p{number}", shell("exit 0"))
        assert await collect(process) == (b"", b"")
    assert await second.adopt("probe", stdout=0, stderr=0) is None
    await second.close()


async def test_the_clock_of_a_guest_that_has_none_is_not_set(guest: AgentGuest) -> None:
    """The native agent is a process of this host, whose clock is none of its business."""
    with pytest.raises(Unavailable, match=r"^this guest's clock cannot be set$"):
        await guest.set_clock(1)


async def test_warm_prepare_and_shutdown_are_answered(guest: AgentGuest) -> None:
    await guest.warm()
    await guest.prepare(Preparation("name", "serial", 0, b"\0\xff"))
    sleeper = await guest.spawn("p", ProcessSpec(("sleep", "600"), cwd="/"))
    await guest.shutdown(timeout=10)
    assert await sleeper.wait() == 137
    with pytest.raises(Unavailable, match=r"^the guest is shutting down$"):
        await guest.spawn("q", ProcessSpec(("true",), cwd="/"))


def test_the_vectors_have_each_request() -> None:
    readme = (REQUESTS.parents[1] / "README.md").read_text()
    told = set(re.findall(r"^\| `(\w+)` \|", readme.partition("\n## Requests\n")[2], re.MULTILINE))
    observed = {
        vector["op"] for vector in json.loads((REQUESTS.parent / "observations.json").read_text())["vectors"]
    }
    asked = set(re.findall(r'\\"op\\": \\"(\w+)\\"', REQUESTS.read_text()))
    assert told - asked - observed == {"shutdown"}, "after which there is no agent to ask"


async def test_an_agent_that_cannot_be_frozen_is_not_asked_to(scripted: ScriptedMachine) -> None:
    guest, _ = await scripted.connect()
    with pytest.raises(Unavailable) as caught:
        await guest.warm()
    assert caught.value.message == "the guest's agent is too old to be frozen"
    assert caught.value.hint == "rebuild its template: linwin template build NAME"
    await guest.close()

"""Programs start, end, and are refused, the same by both builds."""

from __future__ import annotations

import asyncio
import os
import re

import pytest

from linwin.errors import CommandNotExecutable, CommandNotFound, InvalidRequest, Unavailable
from linwin.guest import AgentGuest
from linwin.model.guest import ProcessSpec

from .streams import collect, until
from .targets import Target

CONTROL_C_EXIT = 3221225786
"""STATUS_CONTROL_C_EXIT, with which Windows ends a program that handles no console event."""


@pytest.mark.parametrize("code", [0, 1, 42, 255])
async def test_exit_codes(target: Target, guest: AgentGuest, code: int) -> None:
    process = await guest.spawn("p", target.spec("exit", str(code)))
    assert await collect(process) == (b"", b"")
    assert await process.wait() == code


@pytest.mark.parametrize("code", [256, 305419896, 0x80000000, 0xC0000005, 0xFFFFFFFF])
async def test_exit_codes_of_windows_have_32_bits(target: Target, guest: AgentGuest, code: int) -> None:
    if not target.windows:
        pytest.skip("a Linux exit code has 8 bits")
    process = await guest.spawn("p", target.spec("exit", str(code)))
    assert await process.wait() == code


async def test_a_command_line_is_passed_on_verbatim(target: Target, guest: AgentGuest) -> None:
    if not target.windows:
        pytest.skip("a Linux program has no command line")
    line = f'{target.subject}   command "a  b"\\\\ c"d" ^&|<>%PATH% é\t'
    process = await guest.spawn("p", target.line((), line))
    stdout, _ = await collect(process)
    assert stdout.decode() == line + "\n"


async def test_the_environment_is_the_guests_with_an_overlay(target: Target, guest: AgentGuest) -> None:
    kept = "SystemRoot" if target.windows else "HOME"
    env = {"GREETING": "a 'b' \"c\" é", "EMPTY": ""}
    process = await guest.spawn("p", target.spec("env", "GREETING", "EMPTY", kept, "NOTHING", env=env))
    stdout, _ = await collect(process)
    greeting, empty, inherited, nothing = stdout.decode().splitlines()
    assert (greeting, nothing) == (env["GREETING"], "(unset)")
    assert empty == ""
    assert inherited not in ("", "(unset)")


async def test_names_of_variables_have_no_case_on_windows(target: Target, guest: AgentGuest) -> None:
    if not target.windows:
        pytest.skip("a Linux variable's name has a case")
    process = await guest.spawn(
        "p", target.spec("env", "PATH", "tEmP", env={"path": "C:\\x", "TEMP": "here"})
    )
    stdout, _ = await collect(process)
    assert stdout.decode().splitlines() == ["C:\\x", "here"]


async def test_the_new_path_finds_the_program(target: Target, guest: AgentGuest) -> None:
    folder, separator, name = re.fullmatch(r"(.*)([\\/])(.*)", target.subject).groups()  # type: ignore[union-attr]
    name = name.removesuffix(".exe")
    spec = target.line((name, "print", "found"), f"{name} print found", env={"PATH": folder + separator})
    assert await collect(await guest.spawn("p", spec)) == (b"found\n", b"")
    with pytest.raises(CommandNotFound):
        await guest.spawn("q", target.line((name, "print", "lost"), f"{name} print lost", env={"PATH": ""}))


async def test_the_working_directory(target: Target, guest: AgentGuest) -> None:
    stdout, _ = await collect(await guest.spawn("p", target.spec("cwd")))
    assert stdout.decode().strip().rstrip("\\/").lower() == target.folder.rstrip("\\/").lower()


async def test_a_missing_working_directory_is_made_on_windows(target: Target, guest: AgentGuest) -> None:
    folder = target.folder + "new folder é" + ("\\" if target.windows else "/") + "sub"
    if not target.windows:
        with pytest.raises(InvalidRequest, match=r"^the working directory \".*sub\" does not exist$"):
            await guest.spawn("p", target.spec("cwd", cwd=folder))
        return
    stdout, _ = await collect(await guest.spawn("p", target.spec("cwd", cwd=folder)))
    assert stdout.decode().strip() == folder


async def test_working_directories_that_are_none(target: Target, guest: AgentGuest) -> None:
    if not target.windows:
        pytest.skip("Windows' sentences; those of Linux are in tests/unit/guest")
    for folder, sentence in {
        "work": "the working directory 'work' is invalid, it needs to be an absolute path",
        target.subject: f'the working directory "{target.subject}" is invalid: '.replace("\\", "\\\\")
        + "The directory name is invalid.",
    }.items():
        with pytest.raises(InvalidRequest) as caught:
            await guest.spawn("p", target.spec("cwd", cwd=folder))
        assert str(caught.value) == sentence


async def test_a_program_that_does_not_exist(target: Target, guest: AgentGuest) -> None:
    end = ": The system cannot find the file specified." if target.windows else ""
    path = "%PATH%" if target.windows else "$PATH"
    with pytest.raises(CommandNotFound) as caught:
        await guest.spawn("p", target.line(("no-such-program", "x"), "no-such-program x"))
    assert str(caught.value) == f'exec: "no-such-program": executable file not found in {path}{end}'
    assert await (await guest.spawn("p", target.spec("exit", "0"))).wait() == 0  # the id is free again


async def test_a_file_that_is_no_program(target: Target, guest: AgentGuest) -> None:
    name = "C:\\windows\\win.ini" if target.windows else "/etc/passwd"
    why = "%1 is not a valid Win32 application." if target.windows else "permission denied"
    with pytest.raises(CommandNotExecutable) as caught:
        await guest.spawn("p", target.line((name,), name))
    assert str(caught.value) == f'exec: "{name}": {why}'.replace("\\", "\\\\")


async def test_a_user_that_is_unknown(target: Target, guest: AgentGuest) -> None:
    sentence = (
        "failure in a Windows system call: The user name or password is incorrect. (0x52e): "
        if target.windows
        else "a linux guest cannot change users yet"
    )
    with pytest.raises(InvalidRequest) as caught:
        await guest.spawn("p", target.spec("cwd", user="bob"))
    assert str(caught.value).startswith(sentence)


async def test_a_program_that_is_not_named(target: Target, guest: AgentGuest) -> None:
    with pytest.raises(InvalidRequest):
        await guest.spawn("p", target.line((), " "))


async def test_an_id_is_taken_once(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("sleep"))
    with pytest.raises(InvalidRequest, match=rf"^process id \"{target.prefix}p\" is empty or taken$"):
        await guest.spawn("p", target.spec("exit", "0"))
    await process.signal("KILL")
    assert await process.wait() == 137


@pytest.mark.parametrize(("name", "caught"), [("TERM", b"terminated"), ("INT", b"interrupt")])
async def test_a_signal_reaches_its_handler(
    target: Target, guest: AgentGuest, name: str, caught: bytes
) -> None:
    process = await guest.spawn("p", target.spec("trap", "9"))
    output = process.output()
    assert (await anext(output)).data == b"ready\n"
    await process.signal(name)
    assert await until(output, b"\n") == b"caught " + caught + b"\n"
    assert await process.wait() == 9


async def test_break_reaches_its_handler(target: Target, guest: AgentGuest) -> None:
    target.needs("break")
    process = await guest.spawn("p", target.spec("trap", "9"))
    output = process.output()
    assert (await anext(output)).data == b"ready\n"
    await process.signal("BREAK")
    # Go's runtime has one name for Ctrl-C and Ctrl-Break.
    assert await until(output, b"\n") == (b"caught interrupt\n" if target.windows else b"caught quit\n")
    assert await process.wait() == 9


@pytest.mark.parametrize(("name", "number"), [("TERM", 15), ("INT", 2)])
async def test_a_signal_without_a_handler_ends_the_program(
    target: Target, guest: AgentGuest, name: str, number: int
) -> None:
    target.needs(f"{name} exit code")
    process = await guest.spawn("p", target.spec("sleep"))
    await anext(process.output())
    await process.signal(name)
    assert await process.wait() == (CONTROL_C_EXIT if target.windows else 128 + number)


async def test_kill_ends_a_program_at_once(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("trap", "9"))
    await anext(process.output())
    await process.signal("KILL")
    assert await process.wait() == 137
    await process.signal("KILL")  # to one that has ended is no error
    await process.signal("TERM")


async def test_an_unknown_signal_is_refused(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("sleep"))
    with pytest.raises(InvalidRequest, match=r"^unknown signal: USR7$"):
        await process.signal("USR7")
    await process.signal("KILL")
    assert await process.wait() == 137
    await process.signal("KILL")  # to signal what has ended is no error


async def test_what_a_program_leaves_behind_ends_with_it(target: Target, guest: AgentGuest) -> None:
    # The stray holds stderr, whose end is not waited for, and is gone when wait is answered.
    process = await guest.spawn("p", target.spec("stray"))
    stdout, _ = await asyncio.wait_for(collect(process), 60)
    assert await process.wait() == 0
    stray = stdout.decode().strip()
    assert stray.isdigit()
    assert await collect(await guest.spawn("q", target.spec("alive", stray))) == (b"false\n", b"")


async def test_no_handle_of_the_agents_reaches_a_program(target: Target, guest: AgentGuest) -> None:
    target.needs("no other handles")
    others = [await guest.spawn(f"o{n}", target.spec("sleep", stdin=True)) for n in range(3)]
    assert await collect(await guest.spawn("p", target.spec("handles"))) == (b"[]\n", b"")
    for other in others:
        await other.signal("KILL")
        assert await other.wait() == 137


async def test_execs_side_by_side(target: Target, guest: AgentGuest) -> None:
    async def one(number: int) -> None:
        process = await guest.spawn(f"p{number}", target.spec("print", str(number)))
        assert await collect(process) == (b"%d\n" % number, b"")
        assert await process.wait() == 0

    await asyncio.gather(*(one(number) for number in range(20)))


@pytest.mark.slow
async def test_hundreds_of_execs_leave_nothing_in_the_agent(target: Target, guest: AgentGuest) -> None:
    async def run(number: int) -> None:
        process = await guest.spawn(f"p{number}", target.spec("exit", "0"))
        assert await collect(process) == (b"", b"")
        assert await process.wait() == 0

    for number in range(20):
        await run(number)
    before = await _resources(target, guest, "before")
    for number in range(20, 300):  # more than what the agent's table of 256 holds
        await run(number)
    after = await _resources(target, guest, "after")
    assert before > 0
    assert after <= before + 8  # threads of Go's runtime come and go, each with a handle or two


async def _resources(target: Target, guest: AgentGuest, name: str) -> int:
    """The agent's open descriptors, or Windows handles."""
    if not target.windows:
        return len(os.listdir(f"/proc/{target.pid}/fd"))
    process = await guest.spawn(name, target.spec("count-parent"))
    stdout, _ = await collect(process)
    return int(stdout)


async def test_a_request_longer_than_a_frame_comes_in_parts(target: Target, guest: AgentGuest) -> None:
    # Windows' environment holds 32,767 characters in one value.
    env = {f"NAME{n}": chr(97 + n % 26) * 9_000 for n in range(20)}
    process = await guest.spawn("p", target.spec("env", *env, env=env))
    stdout, _ = await collect(process)
    assert stdout.decode().splitlines() == list(env.values())


async def test_a_closed_table_starts_nothing(target: Target, guest: AgentGuest) -> None:
    if not target.own:
        pytest.skip("this agent serves the other tests as well")
    sleeper = await guest.spawn("p", target.spec("sleep"))
    await guest.shutdown(timeout=60)
    assert await sleeper.wait() == 137
    with pytest.raises(Unavailable, match=r"^the guest is shutting down$"):
        await guest.spawn("q", ProcessSpec((target.subject,), target.subject, cwd=target.folder))

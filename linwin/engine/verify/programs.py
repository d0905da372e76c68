"""Checks of programs: how they start, what they are told, what they print, how they end."""

from __future__ import annotations

import random
import re

from linwin.engine.command import escape
from linwin.engine.verify.bench import Bench
from linwin.engine.verify.box import Box
from linwin.engine.verify.boxes import hostname
from linwin.engine.verify.check import Failed, Unchecked, expect, expect_in
from linwin.errors import CommandNotFound, InvalidRequest
from linwin.model.builds import build_of

CODES = (0, 7, 259, 0xFFFFFFFF)
"""One of each sort: 259 is STILL_ACTIVE, which Windows says of a process that has not ended."""
MISSING = "linwin-verify-no-such-program.exe"
MEGABYTE = 1 << 20
LINE = 62
VARIABLE = ("LINWIN_VERIFY", "a b%c^&=d")
FOLDER = "C:\\Windows"
QUOTED = 'one "two"  three\\'
KEY = "HKCU\\linwin-verify"
VALUE = 'say "hi" to the end \\'
LONGEST_NETBIOS_NAME = 15


async def exit_codes(bench: Bench, box: Box) -> str:
    for code in CODES:
        signed = code - (1 << 32) if code >= 1 << 31 else code
        expect(code, (await box.cmd(f"exit {signed}")).code, f"the exit code of exit {signed}")
    return ", ".join(map(str, CODES))


async def missing(bench: Bench, box: Box) -> str:
    try:
        ran = await box.run(MISSING)
    except CommandNotFound as error:
        return error.message
    raise Failed("a program that is not found", f"one that ended with {ran.code}")


async def streams(bench: Bench, box: Box) -> str:
    ran = await box.cmd("echo to stdout& echo to stderr>&2")
    expect((b"to stdout\r\n", b"to stderr\r\n"), (ran.out, ran.err), "stdout and stderr")
    return "stdout and stderr come apart"


async def end_of_input(bench: Bench, box: Box) -> str:
    """findstr ends when its input does."""
    ran = await _found(box, b"x1\r\nother\r\nx2\r\n")
    expect(b"x1\r\nx2\r\n", ran, "the lines with an x")
    return "a program saw the end of its input"


async def megabyte(bench: Bench, box: Box) -> str:
    """Each line has an x, so that findstr prints what it reads."""
    digits = random.Random(MEGABYTE)  # any digits that do not repeat
    lines = MEGABYTE // (LINE + 3)
    sent = b"".join(b"x%062d\r\n" % digits.randrange(10**LINE) for _ in range(lines))
    got = await _found(box, sent)
    if got != sent:
        same = next((at for at, (a, b) in enumerate(zip(sent, got, strict=False)) if a != b), len(got))
        raise Failed(f"the {len(sent)} bytes that were sent", f"{len(got)}, the same up to byte {same}")
    return f"{len(sent)} bytes came back as they were sent"


async def _found(box: Box, data: bytes) -> bytes:
    try:
        ran = await box.run("findstr", "x", stdin=data)
    except CommandNotFound as error:
        raise Unchecked("this guest has no findstr to read with") from error
    expect(0, ran.code, "the exit code of findstr")
    return ran.out


async def environment(bench: Bench, box: Box) -> str:
    name, value = VARIABLE
    ran = await box.run("cmd", "/c", f"set {name}", env=(f"{name}={value}",))
    expect(f"{name}={value}", ran.text, f"set {name}")
    return ran.text


async def working_folder(bench: Bench, box: Box) -> str:
    ran = await box.run("cmd", "/c", "cd", cwd=FOLDER)
    expect(FOLDER.lower(), ran.text.lower(), "the working folder")
    return ran.text


async def command_line(bench: Bench, box: Box) -> str:
    """cmd's echo prints its command line as it stands, quotes and all."""
    ran = await box.run("cmd", "/c", "echo", QUOTED)
    expect(escape(QUOTED), ran.text, "the command line behind echo")
    return ran.text


async def arguments(bench: Bench, box: Box) -> str:
    """reg takes its command line apart as every program does that Microsoft's C runtime starts."""
    added = await box.run("reg", "add", KEY, "/v", "a b", "/d", VALUE, "/f")
    expect(0, added.code, "the exit code of reg add")
    shown = await box.run("reg", "query", KEY, "/v", "a b")
    await box.run("reg", "delete", KEY, "/f")
    found = re.search(r"a b\s+REG_SZ\s+([^\r\n]*)", shown.text)
    expect(VALUE, found[1].rstrip("\r") if found else shown.text, "the value that reg was given")
    return f"reg was given {VALUE}"


async def administrator(bench: Bench, box: Box) -> str:
    return await _user(bench, box, "ContainerAdministrator")


async def user(bench: Bench, box: Box) -> str:
    if not bench.is_wine:
        raise Unchecked("the agent of a windows guest runs programs as ContainerAdministrator alone")
    return await _user(bench, box, "ContainerUser")


async def _user(bench: Bench, box: Box, name: str) -> str:
    try:
        ran = await box.run("cmd", "/c", "echo %USERNAME%", user=name)
    except InvalidRequest as error:
        raise Failed(f"a program that runs as {name}", error.message) from error
    if bench.is_wine:
        expect(name, ran.text, "the name of the user")
        return f"{ran.text}, which is a name here and no right"
    expect(0, ran.code, "the exit code of a program")
    return f"runs as {ran.text}"


async def no_such_user(bench: Bench, box: Box) -> str:
    try:
        ran = await box.run("cmd", "/c", "echo %USERNAME%", user="linwin-verify-nobody")
    except InvalidRequest as error:
        return error.message
    raise Failed("a refusal", f"a program that ran as {ran.text}")


async def build(bench: Bench, box: Box) -> str:
    ran = await box.cmd("ver")
    if bench.template.serves_any_build:
        raise Unchecked(f"the template runs images of every build; its ver says {ran.text}")
    builds = sorted({build_of(base.os_version) for base in bench.template.provides})
    if not any(re.search(rf"\b{re.escape(build)}\b", ran.text) for build in builds):
        raise Failed(f"Windows {' or '.join(builds)}", ran.text)
    return ran.text


async def computer_name(bench: Bench, box: Box) -> str:
    wanted = hostname("box")
    ran = await box.cmd("echo %COMPUTERNAME%")
    expect(wanted.upper()[:LONGEST_NETBIOS_NAME], ran.text, "COMPUTERNAME")
    if not bench.is_wine:
        return f"{ran.text}; hostname tells it from the next start of Windows on"
    expect(wanted, (await box.run("hostname")).text, "what hostname prints")
    return wanted


async def processes(bench: Bench, box: Box) -> str:
    listed = [process.name.lower() for process in await bench.engine.top(box.id)]
    expect_in("cmd.exe", " ".join(listed), "a list of processes")
    return ", ".join(listed)

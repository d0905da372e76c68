"""linwin's own command line against the daemon: the same words as docker's, and what is linwin's own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from linwin.model.files import Change
from linwin.model.template import Unusable
from tests.scenario.fakes.images import archive
from tests.scenario.fakes.programs import flood_bytes
from tests.scenario.harness import IMAGE, Daemon, Finished, told_of_wine


@dataclass(frozen=True)
class Linwin:
    """The command line as its own process, pointed at the daemon."""

    host: str
    home: Path

    @asynccontextmanager
    async def started(self, *arguments: str, stdin: int = DEVNULL) -> AsyncIterator[Process]:
        """A command that runs; it is killed, where it has not ended, when the context ends."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LINWIN_HOST": self.host}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "linwin", *arguments, stdin=stdin, stdout=PIPE, stderr=PIPE, env=environment
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def __call__(self, *arguments: str, stdin: bytes | None = None) -> Finished:
        async with self.started(*arguments, stdin=DEVNULL if stdin is None else PIPE) as process:
            out, err = await asyncio.wait_for(process.communicate(stdin), 60)
        assert process.returncode is not None
        return Finished(process.returncode, out, err)


@pytest.fixture
async def linwin(daemon: Daemon, short_folder: Path) -> Linwin:
    """A command line that has said already which template it runs on, as it does once."""
    told_of_wine(short_folder / ".local" / "state")
    return Linwin(daemon.host, short_folder)


async def test_the_first_run_tells_the_template(daemon: Daemon, short_folder: Path) -> None:
    done = await Linwin(daemon.host, short_folder)("run", "--rm", IMAGE, "echo", "hi")
    assert (done.code, done.out) == (0, b"hi\n")
    assert b"wine" in done.err


async def test_run(linwin: Linwin, daemon: Daemon) -> None:
    assert await linwin("run", "--rm", IMAGE, "cmd", "/c", "echo hi") == Finished(0, b"hi\n", b"")
    assert await linwin("run", "--rm", IMAGE, "cmd", "/c", "exit 42") == Finished(42, b"", b"")
    assert await linwin("run", "--rm", IMAGE, "complain") == Finished(3, b"to stdout\n", b"to stderr\n")
    assert await daemon.nothing_left()


async def test_run_passes_input(linwin: Linwin, daemon: Daemon) -> None:
    assert await linwin("run", "-i", "--rm", IMAGE, "sort", stdin=b"b\na\n") == Finished(0, b"a\nb\n", b"")
    data = flood_bytes(3_000_000)
    done = await linwin("run", "-i", "--rm", IMAGE, "cat", stdin=data)
    assert (done.code, done.out == data, done.err) == (0, True, b"")
    assert await daemon.nothing_left()


async def test_fifty_megabytes_arrive_byte_exact(linwin: Linwin) -> None:
    done = await linwin("run", "--rm", IMAGE, "flood", "50000000")
    assert (done.code, done.out == flood_bytes(50_000_000), done.err) == (0, True, b"")


@pytest.mark.parametrize(
    ("command", "code", "complaint"),
    [
        (["nothing.exe"], 127, b"nothing.exe: The system cannot find the file specified."),
        (["powershell"], 127, b"The wine template has no PowerShell; use a windows template."),
        (["denied"], 126, b"permission denied"),
    ],
)
async def test_programs_that_cannot_run(
    linwin: Linwin, daemon: Daemon, command: list[str], code: int, complaint: bytes
) -> None:
    done = await linwin("run", "--rm", IMAGE, *command)
    assert done.code == code
    assert complaint in done.err
    assert await daemon.nothing_left()


async def test_unknown_image(linwin: Linwin, daemon: Daemon) -> None:
    done = await linwin("run", "--rm", "no/such", "x")
    assert done.code == 125
    assert b"pull access denied for no/such, repository does not exist" in done.err
    assert await daemon.nothing_left()


async def test_guest_that_never_says_hello(linwin: Linwin, daemon: Daemon) -> None:
    daemon.fakes.guests.silent = True
    done = await linwin("run", "--rm", IMAGE, "echo", "hi")
    assert done.code == 125
    assert b"the guest's agent did not say hello" in done.err
    assert await daemon.nothing_left()


async def test_detached_life(linwin: Linwin, daemon: Daemon) -> None:
    started = await linwin("run", "-d", "--name", "long", IMAGE, "hang")
    assert (started.code, len(started.out)) == (0, 65)
    listed = (await linwin("ps")).out.decode()
    assert started.out.decode()[:12] in listed
    assert "long" in listed
    async with linwin.started("wait", "long") as waiting:
        assert waiting.stdout
        assert await linwin("stop", "long") == Finished(0, b"long\n", b"")
        assert await waiting.stdout.read() == b"3221225786\n"
    assert (await linwin("logs", "long")).out == b"hanging\ngot TERM\n"
    inspected = json.loads((await linwin("inspect", "long")).out)[0]
    assert (inspected["State"]["Status"], inspected["Linwin"]["Template"]) == ("exited", "wine")
    assert (await linwin("rm", "long")).code == 0
    assert await daemon.nothing_left()


async def test_images_life(linwin: Linwin, daemon: Daemon) -> None:
    loaded = await linwin("load", stdin=archive("team/app:1"))
    assert loaded.code == 0
    assert loaded.out.endswith(b"Loaded image: team/app:1\n")
    assert (await linwin("run", "--rm", "team/app:1")).out == b"loaded\n"
    assert (await linwin("tag", "team/app:1", "other:2")).code == 0
    listed = (await linwin("images")).out.decode()
    assert "team/app" in listed
    assert "other" in listed
    assert (await linwin("rmi", "other:2", "team/app:1")).code == 0
    assert (await linwin("inspect", "team/app:1")).code == 1
    bad = await linwin("load", stdin=archive("team/bad:1", fail_after=1))
    assert bad.code == 1
    assert b"the archive ends in the middle of layer 1\nCopy or download the archive again.\n" in bad.err
    assert await daemon.nothing_left()


async def test_templates(linwin: Linwin) -> None:
    assert b"wine" in (await linwin("template", "ls")).out
    assert (await linwin("template", "build", "wine")).code == 0
    broken = await linwin("template", "build", "broken")
    assert broken.code == 1
    assert b"the package mirror did not answer\nTry again later.\n" in broken.err
    assert (await linwin("template", "rm", "wine")).code == 0


async def test_a_template_that_cannot_be_used_is_told(linwin: Linwin, daemon: Daemon) -> None:
    reason = "its record was written by another version of linwin"
    told = f"{reason}; build it again: linwin template build wine".encode()
    daemon.fakes.templates.installed.clear()
    daemon.fakes.templates.spoilt.append(Unusable("wine", reason))
    assert b"CANNOT BE USED: " + told in (await linwin("template", "ls")).out
    refused = await linwin("create", "microsoft/nanoserver")
    assert refused.code == 1
    assert refused.err.endswith(told + b"\n")
    checked = await linwin("system", "check")
    assert checked.code == 1
    assert f"template wine {reason}\n".encode() in checked.out.replace(b"  ", b" ")


async def test_diff(linwin: Linwin, daemon: Daemon) -> None:
    assert (await linwin("run", "--name", "box", IMAGE, "exit", "0")).code == 0
    daemon.fakes.disks.changed = [
        Change("modified", "/a"),
        Change("added", "/a/b\nc"),
        Change("deleted", "/d"),
    ]
    assert await linwin("diff", "box") == Finished(0, b"C /a\nA /a/b c\nD /d\n", b"")


@pytest.mark.parametrize("verb", ["run", "create", "pull"])
async def test_without_a_template(linwin: Linwin, daemon: Daemon, verb: str) -> None:
    daemon.fakes.templates.installed.clear()
    daemon.fakes.images.stored.clear()
    sentence = (
        b"linwin: no template is installed, and images run on one\n"
        b"Build one, which takes some minutes: linwin template build wine\n"
    )
    done = await linwin(verb, IMAGE)
    assert (done.code, done.err.endswith(sentence)) == (125 if verb == "run" else 1, True)
    reason = "its record was written by another version of linwin"
    daemon.fakes.templates.spoilt.append(Unusable("wine", reason))
    done = await linwin(verb, IMAGE)
    assert done.err.endswith(
        f"linwin: the template wine cannot be used: {reason}\n"
        "To run images, build it again: linwin template build wine\n".encode()
    )
    assert await daemon.nothing_left()


async def test_version_and_info(linwin: Linwin) -> None:
    assert b"1.50" in (await linwin("version")).out
    assert b"tcg" in (await linwin("info")).out


async def test_a_killed_client_leaves_nothing(linwin: Linwin, daemon: Daemon) -> None:
    async with linwin.started("run", "--rm", IMAGE, "flood", "20000000") as client:
        assert client.stdout
        await client.stdout.readexactly(100_000)
        client.kill()
    await daemon.settled()
    assert await daemon.nothing_left()

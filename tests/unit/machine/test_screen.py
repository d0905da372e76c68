"""Machines that somebody sits at: pictures of the screen, a keyboard, a console that is typed at."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from linwin import paths
from linwin.errors import Conflict, Unavailable, Unsupported
from linwin.machine import picture
from linwin.machine.qemu import QemuMachines
from linwin.machine.running import QemuMachine
from linwin.model.machine import MachineSpec
from tests.unit.machine.conftest import kernel_of
from tests.unit.machine.sitting import TEXT, Viewer, echo_guest, read_png

pytestmark = pytest.mark.usefixtures("emulated")


@pytest.fixture
def seat(spec: MachineSpec) -> MachineSpec:
    """A machine with a screen, whose guest answers what is typed."""
    kernel_of(spec).write_bytes(echo_guest())
    return replace(spec, screen=True)


@asynccontextmanager
async def booted(machines: QemuMachines, spec: MachineSpec) -> AsyncIterator[QemuMachine]:
    machine = await machines.boot(spec)
    try:
        yield machine
    finally:
        await machine.quit()


async def shown(machine: QemuMachine, wanted: str) -> str:
    """What is on the console once ``wanted`` is."""
    text = ""
    async with asyncio.timeout(60):
        async for piece in machine.console(last=None, follow=True):
            text += piece
            if wanted in text:
                break
    return text


async def typed(machine: QemuMachine, letter: str) -> None:
    """Type until the guest answers: firmware that is still starting up keeps no keys."""
    line = await machine.open_screen()
    viewer = Viewer(line)
    await viewer.greet()
    answered = asyncio.create_task(shown(machine, letter))
    while not answered.done():
        await viewer.press(letter)
        await asyncio.wait([answered], timeout=0.5)
    await answered
    line.close()


async def test_the_screen_is_pictured(machines: QemuMachines, seat: MachineSpec) -> None:
    async with booted(machines, seat) as machine:
        await typed(machine, "k")
        first, second = await asyncio.gather(machine.screenshot(), machine.screenshot())
        found = read_png(first)
        assert (found.width, found.height) == (720, 400), "80 by 25 characters"
        assert found.colours == {bytes(3), b"\xa8\xa8\xa8"}, "grey on black"
        assert read_png(second).width == 720
        lent = [fd for fds in await machine._execute("query-fdsets") for fd in fds["fds"]]
        assert [fd.get("opaque") for fd in lent] == ["console"], "QEMU keeps a file that it was lent"


async def test_two_viewers_look_at_once(machines: QemuMachines, seat: MachineSpec) -> None:
    async with booted(machines, seat) as machine:
        await typed(machine, "y")
        lines = [await machine.open_screen() for _ in range(2)]
        for line in lines:
            assert await Viewer(line).greet() == (720, 400, "QEMU (linwin-0123456789ab)")
        for line in lines:
            line.close()
            line.close()


async def test_the_console_is_typed_at_by_one(machines: QemuMachines, seat: MachineSpec) -> None:
    async with booted(machines, seat) as machine:
        await typed(machine, "k")  # the guest is up
        line = await machine.open_console()
        with pytest.raises(Conflict) as caught:
            await machine.open_console()
        assert str(caught.value) == (
            "somebody else types at the console of machine 0123456789ab\n"
            "Read it meanwhile: linwin console --follow"
        )
        await line.send(b"Q")
        async with asyncio.timeout(20):
            assert await line.receive() == b"q"
        line.close()
        again = await machine.open_console()
        await again.send(b"Z")
        async with asyncio.timeout(20):
            assert await again.receive() == b"z"
        again.close()
        assert "qz" in await shown(machine, "z"), "the log has what was written to the terminal too"


async def test_a_line_ends_with_its_machine(machines: QemuMachines, seat: MachineSpec) -> None:
    async with booted(machines, seat) as machine:
        screen, console = await machine.open_screen(), await machine.open_console()
        await Viewer(screen).greet()
    for line in (screen, console):
        async with asyncio.timeout(20):
            while await line.receive():
                pass
        with pytest.raises(Unavailable) as caught:
            await line.send(b"x")
        assert str(caught.value) == "the machine ended before it took all of what was typed"
        line.close()


async def test_a_machine_that_is_adopted_or_paused_is_looked_at_too(
    machines: QemuMachines, seat: MachineSpec
) -> None:
    await (await machines.boot(seat)).release()
    machine = await machines.adopt(MachineSpec.of_running(seat.id, seat.run_dir), 0)
    assert machine is not None
    try:
        await typed(machine, "k")
        line = await machine.open_console()
        await machine.pause()
        assert read_png(await machine.screenshot()).colours == {bytes(3), b"\xa8\xa8\xa8"}
        line.close()
    finally:
        await machine.quit()


@pytest.mark.root
async def test_a_machine_of_a_user_of_its_own_is_pictured(machines: QemuMachines, seat: MachineSpec) -> None:
    async with booted(machines, replace(seat, uid=61234)) as machine:
        assert read_png(await machine.screenshot()).width > 0
        (await machine.open_screen()).close()


async def test_a_machine_without_a_screen_says_so(machines: QemuMachines, spec: MachineSpec) -> None:
    async with booted(machines, spec) as machine:
        for look in (machine.screenshot, machine.open_screen):
            with pytest.raises(Unsupported) as caught:
                await look()
            assert str(caught.value) == "machine 0123456789ab has no screen"
        with pytest.raises(Unsupported) as caught:
            await machine.open_console()
        assert str(caught.value) == "the console of machine 0123456789ab takes no input"
        assert not (spec.run_dir / paths.CONSOLE_SOCKET).exists()
        assert await shown(machine, "hello\n") == "hello\n"


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    signature = b"\x89PNG\r\n\x1a\n"
    end = b"\0\0\0\0IEND\xae\x42\x60\x82"
    whole = signature + b"\0\0\0\1tEXtx\0\0\0\0" + end
    with open(tmp_path / "picture", "w+b", buffering=0) as file:
        for data in (b"", b"P6 1 1 255 abc", signature, whole[:-1], whole + b"more", b"x" + whole):
            file.truncate(0)
            os.pwrite(file.fileno(), data, 0)
            with pytest.raises(Unavailable) as caught:
                picture.whole_picture(file.fileno())
            assert str(caught.value) == "QEMU did not make a picture of the screen\nTry once more."
        file.truncate(0)
        os.pwrite(file.fileno(), whole, 0)
        assert picture.whole_picture(file.fileno()) == whole
        file.truncate(picture.LARGEST + 1)
        with pytest.raises(Unavailable):
            picture.whole_picture(file.fileno())


def test_the_text_is_the_guests() -> None:
    assert TEXT.encode() in echo_guest()

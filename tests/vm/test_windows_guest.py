"""Containers on a template of Windows, under both drivers, as far as firmware and a program of ours go.

The program stands in the place of Windows' boot manager. It tells the console what it found and waits for a
key, and no agent ever answers: what a container is before Windows runs, and when it does not come up.
"""

from __future__ import annotations

import asyncio
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from linwin.paths import VARIABLES, Paths
from tests.scenario.terminal import at_terminal
from tests.unit.images.archive_writer import Sample, layer_tar, write
from tests.unit.templates.windows import media
from tests.unit.templates.windows.readers import Disk
from tests.vm.conftest import PATIENCE, Linwin, root_folder, until
from tests.vm.libvirt_host import LibvirtHost, libvirt_host
from tests.vm.windows_disk import NAME, build_template

IMAGE = "example/app"
END = "linwin-efi: end"
BOOT = 240.0
"""Seconds for firmware to come to the program; five do on an idle machine."""


@pytest.fixture(scope="module", params=["qemu", "libvirt"])
def linwin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linwin]:
    """A daemon with that driver, whose only template is of Windows, and an image with a layer above it."""
    driver, folder = request.param, tmp_path_factory.mktemp("windows")
    settings = folder / "linwin.toml"
    settings.write_text(f'[machine]\ndriver = "{driver}"\n')
    host: LibvirtHost | None = request.getfixturevalue("libvirt") if driver == "libvirt" else None
    with root_folder() as root:
        linwin = Linwin(root, host.inside if host else ())
        linwin.environment["LINWIN_CONFIG"] = str(settings)
        build_template(folder, Paths(root, linwin.socket), "STAY")
        try:
            _load_image(linwin, folder)
            yield linwin
        finally:
            linwin("daemon", "stop", "--purge-network")
        assert linwin.qemus() == {}
    if host:
        assert host.virsh("list", "--all", "--name").split() == []


@pytest.fixture(scope="module")
def libvirt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LibvirtHost]:
    with libvirt_host(tmp_path_factory.mktemp("libvirt")) as host:
        yield host


def _load_image(linwin: Linwin, folder: Path) -> None:
    (base,) = linwin.inspect("microsoft/nanoserver")["RootFS"]["Layers"]
    layers = [None, layer_tar({"app/hello.txt": b"of the layer"})]
    sample = Sample(layers, lacking=[base], tags=[f"{IMAGE}:latest"], os_version=media.OS_VERSION)
    linwin("load", "-i", str(write(folder / "image.tar", sample.docker_members())))


def console(linwin: Linwin, container: str) -> str:
    """What the console says, and nothing while there is no machine yet."""
    words = [*linwin.words, "console", container]
    return subprocess.run(words, env=linwin.environment, capture_output=True).stdout.decode(errors="replace")


async def type_at(linwin: Linwin, container: str, key: bytes) -> None:
    """Type a key at the console until the guest's next word, or its end."""
    words = [*linwin.words, "console", "--interactive", container]
    async with at_terminal(*words, env=linwin.environment) as terminal:
        await terminal.lent(PATIENCE)
        terminal.type(key)
        if key == b"r":
            await terminal.shows(END.encode(), BOOT)
        else:
            await terminal.ends(BOOT)


def read_from_c(overlay: Path, path: str, folder: Path) -> bytes:
    folder.mkdir()
    disk = Disk(overlay, folder)
    try:
        return disk.file(path)
    finally:
        disk.close()


def test_a_run_boots_the_containers_own_disk_and_says_why_it_did_not_come_up(
    linwin: Linwin, tmp_path: Path
) -> None:
    with linwin.start("run", "--name", "box", IMAGE, "cmd", stderr=subprocess.PIPE) as run:
        until(lambda: END in console(linwin, "box") or run.poll() is not None, "firmware found no program")
        identity = linwin.inspect("box")["Id"]
        folder = linwin.root / "containers" / identity
        shown = console(linwin, "box")
        assert "linwin-efi: started from \\efi\\boot\\bootx64.efi" in shown.lower()
        assert "linwin-efi: store regf" in shown
        picture = tmp_path / "screen.png"
        linwin("screenshot", "-o", str(picture), "box")
        assert struct.unpack_from(">II", picture.read_bytes(), 16) == (1280, 800)
        owner = (folder / "c.qcow2").stat().st_uid
        assert owner != 0
        assert (folder / VARIABLES).stat().st_uid == owner
        (machine,) = linwin.guests()
        assert Path(f"/proc/{machine}").stat().st_uid == owner
        asyncio.run(type_at(linwin, "box", b"r"))
        assert linwin.guests().keys() == {machine}, "a restart ended the machine"
        asyncio.run(type_at(linwin, "box", b"q"))
        assert run.stderr is not None
        said = run.stderr.read().decode()
        assert run.wait(PATIENCE) == 125
    assert (
        "linwin: Windows did not come up (at its first start, while it set itself up): "
        "the machine ended before its agent said hello; last console lines: " in said
    )
    assert "linwin console --follow box" in said
    assert linwin.guests() == {}
    assert linwin.inspect("box")["State"]["Status"] == "created"
    assert read_from_c(folder / "c.qcow2", "app/hello.txt", tmp_path / "disk") == b"of the layer"
    linwin("rm", "box")
    assert linwin.folders() == []


def test_files_at_rest_are_copied_compared_and_committed(linwin: Linwin, tmp_path: Path) -> None:
    linwin("create", "--name", "box", IMAGE, "cmd")
    note = tmp_path / "note.txt"
    note.write_bytes(b"copied")
    linwin("cp", str(note), "box:C:\\app")
    assert linwin.text("diff", "box") == "C /app\nA /app/note.txt\n"
    overlay = linwin.root / "containers" / linwin.inspect("box")["Id"] / "c.qcow2"
    assert read_from_c(overlay, "app/note.txt", tmp_path / "disk") == b"copied"
    linwin("commit", "box", "example/noted")
    linwin("rm", "box")
    linwin("create", "--name", "again", "example/noted", "cmd")
    linwin("cp", "again:C:\\app\\note.txt", str(tmp_path / "back.txt"))
    assert (tmp_path / "back.txt").read_bytes() == b"copied"
    assert linwin.inspect("again")["Linwin"]["Template"] == NAME
    linwin("rm", "again")
    linwin("rmi", "example/noted")
    linwin("system", "check")
    assert linwin.folders() == []


def test_a_daemon_that_dies_while_windows_starts_leaves_no_machine(linwin: Linwin) -> None:
    linwin("create", "--name", "box", IMAGE, "cmd")
    with linwin.start("start", "box", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as start:
        until(lambda: END in console(linwin, "box") or start.poll() is not None, "firmware found no program")
        linwin.kill_daemon()
    assert len(linwin.guests()) == 1
    assert linwin.inspect("box")["State"]["Status"] == "created"
    assert linwin.guests() == {}
    linwin("rm", "box")
    assert linwin.folders() == []

"""Commits of real containers: at rest and running, files and registry, and what becomes of the layer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.disks.container_disk import compared, told
from tests.unit.disks.ntfs_reader import VolumeReader
from tests.vm.conftest import NANOSERVER, Linwin, until
from tests.vm.test_diff import WORK

OWN = "Windows/System32/config"
"""Where the guest keeps its registry: what changes there travels as deltas."""
MORE = (
    r"attrib +h +r C:\made\moved\one.txt",
    r"mklink C:\made\link moved\one.txt >nul",
    r"mklink /d C:\made\folder moved >nul",
    r"fsutil hardlink create C:\made\again.txt C:\Windows\win.ini >nul",
    r"setx /M COMMITTED yes >nul",
    r"reg delete HKLM\Software\Microsoft\Cryptography /f >nul",
)


def container_disk(linwin: Linwin, name: str) -> Path:
    return linwin.root / "containers" / linwin.inspect(name)["Id"] / "c.qcow2"


def seen(disk: Path, raw: Path) -> dict[str, dict[str, object]]:
    """All that is on a disk but the guest's own registry, and its folder's times."""
    found = VolumeReader(disk, raw).found
    raw.unlink()
    return {path: told(one) for path, one in found.items() if not path.startswith(OWN)}


def test_a_layer_on_its_parent_is_the_volume_of_its_container(linwin: Linwin, tmp_path: Path) -> None:
    linwin("run", "--name", "box", NANOSERVER, "cmd", "/c", " & ".join((*WORK, *MORE)))
    linwin("commit", "-m", "changed", "-c", "LABEL a=b", "box", "made:1")
    disk = tmp_path / "made.qcow2"
    linwin("image", "disk", "made:1", "-o", str(disk))
    ours, theirs = seen(disk, tmp_path / "raw"), seen(container_disk(linwin, "box"), tmp_path / "raw")
    assert "made/moved/one.txt" in theirs
    assert compared(theirs, ours) == []
    linwin("rm", "box")
    query = r"reg query HKLM\Software\Pet & type C:\made\moved\one.txt & set COMMITTED"
    printed = linwin.text("run", "--rm", "made:1", "cmd", "/c", query)
    assert "    Name    REG_SZ    Mog\n" in printed
    assert "one" in printed
    assert printed.endswith("COMMITTED=yes\n")
    gone = r"reg query HKLM\Software\Microsoft\Cryptography"
    linwin("run", "--rm", "made:1", "cmd", "/c", gone, code=1)
    linwin("rmi", "made:1")


def test_what_does_nothing_makes_no_layer(linwin: Linwin) -> None:
    """What the guest writes at each of its starts is not the container's."""
    linwin("run", "--name", "box", "-h", "another", "-m", "640m", NANOSERVER, "cmd", "/c", "exit")
    linwin("start", "-a", "box")
    linwin("commit", "box", "same")
    layers = linwin.text("image", "inspect", "--format", "{{len .RootFS.Layers}}", "same", NANOSERVER)
    assert len(set(layers.split())) == 1
    linwin("rm", "box")
    linwin("rmi", "same")


def test_a_running_container_is_committed_as_it_is(linwin: Linwin) -> None:
    loop = (
        r"reg add HKLM\Software\Pet /v Name /d Tib /f >nul & echo here> C:\here.txt & echo ready"
        " & for /L %i in (1,1,100000) do @(echo %i & ping -n 1 127.0.0.1 >nul)"
    )
    name = linwin.text("run", "-d", NANOSERVER, "cmd", "/c", loop).strip()
    until(lambda: "ready" in linwin.text("logs", name), "the program does not begin")
    linwin("commit", name, "live")
    said = linwin.text("logs", name).count("\n")
    until(lambda: linwin.text("logs", name).count("\n") > said + 2, "the container does not go on")
    linwin("rm", "-f", name)
    printed = linwin.text(
        "run", "--rm", "live", "cmd", "/c", r"type C:\here.txt & reg query HKLM\Software\Pet"
    )
    assert printed.startswith("here")
    assert "Tib" in printed
    linwin("rmi", "live")


def test_an_export_is_imported(linwin: Linwin, tmp_path: Path) -> None:
    linwin("run", "--name", "box", NANOSERVER, "cmd", "/c", r"mkdir C:\kept & echo x> C:\kept\x.txt")
    archive = tmp_path / "box.tar"
    linwin("export", "-o", str(archive), "box")
    names = subprocess.run(["tar", "tf", archive], capture_output=True, text=True, check=True).stdout
    assert "kept/x.txt\n" in names
    linwin("import", "-c", "CMD type C:\\kept\\x.txt", str(archive), "back:1")
    assert linwin.text("run", "--rm", "back:1") == "x\n"
    linwin("rm", "box")
    linwin("rmi", "back:1")


@pytest.mark.parametrize("user", ["ContainerAdministrator", "ContainerUser"])
def test_what_a_user_sets_for_himself_is_kept(linwin: Linwin, user: str) -> None:
    linwin("run", "--name", "box", "-u", user, NANOSERVER, "setx", "MINE", "yes")
    linwin("commit", "box", "personal")
    assert linwin.text("run", "--rm", "-u", user, "personal", "cmd", "/c", "echo %MINE%") == "yes\n"
    linwin("rm", "box")
    linwin("rmi", "personal")


def test_images_of_copies_are_the_same_bytes_again(linwin: Linwin, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"# escape=`\nFROM {NANOSERVER}\nWORKDIR C:\\app\nCOPY . .\nENV A=1\nCMD a\n"
    )
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("a")
    os.utime(tmp_path / "folder" / "a.txt", (4_000_000_000, 4_000_000_000))
    words = ("build", "-q", "--no-cache", "--timestamp", "1700000000", str(tmp_path))
    first = linwin.text(*words)
    assert first.startswith("sha256:")
    assert linwin.text(*words) == first
    linwin("rmi", first.strip())

"""Bad input and bad luck: each a named error with a hint, and nothing left behind."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.vm.conftest import Linwin, daemon, disk

NANOSERVER = "microsoft/nanoserver"


def test_an_unknown_image_is_125_and_leaves_no_row(linwin: Linwin) -> None:
    done = linwin("run", "--rm", "example/unknown:1", "cmd", code=125)
    assert b"example/unknown:1" in done.stderr


def test_a_guest_that_never_says_hello_is_quoted(own_daemon: Linwin) -> None:
    linwin = own_daemon
    template = next((linwin.root / "templates").glob("wine*/"))
    initrd = next(path for path in template.rglob("*") if path.name.startswith("initrd"))
    broken = initrd.with_name("broken")
    broken.write_bytes(b"no initramfs at all")
    broken.chmod(0o644)
    broken.replace(initrd)
    done = linwin("run", "--rm", "--cold", NANOSERVER, "cmd", "/c", "ver", code=125)
    message = done.stderr.decode()
    assert "last console lines" in message
    assert "panic" in message.lower()
    assert linwin.containers() == []
    assert linwin.folders() == []
    assert linwin.guests() == {}


def test_a_full_disk_stops_a_load_with_nothing_left(tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(range(256)) * (64 << 12))
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        for name in ("Files", "Hives"):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        tar.add(big, "Files/big.bin")
    diff_id = "sha256:" + hashlib.sha256(layer.read_bytes()).hexdigest()
    config = tmp_path / "config.json"
    document = {"os": "windows", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    config.write_text(json.dumps({**document, "config": {"Cmd": ["cmd"]}}))
    manifest = tmp_path / "manifest.json"
    entry_ = {"Config": "config.json", "RepoTags": ["example/big:1"], "Layers": ["layer.tar"]}
    manifest.write_text(json.dumps([entry_]))
    with tarfile.open(archive, "w") as tar:
        for path in (config, layer, manifest):
            tar.add(path, path.name)
    with daemon(megabytes=200) as linwin:
        before = sorted(path for path in linwin.root.rglob("*") if path.is_file())
        done = linwin("load", "-i", str(archive), code=1)
        assert b"no space left on device" in done.stderr
        assert sorted(path for path in linwin.root.rglob("*") if path.is_file()) == before
        assert "example/big" not in linwin.text("images")


def test_a_full_disk_under_a_container_is_the_guests_error_not_the_daemons(own_daemon: Linwin) -> None:
    linwin = own_daemon
    with disk(linwin.root / "containers", 24):
        fill = "for /l %i in (1,1,60) do @copy /y C:\\windows\\system32\\shell32.dll C:\\f%i >nul"
        identity = linwin.text("run", "-d", "--name", "full", NANOSERVER, "cmd", "/c", fill).strip()
        linwin("wait", identity)
        state = linwin.inspect("full")["State"]
        assert state["Status"] == "exited"
        assert state["Error"].startswith("the container's disk may lack what was written last: ")
        linwin("rm", "full")
        assert linwin.folders() == []
    assert linwin.text("version") != ""


@pytest.mark.parametrize("damage", ["truncate", "flip", "linux"])
def test_a_bad_archive_is_refused_and_nothing_is_kept(linwin: Linwin, tmp_path: Path, damage: str) -> None:
    before = linwin.text("images")
    source = tmp_path / "good"
    source.mkdir()
    config = {"os": "linux" if damage == "linux" else "windows", "architecture": "amd64"}
    (source / "config.json").write_text(
        json.dumps({**config, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}})
    )
    (source / "layer.tar").write_bytes(b"\0" * 20480)
    (source / "manifest.json").write_text(
        json.dumps([{"Config": "config.json", "RepoTags": ["example/bad:1"], "Layers": ["layer.tar"]}])
    )
    archive = tmp_path / "bad.tar"
    with tarfile.open(archive, "w") as tar:
        for path in sorted(source.iterdir()):
            tar.add(path, path.name)
    if damage == "truncate":
        with archive.open("r+b") as file:
            file.truncate(9000)
    done = linwin("load", "-i", str(archive), code=1)
    expected = {
        "truncate": b"the archive ends within its member layer.tar",
        "flip": b"sha256",
        "linux": b"linux/amd64",
    }[damage]
    assert expected in done.stderr
    assert linwin.text("images") == before
    shutil.rmtree(source)


def test_a_second_daemon_lives_beside_the_first(linwin: Linwin) -> None:
    linwin("create", "--name", "first", NANOSERVER, "cmd")
    with daemon(like=linwin) as second:
        assert second.containers() == []
        second("run", "--rm", NANOSERVER, "cmd", "/c", "exit 3", code=3)
    linwin("rm", "first")

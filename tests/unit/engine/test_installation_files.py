"""The files of an installer's machine, one of which holds a password and perhaps a product key."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from linwin.engine.install import _hand_over
from linwin.model.installation import Installation
from linwin.model.machine import FirmwareBoot, MachineSpec


def test_their_folder_is_opened_when_nobody_else_can_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "build"
    folder.mkdir(0o700)
    disk, answers = folder / "disk.qcow2", folder / "answers.iso"
    for path in (disk, answers):
        path.write_bytes(b"")
    modes: dict[str, int] = {}
    change = Path.chmod

    def chmod(path: Path, mode: int) -> None:
        if path == folder:
            modes.update({one.name: stat.S_IMODE(one.stat().st_mode) for one in (disk, answers)})
        change(path, mode)

    monkeypatch.setattr(Path, "chmod", chmod)
    installation = Installation("core", disk, (answers,), 1024)
    boot = FirmwareBoot(folder / "variables.fd", discs=(answers,))
    spec = MachineSpec("installer", boot=boot, memory=1024, cpus=0, run_dir=tmp_path / "machine", uid=0)
    _hand_over(installation, spec)
    assert modes == {"disk.qcow2": 0o600, "answers.iso": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o711

"""What a registry from outside says, which may be anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from linwin.templates.windows import found, hive
from linwin.templates.windows.additions import HIVES
from linwin.templates.windows.hive import Edits
from tests.unit.templates.windows import disks, media


async def hives(folder: Path, software: Edits, system: Edits) -> dict[str, Path]:
    await media.hives(folder)
    architecture = {disks.ENVIRONMENT: {"PROCESSOR_ARCHITECTURE": hive.text("AMD64")}}
    await hive.merge(folder / "SYSTEM", hive.combined(architecture, system))
    await hive.merge(folder / "SOFTWARE", hive.combined({disks.KEY: disks.CURRENT}, software))
    return {name: folder / name for name in HIVES}


async def test_words_are_one_short_line_and_a_revision_is_a_number(tmp_path: Path) -> None:
    name = f"Windows\n\x1b[2J{'x' * 500}"
    odd = {disks.KEY: {"ProductName": hive.text(name), "UBR": hive.text("1.evil")}}
    told = await found.inspect(await hives(tmp_path, odd, {}), tmp_path / "no volume", "it")
    assert told.product == f"Windows[2J{'x' * 88}"
    assert told.os_version == "10.0.20348.0"


async def test_a_path_longer_than_any_is_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be looked for in each of its folders."""
    label, database = "viostor.inf_amd64_0", ("DriverDatabase",)
    version = {"Version": hive.binary(bytes(64))}
    service = {"Start": hive.dword(0), "ImagePath": hive.text("a\\" * 2000)}
    edits = {
        (*database, "DriverInfFiles", "oem0.inf"): {"": hive.texts(label)},
        (*database, "DriverPackages", label): version,
        (*database, "DriverPackages", label, "Configurations", "a"): {"Service": hive.text("viostor")},
        (media.CONTROL_SET, "Services", "viostor"): service,
    }
    looked: list[str] = []

    async def exists(_: Path, path: str) -> bool:
        looked.append(path)
        return True

    monkeypatch.setattr(found, "_exists", exists)
    read = await hives(tmp_path, {}, edits)
    assert (await found.inspect(read, tmp_path / "no volume", "it")).drivers == {}
    assert looked == []
    await hive.merge(
        read["SYSTEM"], {(media.CONTROL_SET, "Services", "viostor"): {"ImagePath": hive.text("a")}}
    )
    assert set((await found.inspect(read, tmp_path / "no volume", "it")).drivers) == {"viostor"}
    assert looked == ["Windows/a"]

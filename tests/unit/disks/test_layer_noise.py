"""Noise on a container's C: stays out of its layer, and leaves no trace in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.disks.container_disk import REGISTRY, Container, set_attributes
from tests.unit.disks.test_layer_form import members

pytestmark = pytest.mark.root

GUID = "{53b39e88-18c4-11ea-a811-000d3aa4692b}"


def noise(c: Path) -> None:
    (c / "pagefile.sys").write_bytes(bytes(200_000))
    (c / "System Volume Information").mkdir()
    (c / "System Volume Information/x").touch()
    (c / "Windows/System32/config/linwin/system.reg").write_text(REGISTRY.format(1_700_000_000, "before"))
    (c / "Windows/System32/config/linwin/other").touch()
    (c / "Windows/System32/config/SYSTEM.LOG1").write_text("log")
    (c / f"data/X{GUID}.TM.blf").touch()
    (c / "Windows/Prefetch").mkdir()
    (c / "Windows/Prefetch/CMD.pf").touch()
    (c / "Windows/Temp").mkdir()


def temporary(c: Path) -> None:
    (c / "Windows/Temp/linwin-heredoc-1.cmd").touch()
    (c / "Windows/Temp/linwin-heredoc-1.cmd").unlink()


def without_temp(c: Path) -> None:
    noise(c)
    (c / "Windows/Temp").rmdir()


def test_noise_alone_is_an_empty_layer(container: Container) -> None:
    changed = container(without_temp)
    assert changed.layer().is_empty
    assert list(members(changed)) == ["Files", "Hives"]


def test_the_layer_is_that_of_a_container_without_noise(container: Container) -> None:
    noisy = container(without_temp)
    assert noisy.layer("noisy.tar").diff_id == noisy.change().layer("again.tar").diff_id
    data = (noisy.scratch / "noisy.tar").read_bytes()
    assert data.count(b"Files\0") == 1


def test_what_is_beside_noise_is_in_the_layer(container: Container) -> None:
    changed = container(noise, temporary, lambda c: (c / "data/b").touch())
    assert list(members(changed)) == [
        "Files", "Files/Windows", "Files/Windows/Temp", "Files/data", "Files/data/b", "Hives",
    ]  # fmt: skip


def test_a_folder_of_noise_that_is_hidden_is_in_the_layer(container: Container) -> None:
    changed = container(without_temp, lambda c: set_attributes(c / "Windows/System32/config", 0x12))
    assert list(members(changed)) == [
        "Files", "Files/Windows", "Files/Windows/System32", "Files/Windows/System32/config", "Hives",
    ]  # fmt: skip


def test_a_folder_in_which_a_file_came_and_went_is_in_the_layer(container: Container) -> None:
    changed = container(lambda c: ((c / "empty/x").touch(), (c / "empty/x").unlink()))
    assert list(members(changed)) == ["Files", "Files/empty", "Hives"]
    changed.confirm()


def test_the_registry_travels_as_deltas(container: Container) -> None:
    registry = REGISTRY.format(1_700_000_000, "after")
    changed = container(lambda c: (c / "Windows/System32/config/linwin/system.reg").write_text(registry))
    written = changed.layer()
    assert not written.is_empty
    found = members(changed)
    assert list(found) == ["Files", "Hives", "Hives/Software_Delta"]
    assert found["Hives/Software_Delta"].isfile()
    assert found["Hives/Software_Delta"].size > 4096


def test_noise_that_is_deleted_is_no_whiteout(container: Container) -> None:
    changed = container(lambda c: (c / "Windows/System32/config/linwin/system.reg").unlink())
    assert changed.layer().is_empty


def test_a_deleted_folder_is_a_whiteout_though_noise_was_in_it(container: Container) -> None:
    def change(c: Path) -> None:
        (c / "Windows/System32/config/linwin/system.reg").unlink()
        (c / "Windows/System32/config/linwin").rmdir()
        (c / "Windows/System32/config").rmdir()

    assert list(members(container(change))) == [
        "Files", "Files/Windows", "Files/Windows/System32", "Files/Windows/System32/.wh.config", "Hives",
    ]  # fmt: skip

"""What create refuses before anything exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from linwin.engine.create import choose_template, working_dir
from linwin.errors import InvalidRequest
from linwin.model.image import Image, Platform, RunConfig
from linwin.model.template import BaseImage, Template


@pytest.mark.parametrize("folder", ["C:\\work", "c:/work", "/app", "\\app", "D:\\"])
def test_a_folder_named_whole(folder: str) -> None:
    assert working_dir(folder) == folder


def test_the_default_is_the_drives_root() -> None:
    assert working_dir("") == "C:\\"


@pytest.mark.parametrize("folder", ["work", "C:work", ".", "CC:\\work"])
def test_a_relative_folder_is_refused(folder: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        working_dir(folder)
    assert caught.value.message == (
        f"the working directory '{folder}' is invalid, it needs to be an absolute path"
    )
    assert caught.value.hint == "Name it from its drive, as in C:\\work."


def test_a_newer_windows_runs_images_of_an_older_stable_build() -> None:
    nothing = Path("nothing")
    base = BaseImage(("mcr.microsoft.com/windows/servercore:ltsc2025",), "10.0.26100.1")
    newer = Template(
        "2025", "windows", "sha256:1", nothing, nothing, "", nothing, nothing, 2048, False, (base,)
    )
    for os_version, chosen in (("10.0.20348.1", newer), ("10.0.17763.1", None), ("10.0.26101.1", None)):
        image = Image("sha256:2", Platform(os_version=os_version), RunConfig(), (), 0, ())
        assert choose_template(image, [newer]) is chosen

"""What create refuses before anything exists."""

from __future__ import annotations

import pytest

from linwin.engine.create import working_dir
from linwin.errors import InvalidRequest


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

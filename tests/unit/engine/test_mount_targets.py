"""Where mounts may be in a container, and how lists of them are put together."""

from __future__ import annotations

import pytest

from linwin.engine import mount_targets
from linwin.errors import InvalidRequest
from linwin.model.mount import Mount, MountKind

DATA = Mount("volume", "C:\\Data", "data")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("C:\\data", "C:\\data"),
        ("c:/data/", "C:\\data"),
        ("/data", "C:\\data"),
        ("d:", "D:\\"),
        ("C:\\Windows.old", "C:\\Windows.old"),
        ("D:\\Windows", "D:\\Windows"),
        ("C:\\x\\Windows", "C:\\x\\Windows"),
    ],
)
def test_where_something_may_be_mounted(text: str, target: str) -> None:
    assert mount_targets.checked(Mount("tmpfs", text)) == Mount("tmpfs", target)


OWN = "is Windows' own, and nothing can be mounted there"


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("bind", "C:\\Windows", f"C:\\Windows {OWN}"),
        ("volume", "/windows/System32", f"C:\\windows\\System32 {OWN}"),
        ("tmpfs", "C:\\x\\..\\WINDOWS\\Temp", f"C:\\WINDOWS\\Temp {OWN}"),
        ("volume", "C:\\", "destination path cannot be `c:` or `c:\\`: c:\\"),
        ("bind", "data", "invalid mount path: 'data' mount path must be absolute"),
    ],
)
def test_where_nothing_may_be_mounted(kind: MountKind, text: str, why: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        mount_targets.checked(Mount(kind, text))
    assert caught.value.message == f'invalid mount config for type "{kind}": {why}'
    assert caught.value.hint == "Name a path of the container, such as C:\\data."


def test_two_mounts_at_one_place_are_refused_whatever_their_letters() -> None:
    mount_targets.check_distinct([DATA, Mount("tmpfs", "C:\\Data\\below")])
    with pytest.raises(InvalidRequest) as caught:
        mount_targets.check_distinct([DATA, Mount("tmpfs", "C:\\data")])
    assert caught.value.message == "Duplicate mount point: C:\\data"


def test_what_is_free_is_filled_up() -> None:
    logs = Mount("volume", "C:\\logs")
    assert mount_targets.filled_up([DATA], [Mount("volume", "C:\\DATA"), logs, logs]) == (DATA, logs)


def test_what_another_container_has() -> None:
    first, second = Mount("bind", "C:\\src", "/src", read_only=True, mode="ro"), DATA
    assert mount_targets.taken_over([first, second], read_only=False) == (
        Mount("bind", "C:\\src", "/src", read_only=True, copy=False),
        Mount("volume", "C:\\Data", "data", copy=False),
    )
    assert {one.read_only for one in mount_targets.taken_over([first, second], read_only=True)} == {True}

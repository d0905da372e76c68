"""The list of what unfinished pulls keep."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from linwin.images.registry.interrupted import KEPT_FOR, InterruptedPulls

ONE, TWO, THREE = ("sha256:" + digit * 64 for digit in "123")


def age(folder: Path, manifest: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder / f"{manifest[7:]}.json", (then, then))


def test_it_outlives_the_daemon(tmp_path: Path) -> None:
    InterruptedPulls(tmp_path).begin(ONE, "docker.io/library/a:1", [TWO, THREE])
    again = InterruptedPulls(tmp_path)
    assert again.live_blobs() == {TWO, THREE}
    again.end(ONE)
    again.end(ONE)
    assert again.live_blobs() == InterruptedPulls(tmp_path).live_blobs() == set()


def test_a_week_later_it_is_forgotten(tmp_path: Path) -> None:
    InterruptedPulls(tmp_path).begin(ONE, "docker.io/library/a:1", [TWO])
    age(tmp_path, ONE, KEPT_FOR - 60)
    assert InterruptedPulls(tmp_path).live_blobs() == {TWO}
    age(tmp_path, ONE, KEPT_FOR + 60)
    pulls = InterruptedPulls(tmp_path)
    assert pulls.live_blobs() == set()
    with pulls.running(ONE):
        assert pulls.live_blobs() == {TWO}
    pulls.begin(THREE, "docker.io/library/b:1", [])
    assert [path.stem for path in tmp_path.iterdir()] == [THREE[7:]]


def test_the_same_tag_with_another_image_supersedes(tmp_path: Path) -> None:
    pulls = InterruptedPulls(tmp_path)
    pulls.begin(ONE, "docker.io/library/a:1", [ONE])
    pulls.begin(TWO, "docker.io/library/b:1", [TWO])
    pulls.begin(THREE, "docker.io/library/a:1", [THREE])
    assert pulls.live_blobs() == {TWO, THREE}


def test_running_pulls_are_left_alone(tmp_path: Path) -> None:
    pulls = InterruptedPulls(tmp_path)
    pulls.begin(ONE, "docker.io/library/a:1", [ONE])
    pulls.begin(TWO, "docker.io/library/b:1", [TWO])
    with pulls.running(ONE), pulls.running(ONE):
        pulls.discard()
        pulls.begin(THREE, "docker.io/library/a:1", [THREE])
        assert pulls.live_blobs() == {ONE, THREE}
    pulls.discard()
    assert pulls.live_blobs() == set()


def test_committed_images_are_struck_off(tmp_path: Path) -> None:
    pulls = InterruptedPulls(tmp_path)
    pulls.begin(ONE, "docker.io/library/a:1", [ONE])
    pulls.forget({ONE, TWO})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"manifest": "%s", "blobs": []}' % TWO.encode(),
        b'{"manifest": "%s", "blobs": ["../../x"]}' % ONE.encode(),
    ],
)
def test_a_file_that_is_not_one_keeps_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / f"{ONE[7:]}.json").write_bytes(data)
    assert InterruptedPulls(tmp_path).live_blobs() == set()
    assert list(tmp_path.iterdir()) == []

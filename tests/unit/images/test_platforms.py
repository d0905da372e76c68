"""Which images run on which templates."""

from __future__ import annotations

import pytest

from linwin.errors import InvalidRequest, Unavailable
from linwin.images import platforms
from linwin.model import builds
from linwin.model.image import Platform
from linwin.model.template import BaseImage
from tests.unit.images.archive_writer import template


@pytest.mark.parametrize(
    ("image", "guest", "runs"),
    [
        ("10.0.17763.1", "10.0.17763.5329", True),
        ("10.0.17763.1", "10.0.17764.1", False),
        ("10.0.14393.1", "10.0.20348.1", False),
        ("10.0.20348.1", "10.0.26100.1", True),
        ("10.0.26100.1", "10.0.20348.1", False),
        ("10.0.19042.1", "10.0.20348.1", False),
        ("10.1.20348.1", "10.0.20348.1", False),
        ("", "10.0.20348.1", True),
        ("10.0.20348.1", "", True),
    ],
)
def test_builds_match_as_windows_matches_them(image: str, guest: str, runs: bool) -> None:
    assert builds.runs_on(image, guest) is runs


def test_a_wine_template_serves_every_build() -> None:
    assert builds.serves(template(), "10.0.14393.0")


def test_a_windows_template_serves_its_own() -> None:
    server = template("servercore-2019", any_build=False, provides=[BaseImage(("x",), "10.0.17763.1")])
    assert builds.serves(server, "10.0.17763.5329")
    assert not builds.serves(server, "10.0.20348.1")


def test_ranks_a_served_provided_new_platform_first() -> None:
    server = template("servercore-2019", any_build=False, provides=[BaseImage(("x",), "10.0.17763.1")])
    versions = ["10.0.17763.1", "10.0.17763.9", "10.0.20348.1"]
    ranks = {version: platforms.rank(Platform(os_version=version), [server]) for version in versions}
    assert max(versions, key=lambda version: ranks[version] or ()) == "10.0.17763.9"
    newest = {version: platforms.rank(Platform(os_version=version), [template()]) for version in versions}
    assert max(versions, key=lambda version: newest[version] or ()) == "10.0.20348.1"
    assert platforms.rank(Platform(os="linux"), [server]) is None
    assert platforms.rank(Platform(architecture="arm64"), [server]) is None


@pytest.mark.parametrize(
    ("platform", "named"),
    [
        (Platform(os="linux"), "linux/amd64"),
        (Platform(architecture="arm64"), "windows/arm64"),
        (Platform(os="", architecture=""), "an unnamed system/unknown"),
    ],
)
def test_an_image_for_another_system_is_refused(platform: Platform, named: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        platforms.require_windows(platform, "example/app:1.0")
    assert caught.value.message == (
        f"image example/app:1.0 is for {named}; linwin runs Windows images for amd64"
    )
    assert caught.value.hint == "Build or save the image for the platform windows/amd64."


def test_says_which_build_no_template_serves() -> None:
    server = template("servercore-2019", any_build=False, provides=[BaseImage(("x",), "10.0.17763.1")])
    with pytest.raises(Unavailable) as caught:
        platforms.serving("10.0.20348.169", "example/app:1.0", [server])
    assert caught.value.message == (
        "no template serves image example/app:1.0, which is for Windows 10.0.20348.169 "
        "(templates here: servercore-2019)"
    )
    assert caught.value.hint == (
        "Build one that serves every Windows build with: linwin template build wine; or one of that build, "
        "from an ISO of yours (docs/windows.md)"
    )
    with pytest.raises(Unavailable) as caught:
        platforms.serving("", "example/app:1.0", [])
    assert caught.value.message == (
        "no template serves image example/app:1.0, which is for Windows (templates here: none)"
    )

"""Templates of Windows over the API and the command line: what is asked for, and what they are good for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from linwin import errors
from linwin.model.template import BaseImage, Media, Template
from tests.scenario.docker_py import off_loop
from tests.scenario.harness import IMAGE, Daemon
from tests.scenario.test_linwin_cli import Linwin


@pytest.fixture
def linwin(daemon: Daemon, short_folder: Path) -> Linwin:
    return Linwin(daemon.host, short_folder)


@pytest.fixture
def windows(daemon: Daemon) -> Template:
    """An installed template whose guests are not started."""
    (wine,) = daemon.fakes.templates.installed.values()
    base = BaseImage(("docker.io/microsoft/nanoserver:sac2016",), "10.0.14393.2363")
    template = replace(
        wine, name="nano", kind="windows", provides=(base,), serves_any_build=False, digest="sha256:bb",
        kernel=Path(), initrd=Path(), root_disk=Path(), c_disk=Path("/nowhere/disk.qcow2"),
    )  # fmt: skip
    daemon.fakes.templates.sleeping.append(template)
    return template


async def test_what_a_user_adds_reaches_the_build(linwin: Linwin, daemon: Daemon) -> None:
    words = ("--iso", "/isos/WS2016.iso", "--virtio", "/isos/virtio-win.iso", "--index", "2")
    assert (await linwin("template", "build", *words, "wine")).code == 0
    given = Media(Path("/isos/WS2016.iso"), Path("/isos/virtio-win.iso"), 2)
    assert (await linwin("template", "build", "-q", "wine")).out == b"wine\n"
    assert daemon.fakes.templates.media == [given, Media()]


async def test_a_path_is_the_callers(linwin: Linwin, daemon: Daemon) -> None:
    assert (await linwin("template", "build", "--iso", "here.iso", "wine")).code == 0
    (given,) = daemon.fakes.templates.media
    assert given.iso is not None
    assert given.iso.is_absolute()
    assert given.iso.name == "here.iso"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"Iso": "here.iso"}, "'here.iso' is not an absolute path"),
        ({"Virtio": "/a\0b"}, "invalid JSON: Virtio holds a zero character"),
        ({"Iso": 1}, "invalid JSON: Iso must hold text"),
        ({"Index": "2"}, "invalid JSON: Index must be a whole number"),
        ({"Index": -1}, "no image has the index -1"),
        ({"Index": 1000}, "no image has the index 1000"),
        ([], "invalid JSON: the request's body must be an object"),
    ],
)
async def test_what_cannot_be_is_refused(daemon: Daemon, body: object, message: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        await off_loop(lambda: list(daemon.client.lines("POST", "/linwin/templates/wine/build", body=body)))
    assert caught.value.message.partition("\n")[0] == message
    assert daemon.fakes.templates.media == []


async def test_one_that_is_not_started_is_shown(linwin: Linwin, windows: Template) -> None:
    reason = "this linwin starts no guests of the kind windows"
    listed = (await linwin("template", "ls")).out.decode().splitlines()
    assert listed[2].startswith("nano ")
    assert listed[2].endswith(f"CANNOT BE USED: {reason}")
    (shown,) = json.loads((await linwin("template", "inspect", "nano")).out)
    assert shown["Problem"] == reason
    assert shown["Provides"][0]["OsVersion"] == "10.0.14393.2363"
    assert (shown["Kernel"], shown["RootDisk"], shown["CDisk"]) == ("", "", "/nowhere/disk.qcow2")


async def test_one_that_is_not_started_serves_nothing_and_is_no_fault(
    linwin: Linwin, daemon: Daemon, windows: Template
) -> None:
    assert (await linwin("system", "check")).code == 0
    daemon.fakes.templates.installed.clear()
    refused = await linwin("create", IMAGE)
    assert refused.code == 1
    assert b"template" in refused.err

"""Templates of Windows over the API and the command line: what is asked for, and what they are good for."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from linwin import errors
from linwin.engine import watch
from linwin.engine.create import template_for
from linwin.model.image import Image, Platform, RunConfig
from linwin.model.machine import FirmwareBoot
from linwin.model.template import BaseImage, Media, Template
from tests.scenario.docker_py import off_loop
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.machine import PICTURE
from tests.scenario.harness import IMAGE, Daemon
from tests.scenario.test_linwin_cli import Linwin


@pytest.fixture
def linwin(daemon: Daemon, short_folder: Path) -> Linwin:
    return Linwin(daemon.host, short_folder)


@pytest.fixture
def windows(daemon: Daemon) -> Template:
    """An installed template of Windows."""
    (wine,) = daemon.fakes.templates.installed.values()
    base = BaseImage(("docker.io/microsoft/nanoserver:sac2016",), "10.0.14393.2363")
    template = replace(
        wine, name="nano", kind="windows", provides=(base,), serves_any_build=False, digest="sha256:bb",
        minimum_memory=2048,
        kernel=Path(), initrd=Path(), root_disk=Path(), c_disk=Path("/nowhere/disk.qcow2"),
    )  # fmt: skip
    daemon.fakes.templates.installed["nano"] = template
    return template


async def test_what_a_user_adds_reaches_the_build(linwin: Linwin, daemon: Daemon) -> None:
    words = ("--iso", "/isos/WS2016.iso", "--virtio", "/isos/virtio-win.iso", "--index", "2")
    words += ("--product-key", "aaaaa-BBBBB-CCCCC-DDDDD-11111")
    assert (await linwin("template", "build", *words, "wine")).code == 0
    given = Media(Path("/isos/WS2016.iso"), Path("/isos/virtio-win.iso"), 2, "AAAAA-BBBBB-CCCCC-DDDDD-11111")
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
        ({"ProductKey": "AAAAA-BBBBB"}, "a product key has five groups of five letters and digits"),
        ([], "invalid JSON: the request's body must be an object"),
    ],
)
async def test_what_cannot_be_is_refused(daemon: Daemon, body: object, message: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        await off_loop(lambda: list(daemon.client.lines("POST", "/linwin/templates/wine/build", body=body)))
    assert caught.value.message.partition("\n")[0] == message
    assert daemon.fakes.templates.media == []


async def test_it_is_shown(linwin: Linwin, windows: Template) -> None:
    listed = (await linwin("template", "ls")).out.decode()
    assert "\nnano " in listed
    (shown,) = json.loads((await linwin("template", "inspect", "nano")).out)
    assert shown["Problem"] == ""
    assert shown["Provides"][0]["OsVersion"] == "10.0.14393.2363"
    assert (shown["Kernel"], shown["RootDisk"], shown["CDisk"]) == ("", "", "/nowhere/disk.qcow2")


async def test_its_containers_boot_cold_from_their_own_disks(
    linwin: Linwin, daemon: Daemon, windows: Template
) -> None:
    created = await linwin("create", "--name", "box", "--template", "nano", IMAGE, "hang")
    assert created.err == (
        b"linwin: warning: at its first start Windows sets itself up, which takes minutes; look on with "
        b"linwin console --follow box or linwin screenshot box\n"
    )
    assert (await linwin("start", "box")).code == 0
    (machine,) = daemon.fakes.machines.running.values()
    folder = daemon.paths.container((await daemon.engine.inspect("box")).id)
    assert machine.spec.boot == FirmwareBoot(folder / "variables.fd")
    assert machine.spec.c_disk == folder / "c.qcow2"
    assert (machine.spec.memory, machine.spec.screen, machine.spec.nic) == (2048, True, False)
    (shown,) = json.loads((await linwin("inspect", "box")).out)
    assert (shown["Linwin"]["Template"], shown["Linwin"]["Boot"]) == ("nano", "cold")
    assert (await linwin("checkpoint", "create", "nano")).code == 1
    assert (await linwin("rm", "-f", "box")).code == 0


async def test_windows_shuts_down_before_its_machine_ends(
    linwin: Linwin, daemon: Daemon, windows: Template
) -> None:
    await linwin("run", "-d", "--name", "box", "--template", "nano", IMAGE, "hang")
    (machine,) = daemon.fakes.machines.running.values()
    assert (await linwin("stop", "box")).code == 0
    assert (machine.pressed, machine.exited.result().code) == (1, 0)
    assert daemon.fakes.guests.last_guest.ended_by == "shutdown"
    (shown,) = json.loads((await linwin("inspect", "box")).out)
    assert shown["State"]["Error"] == ""


async def test_a_wine_guest_has_no_use_for_a_power_button(linwin: Linwin, daemon: Daemon) -> None:
    await linwin("run", "-d", "--name", "box", IMAGE, "hang")
    (machine,) = daemon.fakes.machines.running.values()
    assert (await linwin("stop", "box")).code == 0
    assert machine.pressed == 0


async def test_windows_that_does_not_shut_down_is_ended_and_said_so(
    linwin: Linwin, daemon: Daemon, windows: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SWITCH_OFF_TIMEOUT", 0.1)
    await linwin("run", "-d", "--name", "box", "--template", "nano", IMAGE, "hang")
    (machine,) = daemon.fakes.machines.running.values()
    machine.deaf = True
    assert (await linwin("stop", "box")).code == 0
    assert machine.exited.done()
    (shown,) = json.loads((await linwin("inspect", "box")).out)
    assert shown["State"]["Error"] == (
        "the container's disk may lack what was written last: Windows did not shut down within 0.1 s"
    )


async def test_one_that_does_not_come_up_leaves_a_picture(
    linwin: Linwin, daemon: Daemon, windows: Template
) -> None:
    daemon.fakes.guests.silent = True
    failed = await linwin("run", "--name", "box", "--template", "nano", IMAGE, "hang")
    picture = daemon.paths.last_screen((await daemon.engine.inspect("box")).id)
    assert failed.code == 125
    assert (
        "linwin: Windows did not come up (at its first start, while it set itself up): the guest's agent "
        "did not say hello within 5400 s" in failed.err.decode()
    )
    assert (
        f"What its screen showed last is in {picture}. Look on at its next start: "
        "linwin console --follow box, linwin screenshot box. docs/windows.md says what may be wrong."
        in failed.err.decode()
    )
    assert (picture.read_bytes(), picture.stat().st_mode & 0o777) == (PICTURE, 0o600)
    assert daemon.fakes.machines.running == {}
    assert (await linwin("rm", "box")).code == 0
    assert await daemon.nothing_left()


async def test_one_that_does_not_come_up_and_is_not_kept_leaves_nothing(
    linwin: Linwin, daemon: Daemon, windows: Template
) -> None:
    daemon.fakes.guests.silent = True
    failed = await linwin("run", "--rm", "--template", "nano", IMAGE, "hang")
    assert failed.code == 125
    assert b"What its screen showed last" not in failed.err
    assert await daemon.nothing_left()


@pytest.mark.parametrize("words", [("stop",), ("kill",), ("rm", "-f")], ids=lambda words: words[0])
async def test_a_start_that_takes_long_is_given_up(
    linwin: Linwin, daemon: Daemon, windows: Template, words: tuple[str, ...]
) -> None:
    gate = daemon.fakes.guests.gate = Gate()
    await linwin("create", "--name", "box", "--template", "nano", IMAGE, "hang")
    starting = asyncio.create_task(linwin("start", "box"))
    await gate.reached.wait()
    assert (await linwin(*words, "box")).code == 0
    failed = await starting
    assert failed.code == 1
    assert b"Windows did not come up" in failed.err
    assert daemon.fakes.machines.running == {}
    if words[0] != "rm":
        assert (await daemon.engine.inspect("box")).status == "created"
        assert (await linwin("rm", "box")).code == 0
    assert await daemon.nothing_left()


async def test_a_start_by_policy_can_be_looked_at(
    linwin: Linwin, daemon: Daemon, windows: Template, short_folder: Path
) -> None:
    """Where a start fails again and again, nobody starts it by hand."""
    await linwin("run", "-d", "--restart", "always", "--name", "box", "--template", "nano", IMAGE, "hang")
    gate = daemon.fakes.guests.gate = Gate()
    await daemon.fakes.guests.last.signal("KILL")
    await gate.reached.wait()
    picture = short_folder / "box.png"
    shot = await linwin("screenshot", "-o", str(picture), "box")
    assert (shot.code, shot.err) == (0, b"")
    assert picture.read_bytes() == PICTURE
    assert (await linwin("rm", "-f", "box")).code == 0


@pytest.mark.parametrize("words", [("stop",), ("kill",), ("rm", "-f")], ids=lambda words: words[0])
async def test_a_start_by_policy_is_given_up_for_good(
    linwin: Linwin, daemon: Daemon, windows: Template, words: tuple[str, ...]
) -> None:
    await linwin("run", "-d", "--restart", "always", "--name", "box", "--template", "nano", IMAGE, "hang")
    gate = daemon.fakes.guests.gate = Gate()
    await daemon.fakes.guests.last.signal("KILL")
    await gate.reached.wait()
    async with asyncio.timeout(20):
        assert (await linwin(*words, "box")).code == 0
    assert daemon.fakes.machines.running == {}
    if words[0] != "rm":
        container = await daemon.engine.inspect("box")
        assert (container.status, container.stopped_by_hand) == ("exited", True)
        assert (await linwin("rm", "box")).code == 0
    assert await daemon.nothing_left()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-v", "/tmp:C:\\data"), "mount no files of the host yet"),
        (("--add-host", "db:10.0.0.1"), "know no extra hosts yet"),
        (("-t",), "have no terminals: Windows has them from build 17763 on"),
    ],
    ids=["mounts", "hosts", "terminal"],
)
async def test_what_a_guest_would_refuse_is_refused_at_once(
    linwin: Linwin, daemon: Daemon, windows: Template, words: tuple[str, ...], sentence: str
) -> None:
    refused = await linwin("create", *words, "--template", "nano", IMAGE)
    assert refused.code == 1
    assert f"guests of the template nano {sentence}\n" in refused.err.decode()
    assert await daemon.nothing_left()


# Which template an image's containers get


def installed(daemon: Daemon, name: str, *versions: str) -> Template:
    """A template of Windows of these versions, beside those that are there."""
    wine = next(template for template in daemon.fakes.templates.installed.values())
    template = replace(
        wine, name=name, kind="windows", serves_any_build=False, digest=f"sha256:{name}", minimum_memory=2048,
        provides=tuple(BaseImage((f"example/{name}",), version) for version in versions),
    )  # fmt: skip
    daemon.fakes.templates.installed[name] = template
    return template


async def chosen(daemon: Daemon, os_version: str) -> str:
    """The template of a container of an image for that version, which is nobody's base image."""
    image = Image(f"sha256:{os_version}", Platform(os_version=os_version), RunConfig(), (), 0, ())
    return (await template_for(daemon.engine, image)).name


async def test_windows_of_an_images_own_build_comes_first_and_wine_last(daemon: Daemon) -> None:
    assert await chosen(daemon, "10.0.20348.1") == "wine"
    installed(daemon, "zz-2025", "10.0.26100.1")
    assert await chosen(daemon, "10.0.20348.1") == "zz-2025", "a newer Windows runs it"
    installed(daemon, "zzz-2022", "10.0.20348.9999")
    assert await chosen(daemon, "10.0.20348.1") == "zzz-2022"
    assert await chosen(daemon, "10.0.25398.1") == "zz-2025"
    assert await chosen(daemon, "10.0.17763.1") == "wine", "whose build none of them runs"
    assert await chosen(daemon, "10.0.26101.1") == "wine"


async def test_a_newer_windows_has_terminals(linwin: Linwin, daemon: Daemon) -> None:
    installed(daemon, "core-2019", "10.0.17763.1", "10.0.14393.2363")
    assert (await linwin("create", "-t", "--template", "core-2019", IMAGE)).code == 0


async def test_a_server_serves_all_images_of_its_build(daemon: Daemon) -> None:
    installed(daemon, "core-2019", "10.0.17763.1")
    assert await chosen(daemon, "10.0.17763.5329") == "core-2019"


async def test_what_none_serves_is_named(daemon: Daemon) -> None:
    installed(daemon, "core-2019", "10.0.17763.1")
    del daemon.fakes.templates.installed["wine"]
    with pytest.raises(errors.Unavailable) as caught:
        await chosen(daemon, "10.0.14393.1")
    assert caught.value.message == (
        "no template serves image sha256:10.0.14393.1, which is for Windows 10.0.14393.1 "
        "(templates here: core-2019)"
    )
    assert caught.value.hint == (
        "Build one that serves every Windows build with: linwin template build wine; or one of that build, "
        "from an ISO of yours (docs/windows.md)"
    )


async def test_a_template_is_asked_for_by_name(linwin: Linwin, daemon: Daemon, windows: Template) -> None:
    for name in ("wine", "nano"):
        assert (await linwin("create", "--name", name, "--template", name, IMAGE)).code == 0
        assert (await daemon.engine.inspect(name)).template == name


async def test_a_template_that_does_not_serve_the_image_is_refused(linwin: Linwin, daemon: Daemon) -> None:
    installed(daemon, "core-2019", "10.0.17763.1")
    refused = await linwin("create", "--template", "core-2019", IMAGE)
    assert refused.code == 1
    assert (
        b"the template core-2019 does not serve image docker.io/microsoft/nanoserver:latest: that is for "
        b"Windows 10.0.14393.2363, and its guests run 10.0.17763.1" in refused.err
    )
    refused = await linwin("create", "--template", "none", IMAGE)
    assert b"No such template: none" in refused.err
    assert await daemon.nothing_left()

"""A user's disk becomes a template: over the API and the command line, with the real room of templates."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linwin import errors
from linwin.templates import InstalledTemplates
from tests.scenario.docker_py import off_loop
from tests.scenario.fakes import Fakes
from tests.scenario.harness import Daemon, make_root, served
from tests.scenario.test_linwin_cli import Linwin
from tests.unit.templates.windows import disks, infs, media


@pytest.fixture
async def real(short_folder: Path) -> AsyncIterator[Daemon]:
    """A daemon whose templates are those of its root."""
    paths, fakes = make_root(short_folder), Fakes()
    fakes.templates = InstalledTemplates(paths, agents=media.AGENTS, cache=short_folder / "cache")  # type: ignore[assignment]
    async with served(fakes, paths) as daemon:
        yield daemon


async def test_a_users_disk_becomes_a_template(real: Daemon, short_folder: Path) -> None:
    linwin = Linwin(real.host, short_folder)
    raw = await disks.windows_disk(short_folder / "user")
    disk = await asyncio.to_thread(disks.converted, raw, "vhdx")
    refused = await linwin("template", "import", str(disk), "--name", "mine")
    assert refused.code == 1
    assert b"lacks the drivers viostor, vioserial, without which no guest starts" in refused.err
    iso = await asyncio.to_thread(media.virtio_iso, short_folder, infs.ALL, "2k22")
    words = ("template", "import", str(disk), "--name", "mine", "--virtio", str(iso))
    imported = await linwin(*words)
    assert (imported.code, imported.out) == (0, b"mine\n"), imported.err
    assert b"mine: Found Windows Server 2022 Standard, Server Core, 10.0.20348.2113\n" in imported.err
    assert imported.err.endswith(b"Imported template mine\n")
    assert b"mine " in (await linwin("template", "ls")).out
    (shown,) = json.loads((await linwin("template", "inspect", "mine")).out)
    assert shown["Imported"] == {
        "Source": disk.name,
        "Format": "VHDX",
        "Product": "Windows Server 2022 Standard",
        "Edition": "ServerStandard",
        "InstallationType": "Server Core",
        "Generalized": False,
        "EvaluationEnds": "",
        "Drivers": dict.fromkeys(infs.ALL, "100.93.104.24000"),
        "Added": list(infs.ALL),
        "Agent": shown["Imported"]["Agent"],
    }
    assert shown["Imported"]["Agent"].startswith("sha256:")
    assert shown["CStart"] == disks.C_START
    assert shown["Provides"][0]["OsVersion"] == disks.OS_VERSION
    taken = await linwin(*words)
    assert (taken.code, b"there is a template mine already" in taken.err) == (1, True)
    assert (await linwin("template", "rm", "mine")).code == 0
    assert b"mine " not in (await linwin("template", "ls")).out


async def test_a_path_is_the_callers(daemon: Daemon, short_folder: Path) -> None:
    linwin = Linwin(daemon.host, short_folder)
    assert (await linwin("template", "import", "-q", "here.vhdx", "--name", "mine")).out == b"mine\n"
    ((name, disk, virtio),) = daemon.fakes.templates.imports
    assert (name, disk.name, disk.is_absolute(), virtio) == ("mine", "here.vhdx", True, None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "the request names no disk"),
        ({"Disk": "here.vhdx"}, "'here.vhdx' is not an absolute path"),
        ({"Disk": "/a.vhdx", "Virtio": "b.iso"}, "'b.iso' is not an absolute path"),
        ({"Disk": 1}, "invalid JSON: Disk must hold text"),
        ([], "invalid JSON: the request's body must be an object"),
    ],
)
async def test_what_cannot_be_is_refused(daemon: Daemon, body: object, message: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        await off_loop(lambda: list(daemon.client.lines("POST", "/linwin/templates/a/import", body=body)))
    assert caught.value.message.partition("\n")[0] == message
    assert daemon.fakes.templates.imports == []

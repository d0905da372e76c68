"""The build cache and the installed templates, with a build that takes no time."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.errors import NotFound, Unavailable
from linwin.model.progress import Progress
from linwin.model.template import BaseImage, Media, Unserved, Unusable
from linwin.paths import Paths
from linwin.templates import InstalledTemplates, installed, key, manifest
from linwin.templates.manifest import PARTS, Manifest
from linwin.templates.recipe import Recipe
from linwin.templates.wine import AGENT, GUEST_PROGRAMS

_RECIPES = Path(__file__).parents[3] / "vm-templates"

RECIPES = ("wine", "nanoserver-2016", "servercore-2019", "servercore-2022", "servercore-2025")


class Build:
    """Stands for WineBuild: parts whose content is a word, after an event."""

    word = b"one"
    runs = 0
    running = 0
    failure: Exception | None = None

    def __init__(self, recipe: Recipe, agents: Path, folder: Path, report: object) -> None:
        self._name = recipe.name
        self._folder = folder

    async def run(self) -> Manifest:
        Build.runs += 1
        Build.running += 1
        assert Build.running == 1, "two builds of one key at once"
        await asyncio.sleep(0)
        out = self._folder / "out"
        out.mkdir()
        for part in PARTS:
            (out / part).write_bytes(part.encode() + Build.word)
        Build.running -= 1
        if Build.failure is not None:
            raise Build.failure
        record = Manifest(
            name=self._name,
            kind="wine",
            summary="a test",
            cmdline="quiet",
            minimum_memory=384,
            serves_any_build=True,
            provides=(BaseImage(("docker.io/a/b:c",), "10.0.19043.0", "ContainerUser"),),
            left_out=(("powershell", "not here"),),
            unserved=(Unserved("IIS", "not here", commands=("servicemonitor w3svc",), labels=(("a", "b"),)),),
            parts=manifest.part_digests(out),
            packages=("wine64 10.0",),
            created="2026-01-01T00:00:00Z",
        )
        (out / manifest.FILE).write_bytes(record.to_json())
        return record


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    for name in GUEST_PROGRAMS:
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def templates(tmp_path: Path, agents: Path, monkeypatch: pytest.MonkeyPatch) -> InstalledTemplates:
    monkeypatch.setattr(installed, "WineBuild", Build)
    for name, value in {"word": b"one", "runs": 0, "running": 0, "failure": None}.items():
        monkeypatch.setattr(Build, name, value)
    root = tmp_path / "root"
    return InstalledTemplates(
        Paths(root, root / "s"), recipes=_RECIPES, agents=agents, cache=tmp_path / "cache"
    )


def quiet(_: Progress) -> None:
    """Progress that nobody reads."""


async def test_a_build_is_installed_and_listed(templates: InstalledTemplates) -> None:
    built = await templates.build("wine", quiet, Media())
    assert built.c_disk.read_bytes() == b"c.qcow2one"
    assert built.size == sum(len(part) + 3 for part in PARTS)
    assert built.provides[0].os_version == "10.0.19043.0"
    assert await templates.list() == [built]
    assert await templates.get("wine") == built


async def test_other_users_of_the_host_find_no_disk(templates: InstalledTemplates, tmp_path: Path) -> None:
    """A machine, which is one, is told the path; neither folder nor record tells it to who was not told."""
    (tmp_path / "cache").mkdir(0o755)  # of an earlier linwin
    built = await templates.build("wine", quiet, Media())
    folder = built.c_disk.parent
    modes = [oct(path.stat().st_mode & 0o777) for path in (tmp_path / "cache", folder.parent, folder)]
    assert modes == ["0o700", "0o711", "0o711"]
    assert (folder.parent / manifest.FILE).stat().st_mode & 0o777 == 0o600


async def test_equal_inputs_are_built_once(templates: InstalledTemplates) -> None:
    first = await templates.build("wine", quiet, Media())
    said: list[str] = []
    second = await templates.build("wine", lambda progress: said.append(progress.status), Media())
    assert second == first
    assert Build.runs == 1
    assert said == ["Using the finished build of equal inputs", "Installed"]


async def test_two_builds_at_once_are_one(templates: InstalledTemplates) -> None:
    first, second = await asyncio.gather(
        templates.build("wine", quiet, Media()), templates.build("wine", quiet, Media())
    )
    assert first == second
    assert Build.runs == 1


async def test_another_agent_is_another_build_and_the_old_parts_stay(
    templates: InstalledTemplates, agents: Path
) -> None:
    old = await templates.build("wine", quiet, Media())
    (agents / AGENT).write_bytes(b"newer")
    Build.word = b"two"
    new = await templates.build("wine", quiet, Media())
    assert Build.runs == 2
    assert new.digest != old.digest
    assert old.c_disk.read_bytes() == b"c.qcow2one"
    assert await templates.list() == [new]


async def test_a_damaged_cache_entry_is_built_again(templates: InstalledTemplates, tmp_path: Path) -> None:
    await templates.build("wine", quiet, Media())
    (cached,) = (tmp_path / "cache").glob("*/c.qcow2")
    cached.unlink()
    cached.write_bytes(b"flipped")
    await templates.build("wine", quiet, Media())
    assert Build.runs == 2
    assert cached.read_bytes() == b"c.qcow2one"


async def test_a_failed_build_leaves_nothing(templates: InstalledTemplates, tmp_path: Path) -> None:
    Build.failure = Unavailable("the mirror is gone")
    with pytest.raises(Unavailable, match="the mirror is gone"):
        await templates.build("wine", quiet, Media())
    assert await templates.list() == []
    assert list((tmp_path / "root/tmp").iterdir()) == []
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


async def test_another_file_system_is_copied_to(
    templates: InstalledTemplates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, destination: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    built = await templates.build("wine", quiet, Media())
    assert built.c_disk.read_bytes() == b"c.qcow2one"
    assert built.c_disk.stat().st_mode & 0o777 == 0o444


async def test_a_full_disk_is_told(templates: InstalledTemplates) -> None:
    Build.failure = OSError(28, "No space left on device", "/x/c.raw")
    with pytest.raises(Unavailable) as caught:
        await templates.build("wine", quiet, Media())
    assert caught.value.message == "cannot build the template wine: No space left on device: /x/c.raw"
    assert caught.value.hint == "free some space, or start the daemon with a LINWIN_ROOT on another disk"


async def test_remove_takes_every_build_of_the_name(templates: InstalledTemplates, tmp_path: Path) -> None:
    await templates.build("wine", quiet, Media())
    await templates.remove("wine")
    assert await templates.list() == []
    assert not (tmp_path / "root/templates/wine").exists()
    with pytest.raises(NotFound):
        await templates.remove("wine")


async def test_an_unknown_template_is_told_with_what_is_there(templates: InstalledTemplates) -> None:
    with pytest.raises(NotFound) as nothing:
        await templates.get("nt4")
    assert nothing.value.message == "No such template: nt4"
    assert (
        nothing.value.hint == f"none is installed; build one with: linwin template build {'|'.join(RECIPES)}"
    )
    await templates.build("wine", quiet, Media())
    with pytest.raises(NotFound) as one:
        await templates.get("nt4")
    assert one.value.hint == f"installed: wine; build one with: linwin template build {'|'.join(RECIPES)}"


@pytest.mark.parametrize("name", ["nt4", "../wine", "", "/etc"])
async def test_an_unknown_recipe_is_told_and_no_path(templates: InstalledTemplates, name: str) -> None:
    with pytest.raises(NotFound) as caught:
        await templates.build(name, quiet, Media())
    assert caught.value.message == f"No recipe for a template named {name}"
    assert caught.value.hint == f"recipes at hand: {', '.join(RECIPES)}"


async def test_a_missing_agent_is_told(templates: InstalledTemplates, agents: Path) -> None:
    (agents / AGENT).unlink()
    with pytest.raises(Unavailable) as caught:
        await templates.build("wine", quiet, Media())
    assert caught.value.message == f"the guest agent {agents}/linwin-agent does not exist"
    assert caught.value.hint == "build it with: scripts/build-agent"


async def test_a_lost_part_is_told(templates: InstalledTemplates) -> None:
    built = await templates.build("wine", quiet, Media())
    built.kernel.unlink()
    assert await templates.list() == []
    reason = f"the template wine lacks a part: {built.kernel}"
    assert await templates.unusable() == [Unusable("wine", reason)]
    with pytest.raises(Unavailable) as caught:
        await templates.get("wine")
    assert caught.value.message == reason
    assert caught.value.hint == "build it again: linwin template build wine"
    assert await templates.build("wine", quiet, Media()) == built
    assert await templates.unusable() == []


async def test_one_of_another_version_hides_no_other_and_is_built_again(
    templates: InstalledTemplates, tmp_path: Path
) -> None:
    built = await templates.build("wine", quiet, Media())
    earlier = tmp_path / "root/templates/earlier"
    earlier.mkdir()
    record = tmp_path / "root/templates/wine" / manifest.FILE
    (earlier / manifest.FILE).write_bytes(record.read_bytes())
    older = json.dumps({**json.loads(record.read_bytes()), "version": manifest.VERSION - 1})
    (earlier / manifest.FILE).write_text(older)
    assert await templates.list() == [built]
    (unusable,) = await templates.unusable()
    assert unusable.name == "earlier"
    assert unusable.reason.endswith("cannot be used: it was written by another version of linwin")
    await templates.remove("earlier")
    assert await templates.unusable() == []
    record.write_text(older)
    assert await templates.list() == []
    assert await templates.build("wine", quiet, Media()) == built


async def test_a_half_removed_template_is_none(templates: InstalledTemplates, tmp_path: Path) -> None:
    await templates.build("wine", quiet, Media())
    (tmp_path / "root/templates/wine" / manifest.FILE).unlink()
    assert await templates.list() == []


def record() -> Manifest:
    return Manifest(
        name="wine",
        kind="wine",
        summary="",
        cmdline="",
        minimum_memory=384,
        serves_any_build=True,
        provides=(),
        left_out=(),
        unserved=(),
        parts=tuple((name, "sha256:00") for name in PARTS),
        packages=(),
        created="",
    )


def test_a_record_survives_its_json() -> None:
    assert manifest.parse(record().to_json()) == record()


def test_the_digest_is_of_the_parts_alone() -> None:
    assert replace(record(), created="now", packages=("a 1",)).digest == record().digest
    other = tuple((name, "sha256:01") for name in PARTS)
    assert replace(record(), parts=other).digest != record().digest
    assert replace(record(), parts=record().parts[::-1]).digest == record().digest


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", json.dumps({**json.loads(record().to_json()), "version": 1}).encode(),
     json.dumps({**json.loads(record().to_json()), "parts": []}).encode(),
     json.dumps({**json.loads(record().to_json()), "more": 1}).encode()],
)  # fmt: skip
def test_a_record_that_is_not_ours_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / manifest.FILE).write_bytes(data)
    with pytest.raises(Unavailable) as caught:
        manifest.read(tmp_path)
    assert caught.value.message.startswith(f"the template's record {tmp_path}/template.json cannot be used: ")
    assert caught.value.hint == "build the template again: linwin template build NAME"


def test_every_input_changes_the_key() -> None:
    keys = {
        key.combine({"a": b"1"}, b"t"),
        key.combine({"a": b"2"}, b"t"),
        key.combine({"b": b"1"}, b"t"),
        key.combine({"a": b"1"}, b"u"),
        key.combine({"a": b"", "b": b"1"}, b"t"),
    }
    assert len(keys) == 5
    assert key.combine({"a": b"1", "b": b"2"}, b"t") == key.combine({"b": b"2", "a": b"1"}, b"t")


async def test_the_cache_may_be_deleted(templates: InstalledTemplates, tmp_path: Path) -> None:
    built = await templates.build("wine", quiet, Media())
    shutil.rmtree(tmp_path / "cache")
    assert built.c_disk.read_bytes() == b"c.qcow2one"


def test_the_users_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert installed.user_cache() == tmp_path / "linwin/templates"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/x")
    assert installed.user_cache() == Path("/home/x/.cache/linwin/templates")

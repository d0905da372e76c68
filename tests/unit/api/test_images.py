"""Images that were made here: which of them are listed, and where they come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linwin.api.images import inspection, without_intermediate
from linwin.model.health import HealthCheck
from linwin.model.image import HistoryEntry, Image, RunConfig
from tests.unit.api.engines import image, serving

BASE = image("sha256:" + "00" * 32, references=("docker.io/team/base:1",))
STEP = image("sha256:" + "11" * 32, parent=BASE.id, step="RUN a")
NAMED = image("sha256:" + "22" * 32, parent=STEP.id, references=("docker.io/team/app:1",))
LEFT = image("sha256:" + "33" * 32, parent=STEP.id, step="RUN b")
PULLED = image("sha256:" + "44" * 32, digests=("docker.io/team/x@sha256:" + "55" * 32,))
CHILD = image("sha256:" + "66" * 32, parent=PULLED.id, references=("docker.io/team/child:1",))
ALL = [BASE, STEP, NAMED, LEFT, PULLED, CHILD]


def test_what_is_on_the_way_to_another_image_is_left_out() -> None:
    assert without_intermediate(ALL) == [BASE, NAMED, LEFT, PULLED, CHILD]


async def _images() -> Sequence[Image]:
    return ALL


async def _no_templates() -> list[Any]:
    return []


async def test_all_images_are_listed_when_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path, images=_images, templates=_no_templates) as client:
        listed = await (await client.get("/images/json")).json()
        assert [one["Id"] for one in listed] == [one.id for one in without_intermediate(ALL)]
        listed = await (await client.get("/images/json?all=1")).json()
        assert {one["Id"]: one["ParentId"] for one in listed} == {one.id: one.parent for one in ALL}
        dangling = await (await client.get('/images/json?filters={"dangling":["true"]}')).json()
        assert [one["Id"] for one in dangling] == [LEFT.id, PULLED.id]


def test_an_image_says_what_it_was_made_from() -> None:
    config = RunConfig(on_build=("RUN x",), health_check=HealthCheck(("CMD", "a"), interval=5))
    made = dataclasses.replace(
        NAMED, config=config, history=(HistoryEntry(comment="old"), HistoryEntry(comment="words"))
    )
    shown = inspection(made)
    assert (shown["Parent"], shown["Comment"]) == (STEP.id, "words")
    assert shown["Config"]["OnBuild"] == ["RUN x"]
    assert shown["Config"]["Healthcheck"] == {"Test": ["CMD", "a"], "Interval": 5}
    assert "Healthcheck" not in inspection(BASE)["Config"]

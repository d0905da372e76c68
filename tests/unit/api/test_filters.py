from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from linwin.api import filters
from linwin.errors import InvalidRequest
from linwin.model.container import Container, ContainerSpec
from linwin.model.image import Image, Platform, RunConfig
from linwin.model.mount import Mount


def container(number: int, **changes: Any) -> Container:
    made = Container(
        id=f"{number:064x}",
        name=f"name{number}",
        spec=ContainerSpec(image="x"),
        image_id="sha256:" + f"{number % 2}" * 64,
        template="wine",
        chain_id="",
        argv=("a",),
        command_line=None,
        env=(),
        cwd="C:\\",
        user="",
        labels={},
        uid=0,
        created_at=number,
    )
    return dataclasses.replace(made, **changes)


MOUNTS = (
    Mount("volume", "C:\\data", "store"),
    Mount("bind", "D:\\", "/srv"),
    Mount("tmpfs", "C:\\t"),
)
ALL = [
    container(5, status="created"),
    container(4, status="exited", exit_code=3, labels={"a": "b", "c": ""}),
    container(3, status="stopping", labels={"a": "x"}),
    container(2, status="running", name="web_1", mounts=MOUNTS),
    container(1, status="exited", exit_code=0),
]


def numbers(wanted: dict[str, tuple[str, ...]] | None = None, **options: Any) -> list[int]:
    defaults: dict[str, Any] = {
        "everything": False,
        "limit": 0,
        "ancestors": frozenset(),
        "before": None,
        "since": None,
    }
    return [c.created_at for c in filters.containers(ALL, wanted or {}, **{**defaults, **options})]


def test_only_running_ones_by_default() -> None:
    assert numbers() == [3, 2]


def test_everything() -> None:
    assert numbers(everything=True) == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(("limit", "shown"), [(2, [5, 4]), (99, [5, 4, 3, 2, 1]), (-1, [3, 2])])
def test_a_limit_counts_stopped_ones(limit: int, shown: list[int]) -> None:
    assert numbers(limit=limit) == shown


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ({"status": ("exited",)}, [4, 1]),
        ({"status": ("created", "running")}, [5, 3, 2]),
        ({"label": ("a",)}, [4, 3]),
        ({"label": ("a=b",)}, [4]),
        ({"label": ("a", "c=")}, [4]),
        ({"label": ("c=x",)}, []),
        ({"name": ("web",)}, [2]),
        ({"name": ("^/web_1$",)}, [2]),
        ({"name": ("^name[45]$",)}, [5, 4]),
        ({"id": ("0005",)}, [5]),
        ({"id": ("^0+[12]$",)}, [2, 1]),
        ({"exited": ("3", "7")}, [4]),
        ({"exited": ("0",)}, [1]),
        ({"ancestor": ("x",)}, []),
        ({"volume": ("store",)}, [2]),
        ({"volume": ("stor", "/srv")}, [2]),
        ({"volume": ("c:/data/",)}, [2]),
        ({"volume": ("D:",)}, [2]),
        ({"volume": ("C:\\t",)}, [2]),
        ({"volume": ("C:\\data\\x",)}, []),
        ({"volume": ("",)}, []),
        ({"status": ("exited",), "label": ("a",)}, [4]),
    ],
)
def test_container_filters(wanted: dict[str, tuple[str, ...]], shown: list[int]) -> None:
    assert numbers(wanted, everything=True) == shown


def test_ancestors_are_image_ids() -> None:
    assert numbers({"ancestor": ("x",)}, everything=True, ancestors=frozenset({"sha256:" + "1" * 64})) == [
        5,
        3,
        1,
    ]


def test_before_and_since() -> None:
    assert numbers(everything=True, before=ALL[2]) == [2, 1]
    assert numbers(everything=True, since=ALL[2]) == [5, 4]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"status": ("asleep",)}, "invalid filter 'status=asleep'"),
        ({"exited": ("x",)}, "invalid filter 'exited=x'"),
        ({"name": ("(",)}, "invalid filter 'name=('"),
        ({"id": ("a" * 2000,)}, "invalid filter 'id'"),
        ({"publish": ("90-80",)}, "invalid filter 'publish=90-80'"),
        ({"publish": ("80", "70000")}, "invalid filter 'publish=70000'"),
        ({"expose": ("0",)}, "invalid filter 'expose=0'"),
        ({"expose": ("http",)}, "invalid filter 'expose=http'"),
    ],
)
def test_malformed_filters(wanted: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        numbers(wanted)
    assert caught.value.message == message


def image(created: str, *references: str, **labels: str) -> Image:
    return Image(
        id="sha256:" + created[:4],
        platform=Platform(),
        config=RunConfig(labels=labels),
        diff_ids=(),
        base_layers=0,
        layers=(),
        references=references,
        created=created,
    )


IMAGES = [
    image("2003-01-01T00:00:00Z", "docker.io/team/app:1", "docker.io/team/app:2", kind="app"),
    image("2002-01-01T00:00:00Z", "docker.io/library/tool:latest"),
    image("2001-01-01T00:00:00Z"),
]


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ({}, ["2003", "2002", "2001"]),
        ({"reference": ("team/app",)}, ["2003"]),
        ({"reference": ("team/app:2",)}, ["2003"]),
        ({"reference": ("team/app:3",)}, []),
        ({"reference": ("*/app",)}, ["2003"]),
        ({"reference": ("*",)}, ["2002"]),
        ({"reference": ("docker.io/team/app",)}, ["2003"]),
        ({"reference": ("tool",)}, ["2002"]),
        ({"dangling": ("true",)}, ["2001"]),
        ({"dangling": ("0",)}, ["2003", "2002"]),
        ({"label": ("kind=app",)}, ["2003"]),
    ],
)
def test_image_filters(wanted: dict[str, tuple[str, ...]], shown: list[str]) -> None:
    found = filters.images(IMAGES, wanted, before=None, since=None)
    assert [one.created[:4] for one in found] == shown


def test_images_by_age() -> None:
    assert filters.images(IMAGES, {}, before=IMAGES[1], since=None) == IMAGES[2:]
    assert filters.images(IMAGES, {}, before=None, since=IMAGES[1]) == IMAGES[:1]

"""The examples in docs/registries.md are read by what they are for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from linwin.errors import NotFound
from linwin.images.aliases import parse_table
from linwin.images.registry.registries_conf import allows_plain_http
from linwin.images.registry.skopeo import Subject, run_skopeo
from linwin.paths import Paths
from tests.registry_server import RegistryServer

DOCUMENT = (Path(__file__).parents[4] / "docs/registries.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_aliases() -> None:
    table = parse_table(block("yaml"), "docs/registries.md")
    assert str(table["docker.io/example/app:old"]) == "registry.example:5000/app:1.0"
    assert table["docker.io/microsoft/iis"] is None


async def test_the_configuration(registry: RegistryServer, paths: Paths) -> None:
    paths.root.mkdir()
    paths.registries_conf.write_text(block("toml").replace("registry.example:5000", registry.host))
    assert allows_plain_http(paths.registries_conf, registry.host)
    assert not allows_plain_http(paths.registries_conf, "docker.io")
    subject = Subject("pull", None, registry.host, paths.registries_conf)
    with pytest.raises(NotFound):  # which plain http was allowed to find out
        await run_skopeo(paths, subject, "inspect", "--raw", f"docker://{registry.host}/app:1")

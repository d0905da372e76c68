"""Which layers a template stands in for, and the images that are nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from linwin.images.bases import base_config, count_base_layers, stand_in_diff_id
from linwin.images.configs import parse_config
from linwin.model.template import BaseImage
from tests.unit.images.archive_writer import FOREIGN, OCI_LAYER, Sample, layer_tar, sha256, template

LAYERS = [layer_tar({f"{number}.txt": b"x"}) for number in range(3)]
APPLY = {"created_by": "Apply image 10.0.20348.1"}
UPDATE = {"created_by": "Install update 10.0.20348.1850"}
RUN = {"created_by": "cmd /S /C echo hi"}
EMPTY = {"created_by": "cmd /S /C #(nop) ENV A=b", "empty_layer": True}


@pytest.mark.parametrize(
    ("history", "count"),
    [
        ([], 0),
        ([APPLY, UPDATE, RUN], 2),
        ([APPLY, RUN, UPDATE], 1),
        ([APPLY, EMPTY, UPDATE, EMPTY, EMPTY, RUN], 2),
        ([RUN, RUN, RUN], 0),
        ([APPLY, UPDATE], 0),  # two lines for three layers: cannot be told apart
        ([{"created_by": "apply IMAGE x"}, RUN, RUN], 1),
    ],
)
def test_history_tells_base_layers(history: Sequence[Mapping[str, Any]], count: int) -> None:
    config = parse_config(Sample(LAYERS, history=history).config, "config")
    assert count_base_layers(config, [None] * 3, [template()]) == count


def test_foreign_media_types_at_the_bottom_are_base_layers() -> None:
    config = parse_config(Sample(LAYERS).config, "config")
    assert count_base_layers(config, [FOREIGN, OCI_LAYER, FOREIGN], [template()]) == 1
    nondistributable = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    assert count_base_layers(config, [nondistributable, nondistributable, OCI_LAYER], [template()]) == 2


def test_diff_ids_that_a_template_provides_are_base_layers() -> None:
    config = parse_config(Sample(LAYERS).config, "config")
    ids = tuple(sha256(layer) for layer in LAYERS)
    base = BaseImage(("x",), "10.0.20348.1", diff_ids=ids[:2])
    assert count_base_layers(config, [None] * 3, [template(provides=[base])]) == 2
    other = BaseImage(("x",), "10.0.20348.1", diff_ids=ids[1:])
    assert count_base_layers(config, [None] * 3, [template(provides=[other])]) == 0


def test_a_stand_in_is_known_again_by_the_build_alone() -> None:
    sample = Sample([None, LAYERS[0]], lacking=[stand_in_diff_id("10.0.20348.1")])
    config = parse_config(sample.config, "config")
    updated = template(provides=[BaseImage(("y",), "10.0.20348.9999", "other")])
    assert count_base_layers(config, [None] * 2, [updated]) == 1
    older = template(provides=[BaseImage(("y",), "10.0.17763.1")])
    assert count_base_layers(config, [None] * 2, [older]) == 0


def test_the_stand_in_never_changes() -> None:
    # Images that people built carry this diff id: a change would orphan them.
    assert stand_in_diff_id("10.0.17763.5329") == (
        "sha256:f8e4d9dd50690882267fcd5b292eb5b5ea778802efd819d75c78a860d2fae2c7"
    )


def test_a_base_images_config_is_the_same_bytes_always() -> None:
    base = BaseImage(("mcr.microsoft.com/windows/nanoserver:1809",), "10.0.17763.5329", "ContainerUser")
    data = base_config(base)
    assert sha256(data) == "sha256:8e8f7e5c68390739a2b92e870fee20d6a0219e02908f25e006058d0e15faea67"
    assert json.loads(data)["config"] == {
        "Cmd": ["c:\\windows\\system32\\cmd.exe"],
        "User": "ContainerUser",
    }
    config = parse_config(data, "config")
    assert config.diff_ids == (stand_in_diff_id("10.0.17763.1"),)
    assert len([entry for entry in config.history if not entry.empty_layer]) == len(config.diff_ids)

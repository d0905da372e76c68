"""How much of the disk an image takes, and shares."""

from __future__ import annotations

from pathlib import Path

from linwin.engine.usage import ImageSize, allocated, image_sizes
from linwin.model.chain import chain_ids
from tests.scenario.fakes.images import image_of
from tests.scenario.fakes.templates import wine

ONE = image_of("docker.io/a/one:1", ("x",), (100, 20))
TWO = image_of("docker.io/a/two:1", ("x",), (100, 7))


def test_layers_that_two_images_have_are_shared() -> None:
    assert image_sizes([ONE, TWO]) == {ONE.id: ImageSize(120, 100), TWO.id: ImageSize(107, 100)}
    assert image_sizes([ONE]) == {ONE.id: ImageSize(120, 0)}


def test_chains_count_but_for_the_templates_own_disk() -> None:
    template = wine(Path("/nowhere"))
    base, first, second = chain_ids(template.digest, [layer.diff_id for layer in ONE.layers])
    chains = {base: 1_000_000, first: 5000, second: 300}
    assert image_sizes([ONE, TWO], [template], chains) == {
        ONE.id: ImageSize(120 + 5300, 100 + 5000),
        TWO.id: ImageSize(107 + 5000, 100 + 5000),
    }


def test_a_layer_that_an_image_has_twice_is_stored_once() -> None:
    image = image_of("docker.io/a/one:1", ("x",), (100, 100))
    assert image_sizes([image]) == {image.id: ImageSize(100, 0)}


def test_what_a_file_takes(tmp_path: Path) -> None:
    file = tmp_path / "sparse"
    with file.open("wb") as opened:
        opened.truncate(1_000_000)
        assert allocated(file) == 0
        opened.write(b"x" * 8192)
        opened.flush()
        assert allocated(file) == 8192
    assert allocated(tmp_path / "nothing") == 0

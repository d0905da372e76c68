"""What of a step was done before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from linwin.engine.build import cache
from linwin.model.image import HistoryEntry, Image, Layer, Platform, RunConfig


def layer(name: str) -> Layer:
    return Layer(f"diff-{name}", f"blob-{name}", "tar", 1, Path(name))


def image(name: str, *history: str, layers: str = "", parent: str = "", step: str = "") -> Image:
    """``layers`` has a letter for each line of history, a dot where that made none."""
    own = tuple(layer(letter) for letter in layers if letter != ".")
    lines = [
        HistoryEntry(created_by=line, empty_layer=letter == ".")
        for line, letter in zip(history, layers, strict=True)
    ]
    return Image(
        id=name,
        platform=Platform(),
        config=RunConfig(),
        diff_ids=("base", *(one.diff_id for one in own)),
        base_layers=1,
        layers=own,
        history=(HistoryEntry(created_by="Apply image"), *lines),
        parent=parent,
        step=step,
    )


BASE = image("base")
ONE = image("one", "ENV a", layers=".", parent="base", step="ENV a")


def test_a_step_is_known_by_parent_and_words() -> None:
    images = [replace(ONE, id="newer"), ONE, image("two", "ENV b", layers=".", parent="base", step="ENV b")]
    assert cache.built(images, BASE, "ENV a") == images[0]
    assert cache.built(images, BASE, "ENV c") is None
    assert cache.built(images, ONE, "ENV a") is None


def test_what_was_committed_is_no_step() -> None:
    assert cache.built([image("x", "cmd", layers="x", parent="base")], BASE, "cmd") is None


def test_another_image_that_begins_alike_is_taken_from() -> None:
    other = image("other", "ENV a", "RUN b", "COPY c", layers=".bc")
    assert cache.adopted([other], ONE, "RUN b") == cache.Adopted(layer("b"))
    assert cache.adopted([other], BASE, "ENV a") == cache.Adopted(None)
    assert cache.adopted([other], ONE, "RUN x") is None
    assert cache.adopted([other], image("else", "ENV x", layers="."), "RUN b") is None
    assert cache.adopted([other], image("more", "ENV a", "RUN b", layers=".x"), "COPY c") is None


def test_an_image_that_ends_there_has_nothing_more() -> None:
    assert cache.adopted([ONE], ONE, "RUN b") is None

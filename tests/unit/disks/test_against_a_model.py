"""Random layers, applied to a volume and to a plain model of what layers mean; both must agree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linwin.disks import ChainDisks
from linwin.model.image import Layer
from linwin.paths import Paths
from tests.unit.disks.conftest import template
from tests.unit.disks.ntfs_reader import VolumeReader
from tests.unit.layers.windows_tar import HARD_LINK, LayerTar, diff_id

NAMES = st.sampled_from(
    ["a", "A", "b", "ü", "Ü", "\N{LATIN SMALL LETTER DOTLESS I}", "I", "long " * 40 + "name"]
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
STEPS = st.one_of(
    st.tuples(st.just("file"), PATHS, st.sampled_from([0, 10, 700, 5000, 70_000])),
    st.tuples(st.just("directory"), PATHS, st.just(0)),
    st.tuples(st.just("link"), PATHS, PATHS),
    st.tuples(st.just("whiteout"), PATHS, st.just(0)),
    st.tuples(st.just("opaque"), PATHS, st.just(0)),
)


@dataclass
class Inode:
    data: bytes


@dataclass
class Folder:
    """Children by folded name: (name as written, node, brought by the current layer)."""

    children: dict[str, Name] = field(default_factory=dict)


@dataclass
class Name:
    text: str
    node: Inode | Folder
    brought: bool


def folded(name: str) -> str:
    """As $UpCase has it, to which the dotless i is no I."""
    return "".join(letter if ord(letter) == 0x131 else letter.upper() for letter in name)


class Model:
    def __init__(self) -> None:
        self.root = Folder()

    def parent(self, path: str, *, create: bool) -> Folder | None:
        folder = self.root
        for part in path.split("/")[:-1]:
            name = folder.children.get(folded(part))
            if create and (name is None or (isinstance(name.node, Inode) and not name.brought)):
                name = folder.children[folded(part)] = Name(part, Folder(), True)
            if name is None or not isinstance(name.node, Folder):
                return None
            folder = name.node
        return folder

    def find(self, path: str) -> Name | None:
        folder = self.parent(path, create=False)
        return folder.children.get(folded(path.rpartition("/")[2])) if folder else None

    def put(self, path: str, node: Inode | Folder) -> None:
        folder = self.parent(path, create=True)
        assert folder is not None
        name = path.rpartition("/")[2]
        old = folder.children.get(folded(name))
        if isinstance(node, Folder) and old and isinstance(old.node, Folder):
            old.brought = True
        elif not (old and old.node is node):
            folder.children[folded(name)] = Name(name, node, True)

    def remove_lower(self, folder: Folder, key: str) -> None:
        name = folder.children[key]
        if isinstance(name.node, Folder):
            for child in list(name.node.children):
                self.remove_lower(name.node, child)
            if not name.brought and not name.node.children:
                del folder.children[key]
        elif not name.brought:
            del folder.children[key]

    def end_layer(self, folder: Folder | None = None) -> None:
        for name in (folder or self.root).children.values():
            name.brought = False
            if isinstance(name.node, Folder):
                self.end_layer(name.node)

    def files(self, folder: Folder | None = None, prefix: str = "") -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        for name in (folder or self.root).children.values():
            if isinstance(name.node, Folder):
                found[prefix + name.text] = None
                found |= self.files(name.node, f"{prefix}{name.text}/")
            else:
                found[prefix + name.text] = name.node.data
        return found


def take(model: Model, tar: LayerTar, step: tuple[str, str, int | str], number: int) -> None:
    """Do one step in both, unless the layer would be refused for it."""
    kind, path, detail = step
    parent, slash, name = path.rpartition("/")
    if kind in ("file", "directory", "link") and not reachable(model, path):
        return
    if kind == "file":
        data = (f"{number}:".encode() * int(detail))[: int(detail)]
        tar.add(f"Files/{path}", data)
        model.put(path, Inode(data))
    elif kind == "directory":
        tar.directory(f"Files/{path}")
        model.put(path, Folder())
    elif kind == "link":
        target = model.find(str(detail))
        mine, its = f"{folded(path)}/", f"{folded(str(detail))}/"
        if mine.startswith(its) or its.startswith(mine):
            return  # it takes its target's place, by the folder that it needs or by what it replaces
        if target and isinstance(target.node, Inode):
            tar.add(f"Files/{path}", type=HARD_LINK, link=f"Files/{detail}")
            model.put(path, target.node)
            linked = model.find(path)
            assert linked is not None
            linked.brought = True
    elif kind == "whiteout":
        tar.add(f"Files/{parent}{slash}.wh.{name}")
        folder = model.parent(path, create=False)
        if folder and folded(name) in folder.children:
            model.remove_lower(folder, folded(name))
    else:
        tar.add(f"Files/{path}/.wh..wh..opq")
        found = model.find(path)
        if found and isinstance(found.node, Folder):
            for child in list(found.node.children):
                model.remove_lower(found.node, child)


def reachable(model: Model, path: str) -> bool:
    """Whether no parent of ``path`` is a file that the layer brought itself."""
    parts = path.split("/")
    found = [model.find("/".join(parts[:n])) for n in range(1, len(parts))]
    return not any(name and name.brought and isinstance(name.node, Inode) for name in found)


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.lists(STEPS, min_size=1, max_size=25), min_size=1, max_size=3))
def test_layers_mean_what_the_model_says(
    blank_disk: Path,
    store: Callable[[bytes], Layer],
    tmp_path: Path,
    steps: list[list[tuple[str, str, int | str]]],
) -> None:
    model, layers = Model(), []
    for number, layer in enumerate(steps):
        tar = LayerTar().directory("Files")
        for position, step in enumerate(layer):
            take(model, tar, step, number * 100 + position)
        model.end_layer()
        layers.append(store(tar.bytes()))
    root = tmp_path / diff_id(repr(steps).encode())[7:]
    disks = ChainDisks(Paths(root, root / "s"))
    _, end = asyncio.run(disks.chain(template(blank_disk), layers, lambda _: None))
    volume = VolumeReader(end, tmp_path / "raw")
    found = {found.path: None if found.is_directory else found.data for found in volume.found.values()}
    assert found == model.files()

"""Chains that are names in a set; overlays that are files of zeros, or tars of what was made here."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from linwin.errors import InvalidRequest
from linwin.model.chain import chain_ids
from linwin.model.files import Change
from linwin.model.image import Layer
from linwin.model.layer import WrittenLayer
from linwin.model.progress import Progress, Report
from linwin.model.template import Template
from linwin.model.upkeep import Finding
from tests.scenario.fakes.files import FakeFile, FakeFiles, folded, make_plain, read_members, write_members
from tests.scenario.fakes.gate import Gate

CHAIN_SIZE = 10_000
OVERLAY_SIZE = 8192


class FakeDisks:
    """``chains`` maps the ids that exist to their parents; ``overlays`` are those made for containers.

    ``gate`` holds whoever has built a chain, before he can use it, and
    ``flattening`` whoever flattens one. ``broken`` are layers that cannot be
    applied, by diff id; ``faults`` what a check finds.
    """

    def __init__(self) -> None:
        self.chains: dict[str, str | None] = {}
        self.contents: dict[str, dict[tuple[str, ...], FakeFile]] = {}
        self.overlays: dict[Path, str] = {}
        self.changed: list[Change] = []
        self.gate: Gate | None = None
        self.flattening: Gate | None = None
        self.broken: set[str] = set()
        self.faults: list[Finding] = []

    async def chain(self, template: Template, layers: Sequence[Layer], report: Report) -> tuple[str, Path]:
        ids = chain_ids(template.digest, [layer.diff_id for layer in layers])
        self.chains.setdefault(ids[0], None)
        for (parent, chain_id), layer in zip(pairwise(ids), layers, strict=True):
            if layer.diff_id in self.broken:
                raise InvalidRequest(f"layer {layer.digest} cannot be applied: its first entry is a lie")
            report(Progress("Extracting", layer.digest[7:19], layer.size, layer.size))
            self.chains[chain_id] = parent
            self.contents[chain_id] = dict(self.contents.get(parent, {}))
            if layer.blob.exists():  # it was made here
                self.contents[chain_id] |= {folded(file.parts): file for file in read_members(layer.blob)}
        if self.gate:
            await self.gate.passed()
        return ids[-1], path_of(ids[-1])

    async def overlay(self, chain_end: Path, path: Path, *, uid: int) -> None:
        assert path_of(f"sha256:{chain_end.stem}") == chain_end
        if chain_end.name != "c.qcow2":  # a template's own
            assert f"sha256:{chain_end.stem}" in self.chains, "the chain was pruned before it was used"
        self.overlays[path] = f"sha256:{chain_end.stem}"
        if below := self.contents.get(self.overlays[path]):
            write_members(path, below.values())
        else:
            _write(path, b"\0" * OVERLAY_SIZE)

    def files(self, overlay: Path) -> FakeFiles:
        if f"sha256:{overlay.stem}" in self.chains:
            return FakeFiles(overlay, below=self.contents.get(f"sha256:{overlay.stem}", {}))
        assert overlay in self.overlays, "files were asked of a disk that was not made"
        return FakeFiles(overlay)

    async def copy(self, overlay: Path, target: Path) -> None:
        shutil.copyfile(overlay, target)
        self.overlays[target] = self.overlays[overlay]

    async def layer(
        self, overlay: Path, output: Path, *, kind: str, latest: int | None = None
    ) -> WrittenLayer:
        """The members that the overlay has beyond its chain; who deletes a file is not seen."""
        below = self.contents.get(self.overlays[overlay], {})
        changed = [file for file in read_members(overlay) if below.get(folded(file.parts)) != file]
        return written(output, changed)

    async def plain_copy(self, archive: Path, output: Path, overlay: Path) -> None:
        assert overlay in self.overlays, "a running container has a disk"
        make_plain(archive, output)

    async def changes(self, overlay: Path) -> Sequence[Change]:
        assert overlay in self.overlays, "the changes of a disk that was not made"
        return self.changed

    async def backing(self, overlay: Path) -> str | None:
        return self.overlays.get(overlay)

    async def prune(self, keep: frozenset[str]) -> int:
        needed: set[str | None] = set()
        for chain_id in keep & self.chains.keys():
            link: str | None = chain_id
            while link is not None:
                needed.add(link)
                link = self.chains[link]
        doomed = self.chains.keys() - needed
        for chain_id in doomed:
            del self.chains[chain_id]
        return CHAIN_SIZE * len(doomed)

    async def flatten(self, chain_end: Path, target: Path, report: Report) -> None:
        if self.flattening:
            await self.flattening.passed()
        assert f"sha256:{chain_end.stem}" in self.chains, "the chain was pruned while it was read"
        _write(target, disk_of(f"sha256:{chain_end.stem}"))

    async def usage(self) -> dict[str, int]:
        return dict.fromkeys(self.chains, CHAIN_SIZE)

    async def check(
        self, needed: frozenset[str], templates: Sequence[Template], report: Report, *, repair: bool
    ) -> Sequence[Finding]:
        report(Progress("Checking chains"))
        found, self.faults = self.faults, [] if repair else self.faults
        return [dataclasses.replace(finding, repaired=repair) for finding in found]


def written(output: Path, changed: list[FakeFile]) -> WrittenLayer:
    write_members(output, changed)
    data = output.read_bytes()
    return WrittenLayer(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), not changed, 0)


def disk_of(chain_id: str) -> bytes:
    """The flattened disk of a chain: the header of a qcow2 without a backing file, and the chain's id."""
    return b"QFI\xfb\0\0\0\3" + bytes(96) + chain_id.encode()


def path_of(chain_id: str) -> Path:
    return Path("/nowhere", chain_id.removeprefix("sha256:") + ".qcow2")


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)

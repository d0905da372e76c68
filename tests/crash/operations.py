"""The work that is interrupted: pull, load and the building of a chain."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from random import Random

from linwin.client import Client, quote
from linwin.errors import LinwinError, NotFound
from linwin.model.chain import chain_ids
from tests.crash.daemon import KillableDaemon
from tests.registry_server import RegistryServer
from tests.unit.images.archive_writer import Sample, layer_tar, sha256, write

FILES = 60
LAYERS = 3


class Operation(ABC):
    """One kind of work on one root, again and again, and what is there before, amid and after it."""

    name: str

    def __init__(self, daemon: KillableDaemon, template: str, samples: Sequence[Sample]) -> None:
        self.daemon = daemon
        self.samples = samples
        self.chains = {
            chain_id.removeprefix("sha256:") + ".qcow2"
            for sample in samples
            for chain_id in chain_ids(template, sample.diff_ids)
        }

    @abstractmethod
    def work(self, client: Client) -> object:
        """Do it. Raises LinwinError when the daemon refuses, or dies."""

    def is_complete(self, error: LinwinError | None) -> bool:
        """Whether the kill came after the work's end; ``error`` is what its client saw."""
        return error is None

    def assert_whole(self) -> None:
        """Whatever came of the work, it is all there or nothing is to be seen of it."""
        visible = [self._id_of(tag) for sample in self.samples for tag in sample.tags]
        assert visible in (self._ids(), [None] * len(visible))

    def assert_done(self) -> None:
        """All images are there with their digests, every chain is built, and nothing is left lying about."""
        paths = self.daemon.paths
        assert [self._id_of(tag) for sample in self.samples for tag in sample.tags] == self._ids()
        assert {path.name for path in paths.chains.iterdir()} == self.chains
        assert list(paths.scratch.iterdir()) == []
        assert list(paths.pulls.iterdir()) == []

    def undo(self) -> None:
        """Make it as if the work had never been done."""
        for sample in self.samples:
            for tag in sample.tags:
                self.daemon.client.delete(f"/images/{quote(tag)}", force=True)

    def _ids(self) -> list[str | None]:
        return [sample.id for sample in self.samples for _ in sample.tags]

    def _id_of(self, tag: str) -> str | None:
        try:
            return str(self.daemon.client.get(f"/images/{quote(tag)}/json")["Id"])
        except NotFound:
            return None


class Load(Operation):
    """An archive of two images that share their lower layers."""

    name = "load"

    def __init__(self, daemon: KillableDaemon, template: str, dice: Random, folder: Path) -> None:
        layers = make_layers(dice, LAYERS + 1)
        samples = [
            Sample(layers[:LAYERS], tags=["crash/one:1", "crash/one:2"]),
            Sample([*layers[: LAYERS - 1], layers[LAYERS]], tags=["crash/two:1"]),
        ]
        super().__init__(daemon, template, samples)
        both = [sample.docker_members() for sample in samples]
        manifest = [entry for members in both for entry in json.loads(members.pop("manifest.json"))]
        members = {**both[0], **both[1], "manifest.json": json.dumps(manifest).encode()}
        self._archive = write(folder / "load.tar", members, "gzip")

    def work(self, client: Client) -> None:
        with self._archive.open("rb") as archive:
            lines = list(client.load(archive))
        loaded = [line["stream"] for line in lines if "stream" in line]
        assert loaded == [f"Loaded image: {tag}\n" for sample in self.samples for tag in sample.tags]


class Pull(Operation):
    """An image of a real registry, its layers compressed."""

    name = "pull"

    def __init__(
        self, daemon: KillableDaemon, template: str, dice: Random, folder: Path, registry: RegistryServer
    ) -> None:
        name = registry.name("crash/pulled:1")
        sample = Sample(make_layers(dice, LAYERS), tags=[name], compression="gzip")
        super().__init__(daemon, template, [sample])
        manifest, _ = sample.manifest()
        self._digest = sha256(manifest)
        archive = write(folder / "push.tar", sample.oci_members())
        registry.push(f"oci-archive:{archive}", "crash/pulled:1")
        self._name = name

    def work(self, client: Client) -> None:
        repository, _, tag = self._name.rpartition(":")
        lines = list(client.lines("POST", "/images/create", fromImage=repository, tag=tag))
        assert f"Digest: {self._digest}" in [line["status"] for line in lines]

    def assert_done(self) -> None:
        super().assert_done()
        (digest,) = self.daemon.client.get(f"/images/{quote(self._name)}/json")["RepoDigests"]
        assert digest.rpartition("@")[2] == self._digest


class Build(Operation):
    """The chain of an image that is here already, by asking for its disk."""

    name = "chain"

    def __init__(self, daemon: KillableDaemon, template: str, dice: Random, folder: Path) -> None:
        sample = Sample(make_layers(dice, LAYERS), tags=["crash/built:1"], compression="zstd")
        super().__init__(daemon, template, [sample])
        archive = write(folder / "build.tar", sample.docker_members())
        with archive.open("rb") as file:
            list(daemon.client.load(file))
        self.undo()

    def work(self, client: Client) -> None:
        (tag,) = self.samples[0].tags
        with client.request("GET", f"/linwin/images/{quote(tag)}/disk") as response:
            while response.read1():
                pass

    def is_complete(self, error: LinwinError | None) -> bool:
        """The chain is built before the disk is put together and sent."""
        return {path.name for path in self.daemon.paths.chains.iterdir()} == self.chains

    def assert_whole(self) -> None:
        assert self._id_of(*self.samples[0].tags) == self.samples[0].id

    def undo(self) -> None:
        """The image stays; its chain is one that a user deleted."""
        for path in self.daemon.paths.chains.iterdir():
            path.unlink()


def make_layers(dice: Random, count: int) -> list[bytes]:
    """Layers of small files, some of which take the places of those below."""
    return [
        layer_tar(
            {f"{dice.randrange(4 * FILES)}.bin": dice.randbytes(dice.randrange(8000)) for _ in range(FILES)}
        )
        for _ in range(count)
    ]

"""Images of every writer through a real registry: pulled, read by others, pushed, pulled, pushed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linwin.paths import Paths
from tests.registry_server import RegistryServer, serve_registry
from tests.unit.disks.fsntfs_reader import as_raw, root_names
from tests.unit.disks.independent import confirm
from tests.unit.images.archive_writer import Sample, layer_tar, sha256, write
from tests.unit.layers.layer_writers import WRITERS
from tests.vm.conftest import Linwin

COMPRESSION = dict(zip(WRITERS, ("gzip", "zstd", "gzip", None, "zstd", "gzip"), strict=True))


@pytest.fixture(scope="module")
def registry(shared_daemon: Linwin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with serve_registry(tmp_path_factory.mktemp("registry")) as server:
        server.configure(Paths(shared_daemon.root, shared_daemon.socket))
        yield server


@pytest.fixture(scope="module")
def beside(shared_daemon: Linwin, tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """What the template's own C: has in its root."""
    (disk,) = (shared_daemon.root / "templates").glob("wine/**/c.qcow2")
    return root_names(as_raw(disk, tmp_path_factory.mktemp("template") / "c.raw"))


@pytest.fixture
def upload(registry: RegistryServer, tmp_path: Path) -> Callable[[str], str]:
    """Puts the image of a writer into the registry; returns the reference to pull it by."""

    def put(writer: str) -> str:
        image = Sample(
            layers=WRITERS[writer]().layers,
            tags=("example/app:1.0",),
            os_version="10.0.17763.6414",
            run={"Cmd": ["cmd"]},
            compression=COMPRESSION[writer],
        )
        archive = write(tmp_path / "image.tar", image.oci_members())
        registry.push(f"oci-archive:{archive}", f"{writer}:1.0", "--preserve-digests")
        return registry.name(f"{writer}:1.0")

    return put


@pytest.mark.parametrize("writer", WRITERS)
def test_a_pulled_image_is_what_its_writer_wrote(
    linwin: Linwin,
    upload: Callable[[str], str],
    registry: RegistryServer,
    beside: frozenset[str],
    tmp_path: Path,
    writer: str,
) -> None:
    reference = upload(writer)
    digest = sha256(registry.manifest(f"{writer}:1.0"))
    pulled = linwin.text("pull", reference)
    assert f"Digest: {digest}\n" in pulled
    assert f"Status: Downloaded newer image for {reference}\n" in pulled

    disk = tmp_path / "disk.qcow2"
    linwin("image", "disk", reference, "--format", "qcow2", "-o", str(disk))
    volume = WRITERS[writer]().volume
    assert not {path.partition("/")[0] for path in volume} & beside
    confirm(disk, tmp_path, volume, beside=beside)
    disk.unlink()

    pushed = registry.name(f"again/{writer}:2.0")
    linwin("tag", reference, pushed)
    assert push(linwin, pushed) == digest
    linwin("rmi", reference, pushed)
    assert f"Digest: {digest}\n" in linwin.text("pull", pushed)
    assert push(linwin, pushed) == digest
    assert sha256(registry.manifest(f"again/{writer}:2.0")) == digest
    linwin("rmi", pushed)
    assert linwin.text("system", "check") == "No problems found.\n"


def push(linwin: Linwin, reference: str) -> str:
    """Push, and return the digest that linwin printed."""
    last = linwin.text("push", reference).splitlines()[-1]
    tag, name, digest, size, bytes_ = last.split()
    assert (tag, name, size) == (f"{reference.rpartition(':')[2]}:", "digest:", "size:")
    assert int(bytes_) > 0
    return digest


@pytest.fixture
def real_base(linwin: Linwin, registry: RegistryServer, tmp_path: Path) -> Iterator[Sample]:
    """What Microsoft's registry has under the name of the base image, in ours."""
    layer = layer_tar({"Windows/System32/ntdll.dll": b"the real one"})
    base = Sample([layer], os_version="10.0.20348.2113", history=[{"created_by": "Apply image 10.0.20348.1"}])
    archive = write(tmp_path / "base.tar", base.oci_members())
    registry.push(f"oci-archive:{archive}", "windows/nanoserver:ltsc2022")
    home = registry.name("windows/nanoserver")
    aliases = linwin.root / "aliases.yaml"
    aliases.write_text(f"mcr.microsoft.com/windows/nanoserver: {home}\n")
    yield base
    aliases.unlink()


def test_an_image_made_here_is_pushed_on_its_real_base_and_runs_anywhere(
    linwin: Linwin, registry: RegistryServer, program: Callable[[str], str], real_base: Sample
) -> None:
    reference = registry.name("example/node:1")
    linwin("tag", program("node"), reference)
    digest = push(linwin, reference)
    manifest = json.loads(registry.manifest("example/node:1"))
    assert manifest["layers"][0]["digest"] == real_base.diff_ids[0]
    assert push(linwin, reference) == digest
    linwin("rmi", reference)

    done = linwin("run", "--rm", reference, "node", "-p", "6*7")
    assert done.stdout.strip() == b"42"
    assert f"Unable to find image '{reference}' locally".encode() in done.stderr
    assert b"of base layers not downloaded: template wine provides them" in done.stderr
    assert linwin.inspect(reference)["RootFS"]["Layers"][0] == real_base.diff_ids[0]
    assert push(linwin, reference) == digest
    linwin("rmi", reference)

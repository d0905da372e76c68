"""What skopeo's log tells, and what it is told of blobs elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.images import references
from linwin.images.registry.copying import Copy, Missing, SourceFailed, _failure, _Log, run_copy
from linwin.images.registry.mounts import write_mount_hints
from linwin.images.registry.skopeo import skopeo_session, subject_of
from linwin.paths import Paths
from tests.registry_server import RegistryServer
from tests.unit.images.archive_writer import Sample, layer_tar, write

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


class Heard:
    """Writes down what a copy tells."""

    def __init__(self) -> None:
        self.said: list[tuple[str, ...]] = []

    def present(self, digest: str) -> None:
        self.said.append(("present", digest))

    def mounted(self, digest: str, repository: str) -> None:
        self.said.append(("mounted", digest, repository))

    def foreign(self, digest: str) -> None:
        self.said.append(("foreign", digest))

    def uploading(self, digest: str, current: int) -> None:
        pass

    def uploaded(self, digest: str) -> None:
        self.said.append(("uploaded", digest))


def debug(message: str) -> bytes:
    return f'time="2026-01-02T03:04:05Z" level=debug msg={json.dumps(message)}\n'.encode()


async def follow(heard: Heard, *pieces: bytes) -> _Log:
    stream = asyncio.StreamReader()
    for piece in pieces:
        stream.feed_data(piece)
    stream.feed_eof()
    log = _Log(heard)
    await log.follow(stream)
    return log


async def test_what_becomes_of_blobs() -> None:
    heard = Heard()
    await follow(
        heard,
        debug(f"Checking if we can reuse blob {ONE}: general substitution = false"),
        debug(f"Trying to mount /v2/a/blobs/uploads/?from=team%2Fbase&mount=sha256%3A{'1' * 64}"),
        debug("... mount OK"),
        debug(f"Skipping blob {TWO} (already present):"),
        debug(f"Skipping blob {ONE} (already present):"),
        debug(f'Skipping foreign layer "{TWO}" copy to docker'),
        debug(f"Upload of layer {ONE} complete"),
    )
    assert heard.said == [
        ("present", TWO),
        ("mounted", ONE, "team/base"),
        ("foreign", TWO),
        ("uploaded", ONE),
    ]


async def test_lines_in_pieces_and_lines_without_end() -> None:
    heard = Heard()
    line = debug(f"Upload of layer {ONE} complete")
    await follow(heard, line[:40], line[40:], b"x" * (1 << 20) + b"\n", line)
    assert heard.said == [("uploaded", ONE), ("uploaded", ONE)]
    log = await follow(heard, b'level=fatal msg="it ends here"')
    assert log.fatal == 'level=fatal msg="it ends here"'


def test_whose_fault_it_is(paths: Paths) -> None:
    target = references.parse("example.com/app:1")
    subject = subject_of("push", target, target.domain, paths)
    folder = Copy("dir:/x", "docker://example.com/app:1", Path("/x"))
    missing = f'level=fatal msg="reading blob {ONE}: open /x/{"1" * 64}: no such file or directory"'
    found = _failure(missing, folder, subject)
    assert isinstance(found, Missing)
    assert found.digest == ONE
    between = Copy("docker://example.org/base@" + ONE, "docker://example.com/app@" + ONE)
    failed = _failure('level=fatal msg="initializing source docker://example.org: no"', between, subject)
    assert isinstance(failed, SourceFailed)
    assert str(failed) == "initializing source docker://example.org: no"
    refused = _failure('level=fatal msg="writing manifest: dial tcp: connection refused"', between, subject)
    assert isinstance(refused, Unavailable)
    assert refused.message == "registry example.com cannot be reached: connection refused"


@pytest.mark.parametrize("others", [0, 1000])
async def test_skopeo_understands_what_it_is_told_of_mounts(
    registry: RegistryServer, paths: Paths, tmp_path: Path, others: int
) -> None:
    """Also when that is more than one page of its database."""
    registry.configure(paths)
    layers = [layer_tar({"plain.txt": b"plain"}), layer_tar({"own.txt": b"own"})]
    for compression in (None, "gzip", "zstd"):
        sample = Sample(layers, compression=compression, tags=["example/app:1"])
        archive = write(tmp_path / "app.tar", sample.oci_members())
        registry.push(f"oci-archive:{archive}", "team/home:1")
        manifest = sample.manifest()[0]
        found = {layer["digest"]: layer["mediaType"] for layer in json.loads(manifest)["layers"]}
        more = {f"sha256:{number:064x}": "application/x.gzip" for number in range(others)}
        folder, heard = tmp_path / f"image-{compression}", Heard()
        folder.mkdir()
        (folder / "manifest.json").write_bytes(manifest)
        (folder / sample.id[7:]).write_bytes(sample.config)
        target = references.parse(registry.name(f"team/{compression or 'plain'}:1"))
        with skopeo_session(paths, registry.host, None) as session:
            data_home = session.folder / "data"
            write_mount_hints(data_home, references.parse(registry.name("team/home")), {**found, **more})
            session.environment["XDG_DATA_HOME"] = os.fspath(data_home)
            copy = Copy(f"dir:{folder}", f"docker://{target}", folder)
            subject = subject_of("push", target, target.domain, paths)
            await run_copy(copy, session, subject, heard, patience=60)
        assert {said for said in heard.said if said[0] == "mounted"} == {
            ("mounted", digest, "team/home") for digest in found
        }

"""A template that chains can stand on and nobody can boot: an empty NTFS volume and no guest."""

from __future__ import annotations

import subprocess
from pathlib import Path

from linwin.model.template import BaseImage
from linwin.paths import Paths
from linwin.templates import manifest
from linwin.templates.manifest import C_DISK, PARTS, Manifest
from tests.unit.images.archive_writer import NANOSERVER

NAME = "wine"
VOLUME = 32 << 20


def install(paths: Paths) -> str:
    """Install it in a root; return its digest."""
    parts = paths.templates / NAME / "parts"
    parts.mkdir(parents=True)
    for name in PARTS:
        (parts / name).write_bytes(b"")
    _make_c_disk(parts / C_DISK)
    record = Manifest(
        name=NAME,
        kind=NAME,
        summary="a stand-in",
        cmdline="",
        minimum_memory=384,
        serves_any_build=True,
        provides=(BaseImage((NANOSERVER,), "10.0.20348.2113", "ContainerUser"),),
        left_out=(),
        unserved=(),
        parts=manifest.part_digests(parts),
        packages=(),
        created="2025-01-02T03:04:05Z",
    )
    parts.rename(parts.with_name(record.digest.removeprefix("sha256:")[:16]))
    (paths.templates / NAME / manifest.FILE).write_bytes(record.to_json())
    return record.digest


def _make_c_disk(disk: Path) -> None:
    raw = disk.with_suffix(".raw")
    with raw.open("wb") as file:
        file.truncate(VOLUME)
    subprocess.run(["mkntfs", "-Q", "-F", "-q", raw], check=True, capture_output=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
    raw.unlink()

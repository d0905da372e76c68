"""The record of a Windows template: what is in its one part."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from linwin.model.template import BaseImage
from linwin.templates import manifest
from linwin.templates.manifest import DISK, Manifest
from linwin.templates.recipe import IsoRecipe
from linwin.templates.windows.drivers import Package


def write(
    out: Path,
    recipe: IsoRecipe,
    windows: str,
    os_version: str,
    drivers: Iterable[Package],
    *,
    c_start: int,
) -> Manifest:
    """Record the disk in ``out``, beside it. ``windows`` is what its Windows is called. Raises OSError.

    ``c_start`` is where C: begins on it, in bytes.
    """
    (out / DISK).chmod(0o444)
    versions = (f"{one.inf.removesuffix('.inf')} {'.'.join(map(str, one.version))}" for one in drivers)
    record = Manifest(
        name=recipe.name,
        kind=recipe.kind,
        summary=recipe.summary,
        cmdline="",
        minimum_memory=recipe.minimum_memory,
        serves_any_build=False,
        provides=tuple(BaseImage(base.references, os_version, base.user) for base in recipe.provides),
        left_out=(),
        unserved=(),
        parts=manifest.part_digests(out, (DISK,)),
        packages=(f"{windows} {os_version}", *versions),
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        c_start=c_start,
    )
    (out / manifest.FILE).write_bytes(record.to_json())
    return record

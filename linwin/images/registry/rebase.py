"""Putting a real base image in the place of the one that a template stood in for.

An image that was built on a template's base image names layers that no
registry has. Before it is pushed, the base image that it was meant to stand on
is looked up, and that one's layers and history take the stand-in's place. The
same image on the same base gives the same bytes, always.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from linwin.errors import Conflict, LinwinError
from linwin.images import references
from linwin.images.aliases import Aliases
from linwin.images.bases import stand_in_diff_id
from linwin.images.configs import ImageConfig
from linwin.images.contents import sha256
from linwin.images.manifest_output import encode, layer_descriptors, oci_manifest, stored_descriptor
from linwin.images.records import Record
from linwin.images.references import Reference
from linwin.images.registry.choice import Chosen, choose
from linwin.images.registry.manifests import Manifest, ManifestList, parse_manifest
from linwin.images.registry.source import Source
from linwin.model.builds import build_of, version_key

_TOLD_BY = "linwin's stand-in for "
"""How the history of a template's base image names the real one (:func:`linwin.images.bases.base_config`)."""


def stands_on_stand_in(config: ImageConfig) -> bool:
    """Whether an image's lowest layer is one that only linwin knows."""
    return config.diff_ids[:1] == (stand_in_diff_id(config.platform.os_version),)


def real_base(config: ImageConfig, aliases: Aliases) -> Reference | None:
    """Where the base image lives that an image's history says it stands on; None when it says none."""
    for line in config.history:
        if line.comment.startswith(_TOLD_BY):
            try:
                return aliases.home(references.parse(line.comment.removeprefix(_TOLD_BY)))
            except LinwinError:
                return None  # whoever wrote that line was not linwin
    return None


async def fetch_base(source: Source, os_version: str) -> Chosen:
    """The base image for a Windows version: of a list, the newest of the same build.

    A list with one image for Windows means that one, whatever its build: a
    template may serve every build and have one that no base image has. Raises
    Conflict when several are there and none is of the build, and what
    :class:`Source` does.
    """
    top = await source.manifest()
    document = parse_manifest(top, source.subject.name)
    if isinstance(document, Manifest):
        return await choose(source, top, ())
    found = await _instances(source, document)
    same = [version for version in found if build_of(version) == build_of(os_version)]
    if not same and len(found) != 1:
        there = ", ".join(sorted(found, key=version_key)) or "none"
        raise Conflict(
            f"{source.subject.name} has no image for Windows {build_of(os_version)} (there: {there})",
            hint="Name a tag that has it in the alias file.",
        )
    version = max(same or found, key=version_key)
    return await choose(source, await source.manifest(found[version]), ())


async def _instances(source: Source, document: ManifestList) -> dict[str, str]:
    """The digests of a list's manifests for Windows on amd64, by os.version."""
    found: dict[str, str] = {}
    for instance in document.instances:
        digest, platform = instance.descriptor.digest, instance.platform
        if platform is None:
            platform = (await choose(source, await source.manifest(digest), ())).config.platform
        if (platform.os, platform.architecture) == ("windows", "amd64"):
            found[platform.os_version] = digest
    return found


def rebased_config(data: bytes, count: int, base: bytes) -> bytes:
    """The config ``data`` with its lowest ``count`` layers replaced by all layers of the config ``base``.

    What says which layers and which Windows they are comes from the base; all
    else stays as it is.
    """
    fields, below = json.loads(data), json.loads(base)
    own = fields["rootfs"]["diff_ids"][count:]
    fields["rootfs"] = {**fields["rootfs"], "diff_ids": [*below["rootfs"]["diff_ids"], *own]}
    own_lines = _own_history(fields.get("history") or [], count, len(own))
    fields["history"] = [*(below.get("history") or []), *own_lines]
    for key in ("os.version", "os.features"):
        fields.pop(key, None)
        if below.get(key):
            fields[key] = below[key]
    return encode(fields)


def rebased_record(record: Record, config: bytes, base: Chosen, home: Reference) -> tuple[Record, bytes]:
    """The record and the manifest of an image that ``config`` puts on ``base``, which lives at ``home``.

    An image without layers of its own and with the base's config is the base.
    """
    if config == base.config_bytes:
        manifest = base.manifest.data
    else:
        below = layer_descriptors(base.manifest.data, f"the manifest of {home.familiar}")
        layers = [*below, *map(stored_descriptor, record.layers)]
        manifest = oci_manifest(sha256(config), len(config), layers)
    rebased = Record(
        id=sha256(config),
        base_layers=len(base.config.diff_ids),
        layers=record.layers,
        manifest=sha256(manifest),
        home=f"{home.name}@{base.manifest.digest}",
    )
    return rebased, manifest


def _own_history(lines: Sequence[dict[str, Any]], count: int, own: int) -> list[dict[str, Any]]:
    """The lines above the ``count`` lowest layers.

    A history that does not tell of every layer cannot say where those end; it is
    replaced by one bare line a layer, so that the base's lines keep their meaning.
    """
    layered = [number for number, line in enumerate(lines) if not line.get("empty_layer")]
    if len(layered) != count + own:
        return [{}] * own
    return list(lines[layered[count - 1] + 1 :]) if count else list(lines)

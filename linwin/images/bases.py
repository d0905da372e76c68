"""Base layers: which of an image's layers a template stands in for.

A template that has no real base layers to name (wine's) names a *stand-in*
diff id instead, made from the Windows build alone. Its base images carry that
diff id, so an image built on one is recognised by it on any machine and after
any rebuild of the template.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import takewhile

from linwin.images.configs import ImageConfig
from linwin.model.builds import build_of
from linwin.model.template import BaseImage, Template

# What Microsoft's own builds write into the history of the layers they make.
_HISTORY = ("apply image ", "install update ")

# Media types of layers that may not be redistributed, which only base layers
# are. Sources: OCI image specification, "layer.md"; Docker's schema 2 manifest.
_FOREIGN = (
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
)


def stand_in_diff_id(os_version: str) -> str:
    """The diff id that stands for the base layers of a Windows build, whatever its revision."""
    sentence = f"linwin's stand-in for the base layers of Windows {build_of(os_version)}"
    return "sha256:" + hashlib.sha256(sentence.encode()).hexdigest()


def base_diff_ids(base: BaseImage) -> tuple[str, ...]:
    """The layers of a provided base image: its real ones where known, else the stand-in."""
    return base.diff_ids or (stand_in_diff_id(base.os_version),)


def base_config(base: BaseImage) -> bytes:
    """The config of the image that ``base`` is: the same bytes for the same base, always.

    It holds no time, so that a template's rebuild leaves the image's id alone.
    Its history names the base, for what is built on it inherits that line.
    """
    diff_ids = base_diff_ids(base)
    applied = {
        "created_by": f"Apply image {base.os_version}",
        "comment": f"linwin's stand-in for {base.references[0]}" if base.references else "",
    }
    further = {"created_by": f"Install update {base.os_version}"}
    config = {
        "architecture": "amd64",
        "os": "windows",
        "os.version": base.os_version,
        "config": {"Cmd": ["c:\\windows\\system32\\cmd.exe"], "User": base.user},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": [applied] + [further] * (len(diff_ids) - 1),
    }
    return json.dumps(config, separators=(",", ":")).encode()


def is_foreign(media_type: str) -> bool:
    """Whether a layer of this media type may be missing from an archive."""
    return media_type.startswith(_FOREIGN)


def count_base_layers(
    config: ImageConfig, media_types: Sequence[str | None], templates: Sequence[Template]
) -> int:
    """How many leading layers of an image its templates provide.

    ``templates`` are those that serve the image's build. A layer counts by its
    diff id, by what its history says, or by a media type that says it may not
    be distributed; the sign that reaches furthest decides.
    """
    provided = {
        diff_id
        for template in templates
        for base in template.provides
        for diff_id in (*base.diff_ids, stand_in_diff_id(base.os_version))
    }
    known = sum(1 for _ in takewhile(provided.__contains__, config.diff_ids))
    foreign = sum(1 for _ in takewhile(lambda kind: kind is not None and is_foreign(kind), media_types))
    return max(known, _told_by_history(config), foreign)


def _told_by_history(config: ImageConfig) -> int:
    layered = [entry for entry in config.history if not entry.empty_layer]
    if len(layered) != len(config.diff_ids):
        return 0  # such a history cannot say which layer an entry is about
    return sum(1 for _ in takewhile(lambda e: e.created_by.lower().startswith(_HISTORY), layered))

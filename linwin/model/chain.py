"""Chain ids: the content addresses of backing chains."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

WRITER = 3
"""Raised when the same layer begins to make another disk: a chain of an older linwin is none of ours then."""


def chain_ids(template_digest: str, diff_ids: Iterable[str]) -> tuple[str, ...]:
    """The ids of a chain, template first.

    Each is ``sha256:`` of its parent's id, a space and the layer's diff id, the
    recipe of the OCI image specification's ChainID, and then of the writer's
    number; the template's digest takes the place of the base layers.
    """
    ids = [template_digest]
    for diff_id in diff_ids:
        ids.append("sha256:" + hashlib.sha256(f"{ids[-1]} {diff_id} {WRITER}".encode()).hexdigest())
    return tuple(ids)

"""What the verbs that look after a root say: findings, sizes, what was pruned."""

from __future__ import annotations

from dataclasses import dataclass

from linwin.model.image import Removed


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found wrong.

    ``subject`` names the blob, chain, image or container, ``problem`` completes
    the sentence about it, ``remedy`` says what mends it. ``repaired`` tells that
    the check did so itself.
    """

    subject: str
    problem: str
    remedy: str
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune removed, and the bytes of disk that it freed."""

    removed: tuple[Removed, ...] = ()
    containers: tuple[str, ...] = ()
    freed: int = 0


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes of disk that a root takes.

    ``blobs`` are the image store's, ``interrupted`` those of them that only
    unfinished pulls kept; ``chains`` go by chain id; ``overlays`` by container id.
    """

    blobs: int
    interrupted: int
    chains: dict[str, int]
    overlays: dict[str, int]

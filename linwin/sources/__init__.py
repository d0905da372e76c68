"""Dockerfiles and the contexts of builds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linwin.sources.build_sources import BuildSources

__all__ = ["BuildSources"]


def __getattr__(name: str) -> Any:
    """Load what the daemon uses when it does: each build's worker imports this package as well."""
    if name != "BuildSources":
        raise AttributeError(name)
    from linwin.sources.build_sources import BuildSources

    return BuildSources

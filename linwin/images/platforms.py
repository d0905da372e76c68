"""Which images can run here: platforms and Windows builds against templates."""

from __future__ import annotations

from collections.abc import Sequence

from linwin.errors import InvalidRequest, unserved
from linwin.model.builds import build_of, serves, version_key
from linwin.model.image import Platform
from linwin.model.template import Template

Rank = tuple[bool, bool, tuple[int, int, int, int]]


def rank(platform: Platform, templates: Sequence[Template]) -> Rank | None:
    """How well an image of ``platform`` fits the templates; None when it is not for Windows on amd64.

    Ranks compare: served by a template before not, a build that a template
    provides itself before any other, then the newest.
    """
    if platform.os != "windows" or platform.architecture != "amd64":
        return None
    provided = {build_of(base.os_version) for template in templates for base in template.provides}
    return (
        any(serves(template, platform.os_version) for template in templates),
        build_of(platform.os_version) in provided,
        version_key(platform.os_version),
    )


def require_windows(platform: Platform, name: str) -> None:
    """Refuse an image for another system. Raises InvalidRequest saying which it is for."""
    if platform.os == "windows" and platform.architecture == "amd64":
        return
    named = f"{platform.os or 'an unnamed system'}/{platform.architecture or 'unknown'}"
    raise InvalidRequest(
        f"image {name} is for {named}; linwin runs Windows images for amd64",
        hint="Build or save the image for the platform windows/amd64.",
    )


def serving(os_version: str, name: str, templates: Sequence[Template]) -> list[Template]:
    """The templates that serve an image's Windows version, in the order given.

    Raises Unavailable when none does.
    """
    found = [template for template in templates if serves(template, os_version)]
    if found:
        return found
    raise unserved(name, os_version, [template.name for template in templates])

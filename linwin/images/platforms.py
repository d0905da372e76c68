"""Which images can run here: platforms and Windows builds against templates.

The matching rule is Windows' own, as containerd's ``platforms`` has it: a guest
of version 10.0 runs images of its own build; from build 20348 on the kernel's
interface is stable, so a newer guest also runs images of older builds down to
that one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from linwin.errors import InvalidRequest, Unavailable
from linwin.model.image import Platform
from linwin.model.template import Template

STABLE_BUILD = 20348
"""Windows Server 2022, the first build whose kernel interface stays as it is."""

_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9})(?:\.(\d{1,9}))?)?")


def version_key(os_version: str) -> tuple[int, int, int, int]:
    """``10.0.BUILD.UBR`` as numbers, to compare; zeros for what it does not say."""
    match = _VERSION.fullmatch(os_version)
    if match is None:
        return (0, 0, 0, 0)
    major, minor, build, revision = (int(part or 0) for part in match.groups())
    return (major, minor, build, revision)


def build_of(os_version: str) -> str:
    """``10.0.17763.5329`` → ``10.0.17763``: what decides compatibility."""
    return ".".join(os_version.split(".")[:3])


def runs_on(image_version: str, guest_version: str) -> bool:
    """Whether a guest of ``guest_version`` runs images of ``image_version``."""
    if not image_version or not guest_version:
        return True
    image, guest = version_key(image_version), version_key(guest_version)
    if image[:2] != guest[:2]:
        return False
    if guest[2] < STABLE_BUILD or image[2] < STABLE_BUILD:
        return image[2] == guest[2]
    return image[2] <= guest[2]


def serves(template: Template, os_version: str) -> bool:
    """Whether ``template`` runs images of this Windows version."""
    if template.serves_any_build:
        return True
    return any(runs_on(os_version, base.os_version) for base in template.provides)


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

    Raises Unavailable, naming the build and the templates at hand, when none does.
    """
    found = [template for template in templates if serves(template, os_version)]
    if found:
        return found
    present = ", ".join(sorted(template.name for template in templates)) or "none"
    build = f"Windows {os_version}" if os_version else "Windows"
    raise Unavailable(
        f"no template serves image {name}, which is for {build} (templates here: {present})",
        hint="Build one that serves every Windows build with: linwin template build wine",
    )

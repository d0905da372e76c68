"""Windows builds: which of them a guest runs.

The rule is Windows' own, as containerd's ``platforms`` has it: a guest of
version 10.0 runs images of its own build; from build 20348 on the kernel's
interface is stable, so a newer guest also runs images of older builds down to
that one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

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


def best_first(templates: Iterable[Template], os_version: str = "") -> Sequence[Template]:
    """Templates in the order in which an image of this Windows version is to have them.

    Windows comes before what stands in for it, and Windows of the image's own build before a newer one.
    """

    def rank(template: Template) -> tuple[bool, bool]:
        own = any(build_of(base.os_version) == build_of(os_version) for base in template.provides)
        return template.serves_any_build, not own

    return sorted(templates, key=rank)

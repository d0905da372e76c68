"""What guests that run Windows itself do not do yet, said at create and not after a boot of minutes."""

from __future__ import annotations

from collections.abc import Sequence

from linwin.errors import Unsupported
from linwin.model.builds import version_key
from linwin.model.container import ContainerSpec
from linwin.model.mount import Mount
from linwin.model.template import Template

FIRST_WITH_TERMINALS = 17763
"""The build of Windows from which on programs can have pseudo-consoles."""


def refuse(spec: ContainerSpec, mounted: Sequence[Mount], template: Template) -> None:
    """Raise Unsupported for a container that a guest of the template could not be. Others are let pass."""
    if template.boots_before_c:
        return
    guests = f"guests of the template {template.name}"
    if mounted:
        raise Unsupported(
            f"{guests} mount no files of the host yet",
            hint="Leave out -v and --mount; linwin cp copies files of a stopped container. An image that "
            "declares a volume needs another template.",
        )
    if spec.extra_hosts:
        raise Unsupported(f"{guests} know no extra hosts yet", hint="Leave out --add-host.")
    builds = [version_key(base.os_version)[2] for base in template.provides]
    if spec.tty and builds and max(builds) < FIRST_WITH_TERMINALS:
        raise Unsupported(
            f"{guests} have no terminals: Windows has them from build {FIRST_WITH_TERMINALS} on",
            hint="Leave out -t.",
        )


def warnings(template: Template, name: str) -> tuple[str, ...]:
    """What the user of a new container of that name should know of its start."""
    if template.boots_before_c:
        return ()
    return (
        "at its first start Windows sets itself up, which takes minutes; look on with "
        f"linwin console --follow {name} or linwin screenshot {name}",
    )

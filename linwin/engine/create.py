"""create: from a specification to a container at rest."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from linwin.engine import (
    attach,
    command,
    health,
    log_options,
    mounts,
    names,
    publish,
    signals,
    unreadable,
    unserved,
    windows,
)
from linwin.errors import Conflict, InvalidRequest, NotFound
from linwin.errors import unserved as no_template
from linwin.model.builds import best_first, serves
from linwin.model.chain import chain_ids
from linwin.model.container import Container, ContainerSpec
from linwin.model.image import Image
from linwin.model.log_config import LogConfig
from linwin.model.template import Template, Unusable

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

UID_BASE = 1_000_000_000
UIDS_PER_ROOT = 10_000
MOST_CONTAINERS = UIDS_PER_ROOT - 2
"""The last two users are of machines that are no container's."""
"""Each machine runs as a host user of its own; the ranges lie above all that distributions hand out."""

MIB = 1 << 20


async def create(engine: Engine, spec: ContainerSpec, name: str | None) -> tuple[str, tuple[str, ...]]:
    """Record a container; its disk and machine come with its first start.

    Returns its id, and what its user should be warned of.
    """
    async with engine.creating, engine.volumes.held():
        image = await engine.rooms.images.resolve(spec.image)
        if stop_signal := spec.stop_signal or image.config.stop_signal:
            signals.parse(stop_signal)  # refused now, and not when somebody wants to stop it
        template = await template_for(engine, image, spec.template)
        check_memory(spec, template)
        names.check_host(spec.hostname, spec.domainname)
        if spec.memory:
            await engine.admission.check_size(spec.memory // MIB)
        cwd = working_dir(spec.working_dir or image.config.working_dir)
        resolved = command.resolve(spec, image.config)
        endpoints, no_network = await attach.check(engine, spec)
        log = log_options.resolve(LogConfig(spec.log_driver, spec.log_options), engine.log_default)
        others = await engine.rooms.state.list()
        name = names.check(name) if name else names.invent({other.name for other in others})
        mounted, no_volumes = await mounts.resolve(engine, spec, image)
        windows.refuse(spec, mounted, template)
        container = Container(
            id=names.new_id(),
            name=name,
            spec=dataclasses.replace(
                spec,
                stop_signal=stop_signal,
                log_driver=log.driver,
                log_options=log.options,
                endpoints=endpoints,
            ),
            image_id=image.id,
            template=template.name,
            chain_id=chain_ids(template.digest, [layer.diff_id for layer in image.layers])[-1],
            argv=resolved.argv,
            command_line=resolved.line,
            env=command.merge_env(image.config.env, spec.env),
            cwd=cwd,
            user=spec.user or image.config.user,
            labels={**image.config.labels, **spec.labels},
            shell=image.config.shell,
            health_check=health.merge(spec.health_check, image.config.health_check),
            uid=free_uid(engine.paths.tag, unreadable.host_users(engine, others) | engine.pool.uids),
            created_at=time.time_ns(),
            exposed_ports=publish.exposed((*spec.exposed_ports, *image.config.exposed_ports)),
            mounts=mounted,
        )
        await engine.rooms.state.add(container)
    engine.events.container(container, "create")
    words = container.command_line.split() if container.command_line else container.argv
    warnings = unserved.warnings(template, image, spec.image, words)
    warnings = (*windows.warnings(template, container.name), *warnings)
    return container.id, (*warnings, *filter(None, (no_network, no_volumes)))


async def template_for(engine: Engine, image: Image, wanted: str = "") -> Template:
    """The template that the image's containers boot from: the one of the name ``wanted``, where given.

    Raises Unavailable when none serves it, InvalidRequest when the wanted one does not, NotFound.
    """
    if wanted:
        return _checked(await engine.rooms.templates.get(wanted), image)
    templates = await engine.rooms.templates.list()
    if chosen := choose_template(image, templates):
        return chosen
    name = next(iter(image.references), image.id)
    error = no_template(name, image.platform.os_version, [template.name for template in templates])
    if unusable := await unusable_template(engine):
        error.hint = f"{unusable.reason}; {unusable.remedy}"
    raise error


def _checked(template: Template, image: Image) -> Template:
    if image.template == template.name or serves(template, _version(image)):
        return template
    runs = ", ".join(base.os_version for base in template.provides) or "no version that is known"
    raise InvalidRequest(
        f"the template {template.name} does not serve image {next(iter(image.references), image.id)}: "
        f"that is for Windows {_version(image)}, and its guests run {runs}",
        hint="Leave out --template to have one chosen; linwin template ls tells those at hand.",
    )


async def unusable_template(engine: Engine) -> Unusable | None:
    """The first of those that are installed and cannot be used: why no other serves."""
    return next(iter(await engine.rooms.templates.unusable()), None)


def choose_template(image: Image, templates: Iterable[Template]) -> Template | None:
    """The image's own template, else the best of those that serve its build."""
    if image.template is not None:
        return next((template for template in templates if template.name == image.template), None)
    return next((one for one in best_first(templates, _version(image)) if serves(one, _version(image))), None)


def _version(image: Image) -> str:
    return image.platform.os_version


def check_memory(spec: ContainerSpec, template: Template) -> None:
    """Refuse a limit in which the guest could not even boot."""
    if 0 < spec.memory < template.minimum_memory * MIB:
        raise InvalidRequest(
            f"{spec.memory // MIB} MiB of memory are too few for the template {template.name}",
            hint=f"Give at least {template.minimum_memory} MiB, as in --memory {template.minimum_memory}m.",
        )


def working_dir(folder: str) -> str:
    """The folder a program starts in, C:\\ by default; refused in docker's words unless it is named whole."""
    below_drive = re.sub(r"^[A-Za-z]:", "", folder)
    if folder and not below_drive.startswith(("\\", "/")):
        raise InvalidRequest(
            f"the working directory '{folder}' is invalid, it needs to be an absolute path",
            hint="Name it from its drive, as in C:\\work.",
        )
    return folder or "C:\\"


def free_uid(tag: str, taken: Iterable[int]) -> int:
    """The first free host user of this root's range; 0, the daemon's own, where we may not change users."""
    if os.geteuid() != 0:
        return 0
    base = UID_BASE + int(tag[:4], 16) * UIDS_PER_ROOT
    used = set(taken)
    for uid in range(base, base + MOST_CONTAINERS):
        if uid not in used:
            return uid
    raise Conflict(
        f"all {MOST_CONTAINERS} containers that one LINWIN_ROOT can hold exist",
        hint="Remove stopped containers with linwin rm, or use a second LINWIN_ROOT.",
    )


def maker_uid(tag: str) -> int:
    """The host user, the last of this root's range, of guests that are made into checkpoints."""
    return UID_BASE + (int(tag[:4], 16) + 1) * UIDS_PER_ROOT - 1 if os.geteuid() == 0 else 0


def installer_uid(tag: str) -> int:
    """That of machines that install a template, the last but one: a disc of theirs holds a password."""
    return maker_uid(tag) - 1 if os.geteuid() == 0 else 0


async def left_out_hint(engine: Engine, container: Container, program: str) -> str | None:
    """Why the template lacks a program that is to run in the container, where that is on purpose."""
    try:
        template = await engine.rooms.templates.get(container.template)
    except NotFound:
        return None
    return dict(template.left_out).get(unserved.program_name(program))

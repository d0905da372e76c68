"""update: change what a container may use, and its restart policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from linwin.engine import restarts
from linwin.engine.create import MIB, check_memory
from linwin.errors import Conflict
from linwin.model.container import Container, ContainerSpec, Update

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def update(engine: Engine, reference: str, wanted: Update) -> None:
    """Store the new values: a policy counts at once, memory and CPUs from the next start on.

    Raises Conflict, in docker's words, for a container that is being removed, and for memory
    or CPUs of one that runs: a guest has those it was started with.
    """
    container = await engine.rooms.state.get(reference)
    async with engine.live(container.id).lock:
        container = await engine.rooms.state.get(container.id)
        if container.status in ("removing", "dead"):
            raise _refusal(
                container,
                'container is marked for removal and cannot be "update"',
                hint=f"Finish its removal: linwin rm {container.name}",
            )
        spec = _applied(container.spec, wanted)
        _check(container, spec)
        if spec.memory != container.spec.memory:
            check_memory(spec, await engine.rooms.templates.get(container.template))
            await engine.admission.check_size(spec.memory // MIB)
        container = await engine.rooms.state.amend(container.id, spec=spec)
        engine.events.container(container, "update")
        await restarts.reconsider(engine, container.id)


def _applied(spec: ContainerSpec, wanted: Update) -> ContainerSpec:
    """Zero means unchanged, as docker's clients send it."""
    host_config: Mapping[str, Any] = {**spec.host_config, **wanted.host_config}
    return dataclasses.replace(
        spec,
        memory=wanted.memory or spec.memory,
        cpus=wanted.cpus or spec.cpus,
        restart=wanted.restart or spec.restart,
        host_config=host_config,
    )


def _check(container: Container, spec: ContainerSpec) -> None:
    if spec.auto_remove and spec.restart.name != "no":
        raise _refusal(
            container,
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
            hint="It was created with --rm.",
        )
    running = container.status in ("starting", "running", "paused", "stopping")
    if running and (spec.memory, spec.cpus) != (container.spec.memory, container.spec.cpus):
        raise _refusal(
            container,
            "the memory and the CPUs of a guest that runs cannot be changed",
            hint=f"Stop it first (linwin stop {container.name}); they count from its next start on.",
        )


def _refusal(container: Container, why: str, hint: str | None = None) -> Conflict:
    return Conflict(f"Cannot update container {container.id}: {why}", hint=hint)

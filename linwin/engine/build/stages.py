"""Which stages a target needs, and what each of them waits for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from linwin.errors import InvalidRequest
from linwin.model.build import Dockerfile, Stage


def target_of(dockerfile: Dockerfile, target: str) -> int:
    """The number of the stage that is asked for by name or number, the last one by default."""
    stages = dockerfile.stages
    if not target:
        return len(stages) - 1
    found = earlier_stage(stages, target, len(stages))
    if found is None:
        names = ", ".join(stage.name for stage in stages if stage.name) or "none"
        raise InvalidRequest(
            f"failed to reach build target {target} in Dockerfile: "
            f'target stage "{target}" could not be found',
            hint=f"Stages with a name: {names}.",
        )
    return found


def earlier_stage(stages: tuple[Stage, ...], name: str, before: int) -> int | None:
    """The last stage of those before number ``before`` that goes by ``name``, or by that number."""
    for number in range(before - 1, -1, -1):
        if stages[number].name and stages[number].name == name.lower():
            return number
    return int(name) if name.isdecimal() and int(name) < before else None


def needed(dockerfile: Dockerfile, target: int) -> list[int]:
    """The target and all that it stands on or copies from, directly or not, in the file's order."""
    found: set[int] = set()
    waiting = [target]
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += needs(dockerfile.stages, number)
    return sorted(found)


def needs(stages: tuple[Stage, ...], number: int) -> Iterator[int]:
    """The stages that a stage stands on or copies from."""
    stage = stages[number]
    base = None if stage.base.isdecimal() else earlier_stage(stages, stage.base, number)
    if base is not None:
        yield base
    for instruction in stage.instructions:
        if source := dict(instruction.flags).get("from"):
            earlier = earlier_stage(stages, source, number)
            if earlier is not None:
                yield earlier

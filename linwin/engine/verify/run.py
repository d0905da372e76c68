"""verify: make the checks one after the other, whatever comes of them, and leave nothing behind."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from linwin.engine.verify import bench as benches
from linwin.engine.verify import surroundings
from linwin.engine.verify.bench import Bench
from linwin.engine.verify.boxes import is_ours
from linwin.engine.verify.check import Check, Failed, Unchecked
from linwin.engine.verify.redaction import Redaction
from linwin.engine.verify.table import CHECKS, GROUPS
from linwin.errors import Conflict, InvalidRequest, LinwinError
from linwin.model.template import Template
from linwin.model.upkeep import Finding
from linwin.model.verification import CheckBegun, CheckResult, Listener, Outcome, Surroundings

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

CLEAN = CheckBegun("host", "clean", "nothing is left, and what linwin keeps is sound")


async def verify(engine: Engine, name: str, only: Sequence[str], tell: Listener) -> Surroundings:
    """Check a template through the verbs that serve its users; ``only`` are groups, none for all.

    ``tell`` hears of each check. Raises NotFound, Unavailable and Unsupported for a template that
    nothing can be run on, InvalidRequest for an unknown group, Conflict while another verification is
    under way. What it made is removed before it returns, and when it is cancelled.
    """
    if unknown := sorted(set(only) - set(GROUPS)):
        raise InvalidRequest(
            f"there is no group of checks {unknown[0]}", hint=f"Choose of {', '.join(GROUPS)}."
        )
    template = await engine.template(name)
    if engine.verifying.locked():
        raise Conflict("another verification is under way", hint="Wait for its end, and try again.")
    redaction = Redaction.of_this_host(engine.paths)

    def hear(told: CheckBegun | CheckResult) -> None:
        tell(redaction.result(told) if isinstance(told, CheckResult) else told)

    async with engine.verifying:
        checks = [check for check in CHECKS if not only or check.group in only]
        return redaction.surroundings(await _verify(engine, template, checks, hear))


async def _verify(
    engine: Engine, template: Template, checks: Sequence[Check], tell: Listener
) -> Surroundings:
    await benches.sweep(engine)
    before = await engine.check(engine.unreported, repair=False)
    facts, texts = await surroundings.of_the_host(engine, template), list[tuple[str, str]]()
    async with benches.opened(engine, template) as bench:
        for index, check in enumerate(checks):
            tell(CheckBegun(check.group, check.name, check.proves))
            tell(await _made(bench, check))
            if not texts and check.needs == ("box",):
                texts += await surroundings.of_the_guest(bench)
            wanted = [name for later in checks[index + 1 :] for name in (*later.needs, *later.uses)]
            await bench.keep_only(frozenset(wanted))
    texts += surroundings.of_what_was_lost(bench)
    tell(CLEAN)
    tell(await _clean(engine, before))
    return Surroundings(facts, tuple(texts), bench.last_sight.picture)


async def _made(bench: Bench, check: Check) -> CheckResult:
    """Make one check, which ends well, or not, or cannot be made, but ends."""
    limit = bench.limit(check)
    began, lost = 0.0, ""
    try:
        boxes = [await bench.box(name) for name in check.needs]
        began = time.monotonic()
        async with asyncio.timeout(limit):
            detail = await check.run(bench, *boxes)
        return _result(check, "passed", began, detail=detail)
    except Unchecked as why:
        return _result(check, "unchecked", began, detail=str(why))
    except Failed as failed:
        return _result(check, "failed", began, expected=failed.expected, got=failed.got)
    except TimeoutError:
        lost = f"{check.title} had no answer within {limit:.0f} s"
        return _result(check, "failed", began, expected=f"an answer within {limit:.0f} s", got="none")
    except LinwinError as error:
        lost = f"{check.title}: {error.message}"
        expected = check.proves if began else "a container that starts"
        return _result(check, "failed", began, expected=expected, got=str(error))
    except Exception as defect:  # a defect of ours must not keep the other checks from being made
        logger.exception("the check %s failed", check.title)
        return _result(check, "failed", began, expected=check.proves, got=f"a defect of linwin: {defect!r}")
    finally:
        if lost:
            for name in (*check.needs, *check.uses):
                await bench.lose(name, lost)


def _result(
    check: Check, outcome: Outcome, began: float, *, detail: str = "", expected: str = "", got: str = ""
) -> CheckResult:
    """``began`` is 0 where the containers that the check needs did not come up."""
    seconds = time.monotonic() - began if began else 0.0
    return CheckResult(check.group, check.name, check.proves, outcome, seconds, detail, expected, got)


async def _clean(engine: Engine, before: Sequence[Finding]) -> CheckResult:
    """Compare what is there with what was there before: what others left is not this template's doing."""
    began = time.monotonic()
    findings = [found for found in await engine.check(engine.unreported, repair=False) if found not in before]
    wrong = [f"{found.subject} {found.problem}" for found in findings] + await _left(engine)
    told = CLEAN.group, CLEAN.name, CLEAN.proves
    seconds = time.monotonic() - began
    if wrong:
        expected = "no container, image, network or volume of the checks, and no new fault"
        return CheckResult(*told, "failed", seconds, expected=expected, got="; ".join(wrong))
    old = f", {len(before)} older faults aside" if before else ""
    return CheckResult(*told, "passed", seconds, detail=f"system check finds nothing{old}")


async def _left(engine: Engine) -> list[str]:
    containers = [f"container {one.name}" for one in await engine.list() if is_ours(one.name, one.labels)]
    images = [f"image {one.id}" for one in await engine.images() if is_ours(one.author, one.config.labels)]
    networks = [f"network {it.name}" for it in await engine.networks.list() if is_ours(it.name, it.labels)]
    volumes = [f"volume {one.name}" for one in await engine.volumes.list() if is_ours(one.name, one.labels)]
    return [f"{left} is left" for left in (*containers, *images, *networks, *volumes)]

"""The campaign: kill the daemon at points drawn from a seed, and see whether its store is whole.

Each round kills a daemon in the midst of a pull, a load or the building of a
chain, starts another on the same root, has it check itself, does the work
again, and compares what came of it with what had to.

``python -m tests.crash.campaign FOLDER SEED ROUNDS`` is one, in a process of its own:
it watches for processes that outlive their daemon.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.conftest import adopt_orphans
from tests.crash import stand_in_template
from tests.crash.daemon import KillableDaemon, Measure, Point, Span
from tests.crash.operations import Build, Load, Operation, Pull
from tests.registry_server import serve_registry

MEASURES: tuple[Measure, ...] = ("steps", "events", "steps", "seconds", "steps")
"""What the points are drawn by, in turn."""

OUTCOME = "outcome.json"

MEASURED = 2
"""How often each kind of work is done undisturbed before it is interrupted."""


@dataclass
class Outcome:
    """How many kills there were of each kind of work, and how many of them came before its end."""

    kills: Counter[str] = field(default_factory=Counter)
    landed: Counter[str] = field(default_factory=Counter)

    def write(self, folder: Path) -> None:
        (folder / OUTCOME).write_text(json.dumps({"kills": self.kills, "landed": self.landed}))

    @classmethod
    def sum(cls, folders: Sequence[Path]) -> Outcome:
        """The outcome of campaigns that ended, each in a folder of its own."""
        total = cls()
        for folder in folders:
            part = json.loads((folder / OUTCOME).read_text())
            total.kills.update(part["kills"])
            total.landed.update(part["landed"])
        return total

    def __str__(self) -> str:
        parts = [f"{name} {self.landed[name]}/{self.kills[name]}" for name in sorted(self.kills)]
        return f"{self.landed.total()} of {self.kills.total()} kills landed inside ({', '.join(parts)})"


def run(folder: Path, seed: int, rounds: int) -> Outcome:
    """Kill ``rounds`` times; raises AssertionError at the first store that is not whole."""
    folder.mkdir()
    dice, outcome = Random(seed), Outcome()
    with _work(folder, dice) as operations:
        spans = {operation.name: _measure(operation) for operation in operations}
        for name, span in spans.items():
            print(f"{name} takes {span}", flush=True)
        for number, (operation, point) in enumerate(_draw(dice, operations, rounds)):
            print(f"round {number + 1}: {operation.name}, killed {point}", flush=True)
            landed = _strike(operation, point, spans[operation.name])
            if not landed:
                spans[operation.name] = spans[operation.name].shorter()
            outcome.kills[operation.name] += 1
            outcome.landed[operation.name] += landed
    return outcome


def _draw(dice: Random, operations: Sequence[Operation], rounds: int) -> list[tuple[Operation, Point]]:
    """What to interrupt, and where: the points of one measure are one each in equal parts of the work."""
    kinds = [
        (operations[number % len(operations)], MEASURES[number // len(operations) % len(MEASURES)])
        for number in range(rounds)
    ]
    drawn: list[tuple[Operation, Point]] = []
    for operation, measure in dict.fromkeys(kinds):
        count = kinds.count((operation, measure))
        drawn += [(operation, Point(measure, (part + dice.random()) / count)) for part in range(count)]
    dice.shuffle(drawn)
    return drawn


def _strike(operation: Operation, point: Point, span: Span) -> bool:
    """One round; returns whether the kill came before the work's end."""
    daemon = operation.daemon
    landed = not operation.is_complete(daemon.kill_during(operation.work, point, span))
    daemon.start()
    assert daemon.check() == []
    operation.assert_whole()
    operation.work(daemon.client)
    operation.assert_done()
    operation.undo()
    return landed


def _measure(operation: Operation) -> Span:
    """The shorter of undisturbed runs, so that a point of it lies inside most others."""
    spans = []
    for _ in range(MEASURED):
        spans.append(operation.daemon.measure(operation.work))
        operation.assert_done()
        assert operation.daemon.check() == []
        operation.undo()
    return Span(
        min(span.seconds for span in spans),
        min(span.events for span in spans),
        min(span.steps for span in spans),
    )


@contextmanager
def _work(folder: Path, dice: Random) -> Iterator[list[Operation]]:
    """A daemon with all that the three kinds of work need."""
    root = folder / "root"
    root.mkdir(mode=0o711)
    with serve_registry(folder / "registry") as registry:
        daemon = KillableDaemon(root)
        registry.configure(daemon.paths)
        template = stand_in_template.install(daemon.paths)
        daemon.start()
        try:
            yield [
                Pull(daemon, template, dice, folder, registry),
                Load(daemon, template, dice, folder),
                Build(daemon, template, dice, folder),
            ]
        except BaseException:
            daemon.kill()
            raise
        daemon.stop()


if __name__ == "__main__":
    adopt_orphans()
    run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])).write(Path(sys.argv[1]))

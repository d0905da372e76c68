#!/usr/bin/env python3
"""A scheduler over the linwin command: so many jobs at once, each tried again when it fails.

    scheduler.py --run nightly --image example/node --slots 4 --tries 2 JOBS.json

JOBS.json maps names of jobs to command lines, which are lists of words:
``{"lint": ["node", "lint.js"], "test": ["node", "test.js"]}``. The last exit code of
each is printed as one line of JSON; the scheduler's own is 0 when all of them are.

Nothing is remembered here. Every attempt is a container whose labels say of which run
and job it is, and it stays until the end: so both the daemon and the scheduler may be
killed at any time, and the next one goes on where things are. Events only say when to
look; what is done depends on what is seen.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

CLI = os.environ.get("CONTAINER_CLI", "linwin")  # docker does as well
RESYNC = 30.0
"""Seconds after which to look again all the same: events that a daemon has not told died with it."""

Step = Literal["create", "start", "wait", "done"]


class CommandFailed(Exception):
    """The command line said no, or reached no daemon."""


@dataclass(frozen=True)
class Attempt:
    """One container."""

    name: str
    job: str
    number: int
    state: str
    exit_code: int


@dataclass(frozen=True)
class Plan:
    """What is wanted: ``jobs`` are command lines by name."""

    run: str
    image: str
    jobs: Mapping[str, Sequence[str]]
    slots: int = 2
    tries: int = 2
    options: Sequence[str] = ()

    @property
    def label(self) -> str:
        return f"scheduler.run={self.run}"


def next_step(attempts: Sequence[Attempt], tries: int) -> Step:
    """What to do for a job, of which these attempts exist, the oldest first."""
    if not attempts:
        return "create"
    last = attempts[-1]
    if last.state == "created":
        # One that could not be started is in this state as well, with an exit code.
        return "start" if last.exit_code == 0 else "create" if len(attempts) < tries else "done"
    if last.state in ("exited", "dead"):
        return "done" if last.exit_code == 0 or len(attempts) >= tries else "create"
    return "wait"


def command(*words: str) -> str:
    """Run the command line; what it printed. Raises CommandFailed with its words."""
    done = subprocess.run([CLI, *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise CommandFailed(done.stderr.strip())
    return done.stdout


def containers(plan: Plan) -> list[str]:
    """The ids of all containers of the run."""
    return command("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={plan.label}").split()


def look(plan: Plan) -> dict[str, list[Attempt]]:
    """The attempts that exist, by job, the oldest first."""
    names = containers(plan)
    found = [_attempt(shown) for shown in json.loads(command("inspect", *names))] if names else []
    found.sort(key=lambda attempt: attempt.number)
    return {job: [one for one in found if one.job == job] for job in plan.jobs}


def _attempt(shown: Mapping[str, Any]) -> Attempt:
    labels, state = shown["Config"]["Labels"], shown["State"]
    return Attempt(
        shown["Name"].removeprefix("/"),
        labels["scheduler.job"],
        int(labels["scheduler.attempt"]),
        state["Status"],
        state["ExitCode"],
    )


def act(plan: Plan) -> dict[str, int] | None:
    """Do for every job what is to be done now. The exit codes once all are done, None before."""
    seen = look(plan)
    steps = {job: next_step(attempts, plan.tries) for job, attempts in seen.items()}
    free = plan.slots - sum(step in ("start", "wait") for step in steps.values())
    for job, step in steps.items():
        if step == "create" and free > 0:
            free -= 1
            create(plan, job, len(seen[job]) + 1)
        elif step == "start":
            start(seen[job][-1].name)
    done = all(step == "done" for step in steps.values())
    return {job: attempts[-1].exit_code for job, attempts in seen.items()} if done else None


def create(plan: Plan, job: str, number: int) -> None:
    """Make one attempt and start it. Its name keeps two schedulers from making it twice."""
    name = f"{plan.run}-{job}-{number}"
    labels = [plan.label, f"scheduler.job={job}", f"scheduler.attempt={number}"]
    options = [word for label in labels for word in ("--label", label)]
    command("create", "--name", name, *options, *plan.options, plan.image, *plan.jobs[job])
    start(name)


def start(name: str) -> None:
    """Start an attempt; one that cannot be started keeps the exit code that says so."""
    try:
        command("start", name)
    except CommandFailed as error:
        print(f"{name}: {error}", file=sys.stderr)


@contextmanager
def ends(plan: Plan) -> Iterator[subprocess.Popen[bytes]]:
    """Follow the ends of this run's containers, from now on."""
    words = ["events", "--since", f"{time.time():.6f}", "--filter", f"label={plan.label}"]
    process = subprocess.Popen(
        [CLI, *words, "--filter", "event=die", "--format", "{{json .}}"], stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def run(plan: Plan, resync: float = RESYNC) -> dict[str, int]:
    """Run the plan to its end. The last exit code of each job."""
    while True:
        with ends(plan) as following:
            try:
                while (codes := act(plan)) is None:
                    if not await_event(following, resync):
                        break
            except CommandFailed as error:
                print(f"looking again: {error}", file=sys.stderr)
                codes = None
        if codes is not None:
            return codes
        time.sleep(min(1.0, resync))  # the daemon went away; another will come


def await_event(following: subprocess.Popen[bytes], timeout: float) -> bool:
    """Return when something ended, or it is time to look all the same. False: no events come any more."""
    assert following.stdout
    descriptor = following.stdout.fileno()
    readable, _, _ = select.select([descriptor], [], [], timeout)
    return not readable or bool(os.read(descriptor, 65536))  # which ended is seen by looking


def clean_up(plan: Plan) -> None:
    """Remove every container of the run, and ask again where the daemon went away meanwhile."""
    while True:
        try:
            if names := containers(plan):
                command("rm", "--force", *names)
            return
        except CommandFailed as error:
            print(f"removing again: {error}", file=sys.stderr)
        time.sleep(1.0)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run jobs in Windows containers.")
    parser.add_argument("jobs", metavar="JOBS.json", type=argparse.FileType())
    parser.add_argument("--run", required=True, help="the name of this run; the same name goes on with it")
    parser.add_argument("--image", required=True)
    parser.add_argument("--slots", type=int, default=2, help="jobs at once")
    parser.add_argument("--tries", type=int, default=2, help="attempts for each job")
    parser.add_argument("--resync", type=float, default=RESYNC, help="seconds between looks without an event")
    parser.add_argument(
        "--option", action="append", default=[], help="of linwin create, as --option=--memory=1g"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what follows events ends with us
    plan = Plan(given.run, given.image, json.load(given.jobs), given.slots, given.tries, given.option)
    codes = run(plan, given.resync)
    clean_up(plan)
    print(json.dumps(codes))
    return int(any(codes.values()))


if __name__ == "__main__":
    sys.exit(main())

"""What an engine counts and times, in Prometheus' text form; docs/metrics.md lists all of it.

Each engine has a registry of its own. Labels take values from closed sets: states,
phases, kinds of errors, routes; never an id, a name or anything that a client sends.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector
from prometheus_client.exposition import generate_latest

from linwin import __version__
from linwin.engine.phases import Phases
from linwin.errors import Internal, LinwinError
from linwin.model.container import Status
from linwin.model.progress import Progress, Report

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

START_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds, from a step that is one system call to the boot of an emulated guest."""
REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
TRANSFERS = {"Downloading": "pulled", "Pushing": "pushed"}
"""Of docker's words for progress, those that count bytes on their way from or to a registry."""
TRANSFERRED = ("Download complete", "Pushed")


class Metrics:
    """The counters of one engine; each verb counts where it has done its work."""

    def __init__(self) -> None:
        self._registry = registry = _Registry()
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        ProcessCollector(registry=registry)
        build = gauge("linwin_build_info", "Always 1; its labels say what runs.", ("version", "python"))
        build.labels(__version__, platform.python_version()).set(1)

        self.containers = gauge("linwin_containers", "Containers by state.", ("state",))
        self.starts = histogram(
            "linwin_start_seconds", "Starts that succeeded.", ("boot",), buckets=START_BUCKETS
        )
        self.start_phases = histogram(
            "linwin_start_phase_seconds",
            "Phases of starts that succeeded.",
            ("phase", "boot"),
            buckets=START_BUCKETS,
        )
        self.restarts = counter("linwin_restarts", "Ends that a restart policy answered with a restart.")
        self.restores = counter(
            "linwin_checkpoint_restores", "Guests that were to be restored for a start.", ("result",)
        )
        self.pool_ready = gauge("linwin_pool_ready", "Guests that wait in the pool.")
        self.pool_size = gauge("linwin_pool_size", "Guests that are to wait in the pool.")

        self.output_bytes = counter(
            "linwin_output_bytes", "What containers printed and their logs took.", ("stream",)
        )
        self.image_bytes = counter("linwin_image_bytes", "What of images came and went.", ("direction",))
        self.copy_bytes = counter("linwin_copy_bytes", "Archives of copied files.", ("direction",))

        self.errors = counter("linwin_errors", "Requests and other work that failed.", ("operation", "kind"))
        self.requests = counter("linwin_api_requests", "Requests that ended.", ("method", "route", "code"))
        self.request_seconds = histogram(
            "linwin_api_request_seconds",
            "From a request's head to the end of its answer.",
            ("method", "route"),
            buckets=REQUEST_BUCKETS,
        )
        self.in_flight = gauge("linwin_api_requests_in_flight", "Requests that are being answered.")
        self.followers = gauge("linwin_events_followers", "Clients that follow events.")

    def started(self, phases: Phases, boot: str) -> None:
        """A container runs; ``boot`` is cold, restored or pooled."""
        self.starts.labels(boot).observe(phases.total)
        for phase, seconds in phases.taken:
            self.start_phases.labels(phase, boot).observe(seconds)

    def failed(self, operation: str, error: BaseException) -> None:
        """``operation`` is a request's method and route, or a kind of work in the background."""
        kind = type(error) if isinstance(error, LinwinError) else Internal
        self.errors.labels(operation, kind.__name__).inc()

    @contextmanager
    def request(self, method: str, route: str) -> Iterator[Answered]:
        """Around one request; the context is told the code of its answer."""
        answered, began = Answered(), time.monotonic()
        try:
            with self.in_flight.track_inprogress():
                yield answered
        finally:
            self.requests.labels(method, route, answered.code).inc()
            self.request_seconds.labels(method, route).observe(time.monotonic() - began)

    def counting(self, report: Report) -> Report:
        """``report``, counting the bytes of layers that it is told of on their way."""
        seen: dict[tuple[str, str], tuple[int, int]] = {}

        def advance(key: tuple[str, str], current: int, total: int) -> None:
            before, _ = seen.get(key, (0, 0))
            # A transfer that begins again moves the bytes again.
            self.image_bytes.labels(key[0]).inc(current - before if current >= before else current)
            seen[key] = current, total

        def counted(progress: Progress) -> None:
            if (direction := TRANSFERS.get(progress.status)) and progress.current is not None:
                advance((direction, progress.id), progress.current, progress.total or progress.current)
            elif progress.status in TRANSFERRED:
                for direction in TRANSFERS.values():
                    if (last := seen.pop((direction, progress.id), None)) is not None:
                        self.image_bytes.labels(direction).inc(max(0, last[1] - last[0]))
            report(progress)

        return counted


class Answered:
    """How a request was answered: a status, or ``gone`` where the client hung up first."""

    code = "gone"


async def exposition(engine: Engine) -> bytes:
    """All metrics of an engine as they are now."""
    metrics = engine.metrics
    states = [container.status for container in await engine.list()]
    for state in get_args(Status):
        metrics.containers.labels(state).set(states.count(state))
    metrics.pool_ready.set(engine.pool.ready)
    metrics.pool_size.set(engine.pool.plan.size)
    metrics.followers.set(engine.events.followers)
    return generate_latest(metrics._registry)


class _Registry(CollectorRegistry):
    """Without the times at which counters were made, which double the output and which nobody charts."""

    def collect(self) -> Iterable[Metric]:
        for metric in super().collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric

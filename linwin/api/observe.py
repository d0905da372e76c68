"""``/containers/{id}/top`` and ``stats``: what a container's programs do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from linwin.api import query, versions
from linwin.api.context import answer, engine_of, version_of
from linwin.api.render import NEVER, rfc3339
from linwin.engine.stats import Watch
from linwin.errors import InvalidRequest, LinwinError
from linwin.model.container import Container
from linwin.model.usage import NetworkUsage, ProcessInfo, Sample

TITLES = ["Name", "PID", "CPU", "Private Working Set"]
"""Docker's on Windows."""


async def top(request: web.Request) -> web.Response:
    """``GET /containers/{id}/top``: what runs in it, in docker's columns for Windows."""
    if request.query.get("ps_args"):
        raise InvalidRequest(
            "Windows does not support arguments to top", hint="Leave out what follows the container."
        )
    processes = await engine_of(request).top(request.match_info["id"])
    return answer({"Titles": TITLES, "Processes": processes_table(processes)})


def processes_table(processes: Sequence[ProcessInfo]) -> list[list[str]]:
    """Docker's cells on Windows, under :data:`TITLES`."""
    return [[one.name, str(one.pid), _cpu_time(one.cpu), _size(one.private)] for one in processes]


def _cpu_time(units: int) -> str:
    """100 ns → ``HH:MM:SS.mmm``."""
    seconds, rest = divmod(units, 10_000_000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest // 10_000:03}"


def _size(size: int) -> str:
    """Bytes with four digits, in powers of a thousand: ``1.364MB``."""
    number, units = float(size), ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    while number >= 1000 and len(units) > 1:
        number /= 1000
        units.pop(0)
    return f"{number:.4g}{units[0]}"


async def stats(request: web.Request) -> web.StreamResponse:
    """``GET /containers/{id}/stats``: a sample a second, or the only one that was asked for."""
    stream, one_shot = query.flag(request, "stream", default=True), _one_shot(request)
    if stream and one_shot:
        raise InvalidRequest("cannot have stream=true and one-shot=true", hint="Leave out one of them.")
    engine = engine_of(request)
    container = await engine.inspect(request.match_info["id"])
    async with await engine.stats(container.id) as watch:
        if stream:
            return await _stream(request, container, watch)
        first = await watch.next()
        if first is None or one_shot:
            return answer(sample_json(container, first, None))
        return answer(sample_json(container, await watch.next(), first))


def _one_shot(request: web.Request) -> bool:
    return version_of(request) >= versions.ONE_SHOT_SINCE and query.flag(request, "one-shot")


async def _stream(request: web.Request, container: Container, watch: Watch) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.enable_chunked_encoding()
    await response.prepare(request)
    previous: Sample | None = None
    while True:
        try:
            sample = await watch.next()
        except LinwinError:  # which the sampler has logged; docker sends an empty sample as well
            sample = None
        if watch.over:
            break
        await response.write(json.dumps(sample_json(container, sample, previous)).encode() + b"\n")
        previous = sample
    await response.write_eof()
    return response


def sample_json(container: Container, sample: Sample | None, previous: Sample | None) -> dict[str, Any]:
    """A sample in docker's form for Windows; without one, zeros.

    CPU time is in units of 100 ns. Beside the fields of Windows are those of Linux
    from which programs that know only these compute the same percentages.
    """
    return {
        "name": f"/{container.name}",
        "id": container.id,
        "read": rfc3339(sample.read_ns) if sample else NEVER,
        "preread": rfc3339(previous.read_ns) if sample and previous else NEVER,
        "pids_stats": {},
        "blkio_stats": {"io_service_bytes_recursive": None},
        "num_procs": sample.usage.processors if sample else 0,
        "storage_stats": _storage(sample),
        "cpu_stats": _cpu(sample),
        "precpu_stats": _cpu(previous if sample else None),
        "memory_stats": _memory(container, sample),
        **_networks(sample),
    }


def _cpu(sample: Sample | None) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "cpu_usage": {
            "total_usage": sample.usage.cpu if sample else 0,
            "usage_in_kernelmode": 0,
            "usage_in_usermode": 0,
        },
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }
    if sample:
        usage["system_cpu_usage"] = sample.read_ns // 100 * sample.usage.processors
        usage["online_cpus"] = sample.usage.processors
    return usage


def _memory(container: Container, sample: Sample | None) -> dict[str, Any]:
    if sample is None:
        return {}
    return {
        "commitbytes": sample.usage.commit,
        "commitpeakbytes": sample.usage.commit_peak,
        "privateworkingset": sample.usage.private,
        "usage": sample.usage.private,
        **({"limit": container.spec.memory} if container.spec.memory else {}),
    }


def _storage(sample: Sample | None) -> dict[str, int]:
    if sample is None:
        return {}
    disk = sample.usage.disk
    return {
        "read_count_normalized": disk.reads,
        "read_size_bytes": disk.read_bytes,
        "write_count_normalized": disk.writes,
        "write_size_bytes": disk.written_bytes,
    }


def _networks(sample: Sample | None) -> dict[str, Any]:
    if sample is None or not sample.usage.networks:
        return {}
    return {"networks": {name: _network(one) for name, one in sample.usage.networks.items()}}


def _network(usage: NetworkUsage) -> dict[str, int]:
    return {
        "rx_bytes": usage.rx_bytes,
        "rx_packets": usage.rx_packets,
        "rx_errors": 0,
        "rx_dropped": usage.rx_dropped,
        "tx_bytes": usage.tx_bytes,
        "tx_packets": usage.tx_packets,
        "tx_errors": 0,
        "tx_dropped": usage.tx_dropped,
    }


ROUTES = (
    ("GET", "/containers/{id}/top", top),
    ("GET", "/containers/{id}/stats", stats),
)

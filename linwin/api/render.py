"""Containers → docker's JSON."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from linwin.api import endpoints
from linwin.engine.policy import under_way
from linwin.model.container import Container, Status
from linwin.model.health import HealthCheck, HealthReport, HealthStatus
from linwin.model.network import Network

NEVER = "0001-01-01T00:00:00Z"  # the zero of Go's time.Time, which clients test for

STATES: dict[Status, str] = {
    "created": "created",
    "starting": "created",
    "running": "running",
    "paused": "paused",
    "stopping": "running",
    "restarting": "restarting",
    "exited": "exited",
    "removing": "removing",
    "dead": "dead",
}
"""linwin's states in docker's words."""

UP = frozenset({"running", "paused", "restarting"})
"""What counts as running, in docker's words."""


def state_of(container: Container) -> str:
    """A container's state in docker's word. A restart by policy lasts until the program runs."""
    return "restarting" if under_way(container) else STATES[container.status]


def rfc3339(time_ns: int) -> str:
    """Nanoseconds since the epoch as docker writes times; 0 is never."""
    if not time_ns:
        return NEVER
    seconds, nanoseconds = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def unix_seconds(text: str) -> int:
    """An RFC 3339 time as seconds since the epoch; 0 where an image's author wrote something else."""
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        return 0


def familiar(reference: str) -> str:
    """A canonical reference as docker shows it: without Docker Hub's name and its ``library/``."""
    if not reference.startswith("docker.io/"):
        return reference
    short = reference.removeprefix("docker.io/")
    if short.startswith("library/") and short.count("/") == 1:
        return short.removeprefix("library/")
    first = short.partition("/")[0]
    # docker.io/foo.bar/x must keep its domain: foo.bar/x would name a registry.
    return reference if "." in first or ":" in first or first == "localhost" else short


def size_text(size: int) -> str:
    """Bytes in words, in powers of a thousand as docker counts: ``253 MB``, ``1.5 GB``."""
    number, units = float(size), ["bytes", "kB", "MB", "GB", "TB"]
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        units.pop(0)
    return f"{number:.3g} {units[0]}" if number < 999.5 else f"{number:.0f} {units[0]}"


def sizes(own: int, below: int) -> dict[str, Any]:
    """What a container's own overlay takes, and with what its image's layers take, in bytes."""
    return {"SizeRw": own, "SizeRootFs": own + below}


def duration(seconds: float) -> str:
    """A duration in words, rounded as docker's listings round it."""
    minutes, hours = int(seconds / 60), int(seconds / 3600 + 0.5)
    if seconds < 60:
        whole = int(seconds)
        return "Less than a second" if whole < 1 else "1 second" if whole == 1 else f"{whole} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    for limit, unit, name in (
        (48, 1, "hours"),
        (336, 24, "days"),
        (1440, 168, "weeks"),
        (17520, 720, "months"),
    ):
        if hours < limit:
            return f"{hours // unit} {name}"
    return f"{hours // 8760} years"


def status_text(container: Container, now_ns: int) -> str:
    """The STATUS column of ``ps``."""
    state = state_of(container)
    ended = f"({container.exit_code}) {duration((now_ns - container.finished_at) / 1e9)} ago"
    if state in ("running", "paused"):
        up = f"Up {duration((now_ns - container.started_at) / 1e9)}"
        return f"{up} (Paused)" if state == "paused" else up + _HEALTH[container.health]
    if state in ("exited", "restarting"):
        return f"{state.capitalize()} {ended}"
    return {"created": "Created", "removing": "Removal In Progress", "dead": "Dead"}[state]


_HEALTH: dict[HealthStatus, str] = {
    "": "",
    "starting": " (health: starting)",
    "healthy": " (healthy)",
    "unhealthy": " (unhealthy)",
}


def summary(
    container: Container, networks: Sequence[Network], mounts: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """One element of ``/containers/json``. ``networks`` are all that exist, ``mounts`` docker's MountPoints.

    ``Linwin`` is linwin's own: the template it runs on.
    """
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.spec.image,
        "ImageID": container.image_id,
        "Command": container.command_line or " ".join(container.argv),
        "Created": container.created_at // 10**9,
        "Ports": endpoints.port_list(container),
        "Labels": dict(container.labels),
        "State": state_of(container),
        "Status": status_text(container, time.time_ns()),
        "HostConfig": {"NetworkMode": endpoints.mode(container)},
        "NetworkSettings": {"Networks": endpoints.networks(container, networks)},
        "Mounts": list(mounts),
        "Linwin": {"Template": container.template},
    }


def inspection(
    container: Container,
    execs: Sequence[str],
    log_path: str,
    health: HealthReport,
    network_settings: Mapping[str, Any],
    mounts: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The answer of ``/containers/{id}/json``; ``execs`` are the ids of those that are not over.

    ``log_path`` is shown, as docker's, for the log driver whose files others may read.
    """
    return {
        "Id": container.id,
        "Created": rfc3339(container.created_at),
        "Path": container.argv[0] if container.argv else "",
        "Args": list(container.argv[1:]),
        "State": {**_state(container), **_health(health)},
        "Image": container.image_id,
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": log_path if container.spec.log_driver in ("", "json-file") else "",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "qcow2",
        "Platform": "windows",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": list(execs) or None,
        "HostConfig": _host_config(container),
        "GraphDriver": {"Name": "qcow2", "Data": {"ChainId": container.chain_id}},
        "Mounts": list(mounts),
        "Config": _config(container),
        "NetworkSettings": network_settings,
        "Linwin": {
            "Template": container.template,
            "ChainId": container.chain_id,
            "CommandLine": container.command_line,
            "Boot": container.boot,
        },
    }


def _state(container: Container) -> dict[str, Any]:
    state = state_of(container)
    return {
        "Status": state,
        "Running": state in UP,
        "Paused": state == "paused",
        "Restarting": state == "restarting",
        "OOMKilled": False,
        "Dead": state == "dead",
        "Pid": container.pid,
        "ExitCode": container.exit_code,
        "Error": container.error,
        "StartedAt": rfc3339(container.started_at),
        "FinishedAt": rfc3339(container.finished_at),
    }


def _health(report: HealthReport) -> dict[str, Any]:
    if not report.status:
        return {}
    log = [
        {
            "Start": rfc3339(result.started_at),
            "End": rfc3339(result.ended_at),
            "ExitCode": result.exit_code,
            "Output": result.output,
        }
        for result in report.log
    ]
    return {"Health": {"Status": report.status, "FailingStreak": report.failing_streak, "Log": log}}


def health_check(check: HealthCheck | None) -> dict[str, Any]:
    """``Healthcheck`` of a configuration, nothing where there is none."""
    if check is None:
        return {}
    fields = {
        "Test": list(check.test),
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
        "Retries": check.retries,
    }
    return {"Healthcheck": {name: value for name, value in fields.items() if value}}


def _config(container: Container) -> dict[str, Any]:
    """The configuration the container runs with: the user's over the image's."""
    spec = container.spec
    entrypoint, cmd = _command(container)
    return {
        "Hostname": spec.hostname or container.short_id,
        "Domainname": spec.domainname,
        "User": container.user,
        "AttachStdin": spec.attach_stdin,
        "AttachStdout": spec.attach_stdout,
        "AttachStderr": spec.attach_stderr,
        "ExposedPorts": {port: {} for port in container.exposed_ports},
        "Tty": spec.tty,
        "OpenStdin": spec.open_stdin,
        "StdinOnce": spec.stdin_once,
        "Env": list(container.env),
        "Cmd": cmd,
        "Image": spec.image,
        "Volumes": {path: {} for path in spec.volumes},
        "WorkingDir": container.cwd,
        "Entrypoint": entrypoint,
        "Labels": dict(container.labels),
        "StopSignal": spec.stop_signal or None,
        "StopTimeout": spec.stop_timeout,
        **health_check(container.health_check),
    }


def _command(container: Container) -> tuple[list[str] | None, list[str] | None]:
    """Entrypoint and command, the image's where the user gave none; what is all the image's is a command."""
    spec, argv = container.spec, list(container.argv)
    if spec.entrypoint is not None:
        return list(spec.entrypoint), list(spec.cmd or ())
    given = len(spec.cmd or ())
    return (argv[:-given] or None, argv[-given:]) if given else (None, argv)


def _host_config(container: Container) -> dict[str, Any]:
    """What the client sent over docker's defaults; LogConfig and NetworkMode by their real names."""
    spec = container.spec
    defaults: dict[str, Any] = {
        "Binds": [],
        "ContainerIDFile": "",
        "VolumeDriver": "",
        "VolumesFrom": [],
        "Dns": [],
        "DnsOptions": [],
        "DnsSearch": [],
        "ExtraHosts": list(spec.extra_hosts),
        "Devices": [],
        "PublishAllPorts": False,
        "Privileged": False,
        "ReadonlyRootfs": False,
        "CpuShares": 0,
        "CpuPercent": 0,
        "NanoCpus": 0,
    }
    effective = {
        "AutoRemove": spec.auto_remove,
        "RestartPolicy": {
            "Name": spec.restart.name,
            "MaximumRetryCount": spec.restart.maximum_retries,
        },
        "Memory": spec.memory,
        "CpuCount": spec.cpus,
        "ConsoleSize": list(spec.console_size),
        "Isolation": "hyperv",
        "LogConfig": {"Type": spec.log_driver or "json-file", "Config": dict(spec.log_options)},
        "NetworkMode": endpoints.mode(container),
        "PortBindings": endpoints.requested(container),
    }
    return {**defaults, **spec.host_config, **effective}

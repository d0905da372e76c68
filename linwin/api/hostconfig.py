"""Docker's HostConfig: what linwin does with each field.

Fields that would change what a container means, were they ignored, are refused
by name; knobs of Linux's scheduler, which schedulers send by routine, are
ignored with a warning; the few that linwin honours are in :class:`HostConfig`,
and those about networks and mounts in modules of their own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from linwin.api import shapes
from linwin.api.fields import Fields
from linwin.errors import InvalidRequest, Unsupported
from linwin.model.container import Update
from linwin.model.restart import RestartPolicy

UNSET_SWAPPINESS = -1
"""What docker's command line sends where its user asked for nothing."""

REFUSED = {
    "Links": ("links", "Leave out --link: containers of one network find each other by name."),
    "Devices": ("devices", "Leave out --device."),
    "DeviceRequests": ("device requests", "Leave out --gpus."),
    "Privileged": ("privileged containers", "Leave out --privileged; a guest VM has no more rights to give."),
    "ReadonlyRootfs": ("read-only root file systems", "Leave out --read-only."),
    "SecurityOpt": ("security options", "Leave out --security-opt."),
    "Sysctls": ("sysctls", "Windows has none; leave out --sysctl."),
    "StorageOpt": ("storage options", "Leave out --storage-opt."),
    "MaskedPaths": ("masked paths", "Windows has none; leave out systempaths=… of --security-opt."),
    "ReadonlyPaths": ("read-only paths", "Windows has none; leave out systempaths=… of --security-opt."),
    "Cgroup": ("control groups of other containers", "Every container is a VM of its own."),
}

IGNORED = (
    "BlkioWeight",
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "CapAdd",
    "CapDrop",
    "CgroupParent",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpuShares",
    "CpusetCpus",
    "CpusetMems",
    "DeviceCgroupRules",
    "DnsOptions",
    "GroupAdd",
    "IOMaximumBandwidth",
    "IOMaximumIOps",
    "Init",
    "KernelMemory",
    "KernelMemoryTCP",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "OomKillDisable",
    "OomScoreAdj",
    "PidsLimit",
    "ShmSize",
    "Ulimits",
)

CPUS = ("NanoCpus", "CpuCount", "CpuPercent", "CpuPeriod", "CpuQuota")
"""The ways to say how many CPUs there are to be."""

PERIOD = 100_000
"""Microseconds of ``CpuPeriod`` where none is given: docker's, and the kernel's."""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """The honoured fields; ``memory`` in bytes, ``cpus`` a count, 0 for the defaults."""

    auto_remove: bool
    restart: RestartPolicy
    memory: int
    cpus: int
    console_size: tuple[int, int]
    log_driver: str
    log_options: dict[str, str]
    warnings: tuple[str, ...]


def parse(fields: Fields) -> HostConfig:
    """Read a HostConfig. Raises Unsupported or InvalidRequest, naming the field."""
    shapes.check(fields, shapes.HOST_CONFIG)
    for name, (what, hint) in REFUSED.items():
        if fields.given(name):
            raise Unsupported(f"linwin does not support {what} ({name})", hint=hint)
    auto_remove, restart = fields.flag("AutoRemove"), restart_policy(fields.object("RestartPolicy"))
    if auto_remove and restart.name != "no":
        raise InvalidRequest(
            "can't create 'AutoRemove' container with restart policy",
            hint="Leave out one of --rm and --restart.",
        )
    check_isolation(fields.text("Isolation"))
    _check_namespaces(fields)
    _check_drivers(fields)
    return HostConfig(
        auto_remove=auto_remove,
        restart=restart,
        memory=_not_negative(fields, "Memory"),
        cpus=cpus_of(fields),
        console_size=fields.size("ConsoleSize"),
        log_driver=fields.object("LogConfig").text("Type"),
        log_options=fields.object("LogConfig").mapping("Config"),
        warnings=_warnings(fields),
    )


def parse_update(fields: Fields) -> tuple[Update, tuple[str, ...]]:
    """Read the body of an update, which is part of a HostConfig, and what is ignored of it."""
    shapes.check(fields, shapes.HOST_CONFIG)
    for name, (what, hint) in REFUSED.items():
        if fields.given(name):
            raise Unsupported(f"linwin does not support {what} ({name})", hint=hint)
    policy = fields.object("RestartPolicy")
    sent = {name: value for name, value in fields.raw().items() if value and name in CPUS}
    wanted = Update(
        memory=_not_negative(fields, "Memory"),
        cpus=cpus_of(fields),
        restart=restart_policy(policy) if policy.text("Name") else None,
        host_config={**dict.fromkeys(CPUS, 0), **sent} if sent else {},
    )
    return wanted, _warnings(fields)


def echoed(fields: Fields) -> dict[str, Any]:
    """What inspect shows again of a HostConfig: what docker has fields for, and was set."""
    sent = {name: value for name, value in fields.raw().items() if name in shapes.HOST_CONFIG}
    if sent.get("MemorySwappiness") == UNSET_SWAPPINESS:
        del sent["MemorySwappiness"]
    if mounts := sent.get("Mounts"):
        sent["Mounts"] = _without_nulls(mounts)
    return sent


def _without_nulls(value: Any) -> Any:
    """A value of JSON without the fields that docker leaves out, as clients may be strict about types."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def restart_policy(fields: Fields) -> RestartPolicy:
    """``RestartPolicy``, checked as docker checks it. Raises InvalidRequest in docker's words."""
    retries = fields.integer("MaximumRetryCount") or 0
    match fields.text("Name"):
        case "":  # docker's older clients send any count along with it
            return RestartPolicy()
        case "on-failure":
            if retries < 0:
                raise InvalidRequest("invalid restart policy: maximum retry count cannot be negative")
            return RestartPolicy("on-failure", retries)
        case "no" | "always" | "unless-stopped" as name:
            if retries:
                negative = " and cannot be negative" if retries < 0 else ""
                raise InvalidRequest(
                    "invalid restart policy: maximum retry count can only be used "
                    f"with 'on-failure'{negative}"
                )
            return RestartPolicy(name)
        case name:
            raise InvalidRequest(
                f"invalid restart policy: unknown policy '{name}'; use one of "
                "'no', 'always', 'on-failure', or 'unless-stopped'"
            )


def check_isolation(name: str) -> None:
    """Refuse a process of the host's own. Raises Unsupported."""
    if name.lower() not in ("", "default", "hyperv"):
        raise Unsupported(
            f"linwin does not support the isolation {name} (Isolation)",
            hint="Every container runs in a guest VM of its own, which is what docker calls hyperv.",
        )


def _check_namespaces(fields: Fields) -> None:
    for name in ("PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode"):
        mode = fields.text(name)
        if mode not in ("", "private"):
            raise Unsupported(
                f"linwin does not support {name} {mode}", hint="Every container is a VM of its own."
            )


def _check_drivers(fields: Fields) -> None:
    if (driver := fields.text("VolumeDriver")) not in ("", "local"):
        raise Unsupported(
            f"linwin does not support the volume driver {driver} (VolumeDriver)", hint="Use local."
        )
    if runtime := fields.text("Runtime"):
        raise InvalidRequest(
            f"unknown or invalid runtime name: {runtime}", hint="Leave out --runtime; guests are VMs."
        )


def _not_negative(fields: Fields, name: str) -> int:
    value = fields.integer(name) or 0
    if value < 0:
        raise InvalidRequest(f"{name} must not be negative")
    return value


def cpus_of(fields: Fields) -> int:
    """Whole CPUs, which is what a VM has: a count, or what stands for one, rounded up; 0 where none does.

    A count goes before what it was made of: inspect shows both, and clients create from what it shows.
    """
    nano, count, percent = (_not_negative(fields, name) for name in ("NanoCpus", "CpuCount", "CpuPercent"))
    period, quota = _not_negative(fields, "CpuPeriod"), fields.integer("CpuQuota") or 0
    for name, value in (("CPU Period", period), ("CPU Quota", quota)):
        if nano and value > 0:
            raise InvalidRequest(
                f"conflicting options: Nano CPUs and {name} cannot both be set", hint="Use --cpus alone."
            )
    if percent > 100:
        raise InvalidRequest("CpuPercent must not be above 100", hint="It is of all CPUs of this host.")
    shares = ((nano, 10**9), (max(0, quota), period or PERIOD), (percent * (os.cpu_count() or 1), 100))
    return count or next((-(-part // whole) for part, whole in shares if part), 0)


def _warnings(fields: Fields) -> tuple[str, ...]:
    ignored = [name for name in IGNORED if fields.given(name)]
    if "MemorySwap" in ignored and fields.integer("MemorySwap") in (-1, fields.integer("Memory")):
        ignored.remove("MemorySwap")  # no swap, or no limit on it: guests have no swap
    if "PidsLimit" in ignored and fields.integer("PidsLimit") == -1:
        ignored.remove("PidsLimit")  # no limit
    if "MemorySwappiness" in ignored and fields.integer("MemorySwappiness") == UNSET_SWAPPINESS:
        ignored.remove("MemorySwappiness")
    return tuple(f"{name} has no meaning for a Windows container and is ignored" for name in ignored)

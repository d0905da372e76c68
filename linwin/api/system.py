"""``/_ping``, ``/version`` and ``/info``."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from aiohttp import web

from linwin import __version__
from linwin.api import versions
from linwin.api.context import MAX_VERSION, MIN_VERSION, PATHS, answer, engine_of, version_of
from linwin.api.render import rfc3339
from linwin.engine.engine import Engine
from linwin.engine.host_info import HostInfo
from linwin.model import log_config
from linwin.model.mount import VOLUME_DRIVER

SLOW = "No hardware virtualisation: guests run under QEMU's software emulation (TCG), many times slower"


async def ping(request: web.Request) -> web.Response:
    """``GET`` and ``HEAD /_ping``: that we are here, and what we can do."""
    headers = {
        "Builder-Version": "1",  # the classic builder: BuildKit builds no Windows images
        "Swarm": "inactive",
        "Cache-Control": "no-cache, no-store, must-revalidate",
        "Pragma": "no-cache",
    }
    return web.Response(text="OK" if request.method == "GET" else "", headers=headers)


async def version(request: web.Request) -> web.Response:
    """``GET /version``: the versions of linwin, of the API and of the hypervisor."""
    info = await engine_of(request).info()
    newest, oldest = (".".join(map(str, v)) for v in (MAX_VERSION, MIN_VERSION))
    about = {"Os": "windows", "Arch": "amd64", "KernelVersion": os.uname().release}
    engine = {"ApiVersion": newest, "MinAPIVersion": oldest, "Experimental": "false", **about}
    hypervisor, _, release = info.hypervisor.partition(" ")
    components = [
        {"Name": "Engine", "Version": __version__, "Details": engine},
        {"Name": hypervisor, "Version": release, "Details": {"Accelerator": info.accelerator}},
    ]
    return answer(
        {
            "Platform": {"Name": "linwin"},
            "Components": components,
            "Version": __version__,
            "ApiVersion": newest,
            "MinAPIVersion": oldest,
            "GitCommit": "",
            "GoVersion": "",
            "BuildTime": "",
            **about,
        }
    )


async def info(request: web.Request) -> web.Response:
    """``GET /info``: this host, what runs on it, and a warning where it is slow."""
    engine = engine_of(request)
    host = await engine.info()
    shown = {**_host(request), **_counts(host), **_kind(host, engine)}
    return answer(versions.info(shown, version_of(request)))


def _host(request: web.Request) -> dict[str, Any]:
    paths = request.app[PATHS]
    return {
        "ID": paths.tag,
        "Name": socket.gethostname(),
        "DockerRootDir": str(paths.root),
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "KernelVersion": os.uname().release,
        "SystemTime": rfc3339(time.time_ns()),
        "ServerVersion": __version__,
    }


def _counts(host: HostInfo) -> dict[str, Any]:
    return {
        "Containers": host.containers_running + host.containers_paused + host.containers_stopped,
        "ContainersRunning": host.containers_running,
        "ContainersPaused": host.containers_paused,
        "ContainersStopped": host.containers_stopped,
        "Images": host.images,
    }


def _kind(host: HostInfo, engine: Engine) -> dict[str, Any]:
    names = ", ".join(template.name for template in host.templates) or "none"
    return {
        "OSType": "windows",
        "Architecture": "x86_64",
        "OperatingSystem": "linwin: Windows containers in virtual machines on Linux",
        "OSVersion": "",
        "Driver": "qcow2",
        "DriverStatus": [
            ["Accelerator", host.accelerator],
            ["Hypervisor", host.hypervisor],
            ["Templates", names],
            *([["Pool", f"{host.pool_ready} of {host.pool_size} guests ready"]] if host.pool_size else []),
        ],
        "Isolation": "hyperv",
        "LoggingDriver": engine.log_default.driver,
        "MemoryLimit": True,
        "SwapLimit": False,
        "CpuCfsPeriod": False,
        "CpuCfsQuota": False,
        "CPUShares": False,
        "CPUSet": False,
        "PidsLimit": False,
        "OomKillDisable": False,
        "IPv4Forwarding": True,
        "Debug": False,
        "ExperimentalBuild": False,
        "LiveRestoreEnabled": True,
        "NFd": 0,
        "NGoroutines": 0,
        "NEventsListener": engine.events.followers,
        "Labels": [],
        "IndexServerAddress": "https://index.docker.io/v1/",
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "InitBinary": "",
        "SecurityOptions": [],
        "Runtimes": {},
        "DefaultRuntime": "",
        "Plugins": {
            "Volume": [VOLUME_DRIVER],
            "Network": ["nat", "none"],
            "Authorization": [],
            "Log": log_config.DRIVERS,
        },
        "RegistryConfig": {"InsecureRegistryCIDRs": [], "IndexConfigs": {}, "Mirrors": []},
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
        },
        "Warnings": [SLOW] if host.accelerator == "tcg" else [],
    }


ROUTES = (
    ("GET", "/_ping", ping),
    ("HEAD", "/_ping", ping),
    ("GET", "/version", version),
    ("GET", "/info", info),
)

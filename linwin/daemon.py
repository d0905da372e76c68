"""The daemon: builds the rooms, injects them into the engine, serves the API.

Run as ``python -m linwin.daemon``; ``linwin daemon run`` is its usual name.
Settings come from the environment and a file (:mod:`linwin.config`). A parent that
wants to know when the socket listens passes the write end of a pipe as
``LINWIN_READY_FD`` and reads ``ready`` or ``error: …`` from it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from linwin import config, daemon_log
from linwin.api import TlsAddress, check_unused, serve
from linwin.config import Configuration, MachinePlan
from linwin.disks import ChainDisks
from linwin.engine.engine import Engine
from linwin.engine.interfaces import Rooms
from linwin.errors import Conflict, InvalidRequest, LinwinError, Unavailable
from linwin.guest import AgentGuests
from linwin.host.files import make_folders
from linwin.host.locks import try_lock
from linwin.images import ImageStore
from linwin.machine import DEFAULT_BUDGET, LibvirtMachines, QemuMachines, left_running
from linwin.model.pool import PoolPlan
from linwin.network import BridgeNetworks
from linwin.paths import Paths
from linwin.shares import SambaShares
from linwin.sources import BuildSources
from linwin.state import Database
from linwin.templates import InstalledTemplates
from linwin.tls import certificates

logger = logging.getLogger("linwin.daemon")

PURGE = "--purge-network"


async def build_machines(paths: Paths, plan: MachinePlan) -> QemuMachines | LibvirtMachines:
    """The machine driver that the settings name.

    Raises Unavailable where libvirt does not answer, InvalidRequest where guests would be root's,
    Conflict while libvirt runs machines that the direct driver would take for lost.
    """
    if plan.driver == "qemu":
        if left := await asyncio.to_thread(left_running, paths):
            raise Conflict(
                f"libvirt still runs the machines of {', '.join(id[:12] for id in left)}",
                hint='Start the daemon with driver = "libvirt" in [machine] once more, and stop it in order: '
                "its containers stop with it.",
            )
        return QemuMachines(paths, checkpoint_budget=checkpoint_budget())
    machines = LibvirtMachines(paths, plan.uri, checkpoint_budget=checkpoint_budget())
    # Asked before anything is recovered: what runs must not be given up for want of an answer.
    logger.info("machines are run by %s at %s", await machines.version(), plan.uri)
    return machines


def build_rooms(paths: Paths, state: Database, machines: QemuMachines | LibvirtMachines) -> Rooms:
    """The real rooms; the scenario tests build fakes instead."""
    return Rooms(
        images=ImageStore(paths),
        disks=ChainDisks(paths),
        machine=machines,
        guest=AgentGuests(),
        network=BridgeNetworks(paths),
        shares=SambaShares(paths),
        sources=BuildSources(paths),
        templates=InstalledTemplates(paths),
        state=state,
    )


def checkpoint_budget() -> int:
    """Bytes that checkpoints may take: ``LINWIN_CHECKPOINT_BUDGET``, in MiB; 0 is for none at all."""
    text = os.environ.get("LINWIN_CHECKPOINT_BUDGET") or str(DEFAULT_BUDGET >> 20)
    if not text.isdecimal():
        raise InvalidRequest(
            f"LINWIN_CHECKPOINT_BUDGET is {text!r}", hint="Set it to a whole number of MiB, 0 for none."
        )
    return int(text) << 20


def possible_pool(plan: PoolPlan, machines: QemuMachines | LibvirtMachines) -> PoolPlan:
    """The pool that is asked for, or none where a guest that waits cannot be given a disk."""
    if plan.size and not machines.abilities.disk_exchange:
        logger.warning("there is no pool: the machine driver does not exchange disks")
        return replace(plan, size=0)
    return plan


def tls_address(configuration: Configuration) -> TlsAddress | None:
    """Where to serve TCP clients, and with which certificates."""
    tcp, files = configuration.tcp, configuration.tls
    if tcp is None:
        return None
    ca, certificate, key = certificates((files.ca, files.certificate, files.key))
    return TlsAddress(
        tcp.host, tcp.port, Path(ca).absolute(), Path(certificate).absolute(), Path(key).absolute()
    )


@contextmanager
def _usable(paths: Paths) -> Iterator[None]:
    """Tell in one sentence what keeps us from using a root. Raises Unavailable."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"cannot prepare {paths.root}: {error.strerror}: {error.filename}",
            hint="Run as root, or set LINWIN_ROOT and LINWIN_HOST to places you may write.",
        ) from error


def prepare_root(paths: Paths) -> None:
    """Create the folders of a root, and empty its scratch folder: what is there may be a daemon's uploads.

    So it is for who holds the root, see :func:`held_root`.
    """
    with _usable(paths):
        for folder in (
            paths.root,
            paths.containers,
            paths.chains,
            paths.templates,
            paths.checkpoints,
            paths.pool,
            paths.volumes,
            paths.shares,
        ):
            # Machines run as users of their own: they pass through, and list nothing.
            make_folders(folder, mode=0o711)
        make_folders(paths.blobs, paths.image_records, paths.cache, mode=0o700)
        if paths.scratch.exists():
            shutil.rmtree(paths.scratch)
        paths.scratch.mkdir(mode=0o711)
        paths.socket.parent.mkdir(mode=0o755, parents=True, exist_ok=True)


@contextmanager
def held_root(paths: Paths) -> Iterator[None]:
    """Be the one daemon of this root, and say so on disk. Only the root folder itself is created."""
    with _usable(paths):
        make_folders(paths.root, mode=0o711)
        lock = try_lock(paths.daemon_lock)
    if lock is None:
        raise Conflict(
            f"another daemon already serves {paths.root}",
            hint="Use it, stop it with linwin daemon stop, or set another LINWIN_ROOT.",
        )
    try:
        paths.daemon_pid.write_text(f"{os.getpid()}\n")
        yield
    finally:
        paths.daemon_pid.unlink(missing_ok=True)
        lock.release()


@asynccontextmanager
async def opened(paths: Paths, configuration: Configuration) -> AsyncIterator[Engine]:
    """An engine on the root's own state, recovered on entry and at rest on exit."""
    async with AsyncExitStack() as closing:
        state = Database(paths)
        await state.open()
        closing.push_async_callback(state.close)
        machines = await build_machines(paths, configuration.machine)
        if isinstance(machines, LibvirtMachines):
            closing.push_async_callback(machines.close)
        engine = Engine(
            build_rooms(paths, state, machines),
            paths,
            checkpoints=checkpoint_budget() > 0,
            pool=possible_pool(configuration.pool, machines),
            log_default=configuration.logs,
        )
        await engine.open()
        for template in await engine.unusable_templates():
            logger.warning("%s; %s", template.reason, template.remedy)
        try:
            yield engine
        finally:
            await engine.close()


async def run(paths: Paths, configuration: Configuration) -> None:
    """Serve until SIGTERM or SIGINT, then stop all containers."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    tls = tls_address(configuration)
    metrics_at = configuration.metrics_address
    async with opened(paths, configuration) as engine, serve(engine, paths.socket, tls, metrics_at):
        logger.info("listening on %s, state in %s", paths.socket, paths.root)
        announce("ready")
        await stopped.wait()
        logger.info("stopping")


def announce(line: str) -> None:
    """Tell whoever waits, a parent or a service manager, how the start went."""
    fd = os.environ.pop("LINWIN_READY_FD", None)
    if fd is not None:
        # A parent that is gone must not take the containers with it that a new daemon adopted.
        with suppress(BrokenPipeError), os.fdopen(int(fd), "w") as pipe:
            pipe.write(line + "\n")
    if (manager := os.environ.pop("NOTIFY_SOCKET", "")) and line == "ready":
        # sd_notify(3); a name that begins with @ is abstract.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.connect("\0" + manager[1:] if manager.startswith("@") else manager)
            sock.sendall(b"READY=1")


async def purge_network(paths: Paths) -> None:
    """Remove what the networks of a root, and its file server, are on the host.

    They are known still, and come back.

    Raises Conflict while guests run that a daemon has left: the NIC of one of them would be dead for good.
    """
    networks = BridgeNetworks(paths)
    if await networks.machines():
        raise Conflict(
            f"containers of {paths.root} are running, and would lose their networks for good",
            hint="Their daemon was killed. Start it, which adopts them: linwin daemon start; then try again.",
        )
    await networks.purge()
    await SambaShares(paths).purge()


def _purge(paths: Paths) -> None:
    """Purge a root that is there: one that is not, as a mistyped one, must not come to be by it."""
    if not paths.root.exists():
        logger.warning("there is no %s: nothing to remove", paths.root)
        return
    with held_root(paths):
        asyncio.run(purge_network(paths))


def _serve(paths: Paths, configuration: Configuration) -> None:
    with held_root(paths):
        prepare_root(paths)
        check_unused(paths.socket)
        asyncio.run(run(paths, configuration))


def main() -> None:
    """Entry point: one daemon a root, its pid on disk while it lives.

    With ``--purge-network`` it only takes the root's networks off the host, while no daemon runs.
    """
    try:
        configuration = config.read()
        daemon_log.configure(configuration.log.level, configuration.log.format)
        paths = Paths.from_environment(socket=configuration.socket)
        if PURGE in sys.argv[1:]:
            _purge(paths)
        else:
            _serve(paths, configuration)
    except LinwinError as error:
        announce(f"error: {error}")
        sys.exit(f"linwin: {error}")


if __name__ == "__main__":
    main()

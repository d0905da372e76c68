"""The dnsmasq of each network: daemons of their own, which outlive ours as the guests do.

What one is told is in its folder, and so is its pid. A pid is believed only while the process
that has it runs dnsmasq with that folder's configuration.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

from linwin.errors import Unavailable
from linwin.host import process
from linwin.host.files import make_folders, tail, write_atomically
from linwin.host.pidfd import WatchedProcess, command_line
from linwin.network.name_service import (
    CONFIGURATION,
    HOSTS,
    LEASES,
    PID,
    RESERVATIONS,
    Reservation,
    Service,
)

_START_TIMEOUT = 20.0
_PID_DIGITS = 7


class NameServers:
    """All of one root's, in ``folder``, each in a folder that is named by its network's id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # What we know each to have read. An earlier daemon may have died between writing and telling.
        self._told: dict[str, Service] = {}
        self._earlier: set[str] | None = None

    def services(self) -> dict[str, Service]:
        """What each network's is known to have been told, by the network's id. Raises OSError."""
        if self._earlier is None:
            # One whose folder somebody deleted would otherwise serve for ever.
            self._earlier = {network_id for _, network_id in self._dnsmasqs()}
        written = set(os.listdir(self._folder)) if self._folder.is_dir() else set()
        return {network_id: self._known(network_id) for network_id in written | self._earlier}

    def running(self, network_ids: Iterable[str]) -> frozenset[str]:
        """Those of some networks whose dnsmasq runs."""
        return frozenset(network_id for network_id in network_ids if self._pid(network_id) is not None)

    async def ended(self, network_id: str) -> None:
        """Wait until the network's dnsmasq, if it runs, has ended."""
        pid = self._pid(network_id)
        held = self._hold(network_id, pid) if pid is not None else None
        if held is None:
            return
        try:
            await held.wait()
        finally:
            held.close()

    async def start(self, service: Service) -> None:
        """Write all and start it; returns when it answers. Raises Unavailable, OSError."""
        # One that lost its pid file would answer beside the new one, from old files.
        await self.stop(service.network_id)
        await asyncio.to_thread(self._write, service)
        argv = ["dnsmasq", self._argument(service.network_id)]
        try:
            await process.run(argv, timeout=_START_TIMEOUT, check=True)
        except Unavailable as error:
            raise Unavailable(
                error.message,
                hint=error.hint
                or "If another DNS server listens at every address of this host, "
                "have it listen at the addresses that it serves.",
            ) from error
        self._told[service.network_id] = service

    async def reload(self, service: Service) -> None:
        """Write the names and leases and have them read.

        Starts it when it has ended meanwhile, and anew when an address passes to another NIC: a
        running one gives no address to one NIC that it leased to another.
        """
        pid = await asyncio.to_thread(self._tell, service)
        held = self._hold(service.network_id, pid) if pid is not None else None
        if held is None:
            await self.start(service)
            return
        try:
            held.send_signal(signal.SIGHUP)
            self._told[service.network_id] = service
        finally:
            held.close()

    async def stop(self, network_id: str) -> None:
        """End it, found by what it runs and not by its pid file, which may be gone."""
        for pid, found in await asyncio.to_thread(self._dnsmasqs):
            held = self._hold(network_id, pid) if found == network_id else None
            if held is None:
                continue
            try:
                held.send_signal(signal.SIGKILL)  # its leases are on disk as they are given
                await held.wait()
            finally:
                held.close()

    def forget(self, network_id: str) -> None:
        """Delete what a dnsmasq that was stopped has left."""
        self._told.pop(network_id, None)
        if self._earlier is not None:
            self._earlier.discard(network_id)
        if (self._folder / network_id).exists():
            shutil.rmtree(self._folder / network_id)

    def _known(self, network_id: str) -> Service:
        path = self._folder / network_id / CONFIGURATION
        told = self._told.get(network_id)
        return Service(
            network_id,
            path.read_text() if path.exists() else "",
            told.hosts if told else "",
            told.reservations if told else "",
        )

    def _argument(self, network_id: str) -> str:
        return f"--conf-file={self._folder / network_id / CONFIGURATION}"

    def _write(self, service: Service) -> None:
        folder = self._folder / service.network_id
        # dnsmasq reads its files again after it has become nobody.
        for each in (self._folder, folder):
            make_folders(each, mode=0o711)
        self._write_names(service)
        configuration = service.configuration.encode()
        write_atomically(folder / CONFIGURATION, configuration, mode=0o644, durable=False)
        self._keep_leases(service)

    def _tell(self, service: Service) -> int | None:
        """Write the names; the pid of the dnsmasq that has to read them, None where one has to start."""
        self._write_names(service)
        return None if self._passes_on(service) else self._pid(service.network_id)

    def _write_names(self, service: Service) -> None:
        """Write what dnsmasq is told to read next, and by the next daemon again if we die before.

        A rename over the old file would be flushed to disk on ext4, while a start waits for it.
        """
        folder = self._folder / service.network_id
        for name, text in ((HOSTS, service.hosts), (RESERVATIONS, service.reservations)):
            (folder / name).unlink(missing_ok=True)
            with open(folder / name, "x", opener=_readable) as file:
                file.write(text)

    def _passes_on(self, service: Service) -> bool:
        """Is an address now reserved for another NIC than the one that has its lease?"""
        reserved = {reservation.address: reservation.mac for reservation in service.reserved()}
        return any(reserved.get(lease.address, lease.mac) != lease.mac for _, lease in self._leases(service))

    def _keep_leases(self, service: Service) -> None:
        """Drop the leases of NICs that are gone from the file that a dnsmasq reads at its start."""
        reserved = set(service.reserved())
        kept = [line for line, lease in self._leases(service) if lease in reserved]
        path = self._folder / service.network_id / LEASES
        write_atomically(path, "".join(kept).encode(), mode=0o644, durable=False)

    def _leases(self, service: Service) -> list[tuple[str, Reservation]]:
        """Each line of the leases' file with what it says: when it ends, MAC, address, name, client."""
        path = self._folder / service.network_id / LEASES
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [(line, Reservation(words[1], words[2])) for line in lines if len(words := line.split()) >= 4]

    def _pid(self, network_id: str) -> int | None:
        """The pid of the network's dnsmasq, None when it does not run."""
        text = tail(self._folder / network_id / PID, _PID_DIGITS + 1).strip()  # dnsmasq may write to it
        if text.isdigit() and self._runs(network_id, int(text)):
            return int(text)
        return None

    def _dnsmasqs(self) -> list[tuple[int, str]]:
        """Every dnsmasq of this root that runs: its pid and its network's id."""
        found = []
        for entry in os.listdir("/proc"):
            match command_line(int(entry)) if entry.isdecimal() else []:
                case [_, argument] if argument.startswith(f"--conf-file={self._folder}/"):
                    found.append((int(entry), Path(argument).parent.name))
        return found

    def _hold(self, network_id: str, pid: int) -> WatchedProcess | None:
        """The process, if it is the network's dnsmasq; looked at only once its pid cannot be reused."""
        try:
            held = WatchedProcess(pid)
        except ProcessLookupError:
            return None
        if self._runs(network_id, pid):
            return held
        held.close()
        return None

    def _runs(self, network_id: str, pid: int) -> bool:
        return command_line(pid)[1:] == [self._argument(network_id)]


def _readable(path: str, flags: int) -> int:
    """Open a new file that everybody may read, whatever our umask is."""
    fd = os.open(path, flags, 0o644)
    os.fchmod(fd, 0o644)
    return fd

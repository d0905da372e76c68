"""A computer that does in a fake guest what verifications ask of a real one, and one thing of it wrong."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.errors import CommandNotFound, InvalidRequest
from linwin.model.guest import ProcessSpec
from linwin.model.network import Attachment
from tests.scenario.fakes.programs import CONTROL_C

if TYPE_CHECKING:
    from tests.scenario.fakes import Fakes
    from tests.scenario.fakes.guest import FakeGuest, FakeProcess

KNOWN = {
    "cmd", "findstr", "reg", "hostname", "ipconfig", "ping", "sc", "systeminfo", "powershell", "pnputil",
    "driverquery", "cscript",
}  # fmt: skip
LISTENERS = ("c:\\linwin-listener", "c:\\program files\\linwin\\linwin-agent.exe")
MEMORY = 560


class FakeComputer:
    """``wrong`` names the checks that it is to fail; ``hangs`` and ``dies`` those in which it does that."""

    def __init__(self, fakes: Fakes, *, kind: str = "wine") -> None:
        self.fakes = fakes
        self.is_wine = kind == "wine"
        self.wrong: set[str] = set()
        self.lacking: set[str] = set()
        self.hangs: set[str] = set()
        self.dies: set[str] = set()
        self.services: dict[str, str] = {"plugplay": "1", "w32time": "1", "linwin-agent": "4"}
        self.services |= dict.fromkeys(("viostor", "virtioserial", "netkvm", "virtrng", "balloon"), "4")
        self.registry: dict[str, str] = {}
        self.no_terminals = ""
        """What programs at a terminal are refused with, if they are."""
        self.until_addressed = 0
        """How often a guest is asked for its address before it has one."""

    def check(self, spec: ProcessSpec) -> None:
        name = spec.argv[0].lower()
        if spec.terminal is not None and self.no_terminals:
            raise InvalidRequest(self.no_terminals)
        if "nobody" in spec.user and "programs.nobody" not in self.wrong:
            raise InvalidRequest("The user name or password is incorrect.")
        if name in self.lacking or (name not in KNOWN and not name.startswith(LISTENERS)):
            if "programs.missing" in self.wrong and "no-such" in name:
                return
            raise CommandNotFound(f"{name} is not found")

    async def run(self, guest: FakeGuest, process: FakeProcess) -> int:
        spec = process.spec
        words = list(spec.argv)
        if words[0].lower().startswith(LISTENERS):
            return await self._listen(process, guest)
        handler: Callable[..., Awaitable[int]] = getattr(self, f"_{words[0].lower()}", self._nothing)
        return await handler(process, guest, words[1:])

    def _is(self, title: str) -> bool:
        return title in self.wrong

    async def _trouble(self, title: str) -> None:
        from tests.scenario.fakes.guest import GuestLost

        if title in self.hangs:
            await asyncio.get_running_loop().create_future()
        if title in self.dies:
            raise GuestLost

    async def _nothing(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        return 0

    async def _say(self, process: FakeProcess, text: str) -> int:
        await process.print(text.replace("\n", "\r\n").encode() + b"\r\n")
        return 0

    # cmd

    async def _cmd(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        if words[:1] != ["/c"]:
            return await (self._prompt(process) if process.spec.terminal else self._lines(process, guest))
        script = words[1]
        if script == "echo" and len(words) > 2:
            line = (process.spec.command_line or "").removeprefix("cmd /c echo ")
            return await self._say(
                process, line.replace('"', "") if self._is("programs.command-line") else line
            )
        return await self._script(process, guest, script)

    async def _lines(self, process: FakeProcess, guest: FakeGuest) -> int:
        """Do what is read, line by line, to the end or to a TERM."""
        signalled = asyncio.ensure_future(process.signals.get())
        try:
            while True:
                reading = asyncio.ensure_future(process.read())
                await asyncio.wait([signalled, reading], return_when=asyncio.FIRST_COMPLETED)
                if signalled.done():
                    reading.cancel()
                    break
                for line in reading.result().decode().splitlines() or ["exit 0"]:
                    if line.startswith("exit"):
                        return 0
                    for script in line.split("& "):
                        await self._script(process, guest, script)
        finally:
            signalled.cancel()
        if self._is("life.stop"):
            await asyncio.get_running_loop().create_future()
        return CONTROL_C

    async def _prompt(self, process: FakeProcess) -> int:
        """An interactive cmd at a terminal."""
        await process.print(b"C:\\>")
        columns = (process.spec.terminal or (0, 0))[1]
        while (typed := (await process.read()).decode()) and "exit" not in typed:
            if not process.sizes.empty() and not self._is("terminal.resize"):
                columns = process.sizes.get_nowait()[1]
            await process.print(self._ruler(columns) + b"\r\nasked-Windows_NT\r\nC:\\>")
        return 0

    def _ruler(self, columns: int) -> bytes:
        if not self.is_wine:
            return b"Lines: 30\r\nColumns: %d" % columns
        digits = b"0123456789" * 7
        return b"\x1b[?25l" + b"\r\n".join(filter(None, (digits[:columns], digits[columns:]))) + b"\x1b[?25h"

    async def _script(self, process: FakeProcess, guest: FakeGuest, script: str) -> int:
        if found := re.fullmatch(r"exit (-?\d+)", script):
            code = int(found[1]) & 0xFFFFFFFF
            if self._is("life.heals") and "-healing-" in guest.machine.spec.title:
                return 1
            return code & 0xFF if self._is("programs.exit-code") else code
        if script == "echo to stdout& echo to stderr>&2":
            await self._trouble("programs.streams")
            await process.print(b"to stdout\r\n")
            await process.print(b"to stderr\r\n", "stdout" if self._is("programs.streams") else "stderr")
            return 0
        if found := re.fullmatch(r"set (\w+)", script):
            await self._trouble("programs.environment")
            value = process.spec.env.get(found[1], "")
            value = value.replace("%", "") if self._is("programs.environment") else value
            return await self._say(process, f"{found[1]}={value}")
        if script == "cd":
            await self._trouble("programs.folder")
            return await self._say(process, "C:\\" if self._is("programs.folder") else process.spec.cwd)
        if script == "ver":
            number = "10.0.17763" if self._is("guest.build") else "10.0.14393"
            return await self._say(process, f"Microsoft Windows [Version {number}.2363]")
        if script in ("echo %RULER%", "mode con"):
            columns = 80 if self._is("terminal.size") else (process.spec.terminal or (0, 0))[1]
            await process.print(self._ruler(columns))
            return 0
        return await self._file_script(process, guest, script)

    async def _file_script(self, process: FakeProcess, guest: FakeGuest, script: str) -> int:
        if found := re.fullmatch(r"echo (.*?)> (.*)", script):
            return self._write(guest, found[2], f"{found[1]}\r\n")
        if found := re.fullmatch(r"type (.*)", script):
            return await self._say(process, self._read(guest, found[1]))
        if found := re.fullmatch(r"for %f in \((.*)\) do @echo %~zf", script):
            size = len(self._read(guest, found[1], newline=""))
            return await self._say(process, str(size - self._is("files.copy")))
        if found := re.fullmatch(r"echo %(\w+)%", script):
            return await self._say(process, self._variable(process, guest, found[1]))
        if found := re.fullmatch(r"echo ([\w-]+)", script):
            return await self._say(process, found[1])
        raise AssertionError(f"the fake cmd knows no {script}")

    def _variable(self, process: FakeProcess, guest: FakeGuest, name: str) -> str:
        assert guest.prepared is not None
        if name == "USERNAME":
            user = process.spec.user
            if self._is("programs.administrator") and "Administrator" in user:
                return "somebody"
            return "somebody" if self._is("programs.user") and user == "ContainerUser" else user
        host = guest.prepared.hostname
        wrong = self._is("guest.name") and host == "verify-box"
        twin = self._is("guest.clones") and host == "verify-twin"
        return "VERIFY-BOX" if twin else "WIN-3XK2" if wrong else host.upper()[:15]

    # Files

    def _write(self, guest: FakeGuest, path: str, text: str) -> int:
        if (place := self._on_host(guest, path)) is not None:
            folder, read_only = place
            if read_only and not self._is("mounts.read-only"):
                return 1
            if not (self._is("mounts.to-host") and folder.name == "guest.txt"):
                folder.write_text(text)
            return 0
        lost = (self._is("life.at-rest") and "kept" in path) or (
            self._is("images.commit") and "image" in path
        )
        lost = lost or (self._is("files.fresh") and "guest" in path)
        guest.store(path.removeprefix("C:\\"), "" if lost else text)
        if "clock" in path and (self._is("start.cold-clock") or self._is("start.restored-clock")):
            guest.times[("verify-clock.txt",)] -= 3_600_000_000_000
        return 0

    def _read(self, guest: FakeGuest, path: str, newline: str = "\r\n") -> str:
        if path.endswith("meminfo"):
            return f"MemTotal: {(2 if self._is('guest.memory') else 1) * MEMORY << 10} kB"
        if path.endswith("agent.log"):
            return "the agent's last words"
        if path.endswith("uuid"):
            return str(uuid.UUID(int=1) if self._is("guest.clones") else uuid.uuid4())
        if (place := self._on_host(guest, path)) is not None:
            if self._is("mounts.from-host") and place[0].name == "host.txt":
                return ""
            return place[0].read_text().strip() if place[0].exists() else "not found"
        name = path.removeprefix("C:\\")
        content = guest.content(name).decode("latin-1")
        if self._is("life.start") and "kept" in path and guest.machine.spec.title:
            return "lost"
        return content.removesuffix(newline) if newline else content

    def _on_host(self, guest: FakeGuest, path: str) -> tuple[Path, bool] | None:
        for mount in guest.mounts:
            if path.lower().startswith(f"{mount.target}\\".lower()):
                name = path[len(mount.target) + 1 :]
                if self._is("mounts.volume") and name == "kept.txt":
                    name = f"{mount.share}-{name}"  # another file for each container
                shares = [one for offered in self.fakes.shares.offered.values() for one in offered]
                (share,) = [one for one in shares if one.id == mount.share]
                return Path(share.source) / name, mount.read_only
        return None

    # Other programs

    async def _findstr(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        data = b""
        while piece := await process.read():
            data += piece
        lines = data.splitlines(keepends=True)
        if self._is("programs.end-of-input") and len(lines) < 10:
            lines = lines[:-1]
        if self._is("programs.megabyte") and len(lines) > 10:
            lines = lines[: len(lines) // 2]
        await process.print(b"".join(line for line in lines if b"x" in line))
        return 0

    async def _reg(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        if words[0] == "add":
            value = words[words.index("/d") + 1]
            self.registry["a b"] = value.replace('"', "") if self._is("programs.arguments") else value
        if words[:1] == ["query"] and "TimeZoneInformation" in words[1]:
            zone = "Pacific Standard Time" if self._is("guest.time-zone") else "UTC"
            return await self._say(process, f"{words[1]}\n    TimeZoneKeyName    REG_SZ    {zone}\n")
        if words[0] == "query":
            return await self._say(process, f"{words[1]}\n    a b    REG_SZ    {self.registry['a b']}\n")
        return 0

    async def _hostname(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        assert guest.prepared is not None
        return await self._say(process, guest.prepared.hostname)

    async def _ipconfig(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        if self.until_addressed:
            self.until_addressed -= 1
            return await self._say(process, "IPv4 address:")
        shown = [] if self._is("network.address") else [i.addresses[0] for i in guest.interfaces.values()]
        return await self._say(process, f"IPv4 address: {' '.join(shown).partition('/')[0]}")

    async def _ping(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        target = words[-1]
        if words[1] != "1":
            await process.print(b"Reply from 127.0.0.1: TTL=64\r\n")
            while self._is("terminal.interrupt") or await process.read() != b"\x03":
                await process.read()
            return CONTROL_C
        known = {name: one.ipv4 for one in self._attachments() for name in one.names}
        gateways = [i.gateway4 for i in guest.interfaces.values()]
        address = "0.0.0.0" if self._is("network.names") else known.get(target, target)
        wrong = "network.gateway" if address in gateways else "network.neighbour"
        reply = "timed out" if self._is(wrong) else f"Reply from {address}: TTL=64"
        return await self._say(process, f"Pinging {target} [{address}]\n{reply}")

    def _attachments(self) -> tuple[Attachment, ...]:
        return self.fakes.networks.applied.attachments

    async def _listen(self, process: FakeProcess, guest: FakeGuest) -> int:
        """Listens where the host's rules would have let its port be reached."""
        ports = [port.host_port for one in self._attachments() for port in one.ports]

        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said = await reader.read(100)
            answer = b"nobody" if self._is("network.published") else b"hello, " + said
            writer.write(b"\xff" * (64 << 10) + answer)
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", ports[0])
        try:
            await process.print(b"listening on [::]:7000\r\n", "stderr")
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()
        return 0

    # Windows' own

    async def _sc(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        verb, name = words[0], words[1].lower()
        if name not in self.services:
            return 1060
        if verb != "query" and not self._is("windows.services"):
            self.services[name] = {"start": "4", "stop": "1"}[verb]
        state = self.services[name]
        if self._is("windows.agent-service") and name == "linwin-agent":
            state = "1"
        if self._is("windows.drivers") and name == "netkvm":
            state = "1"
        return await self._say(
            process, f"SERVICE_NAME: {name}\n        STATE              : {state}  WHATEVER"
        )

    async def _pnputil(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        broken = "Instance ID: PCI\\VEN_1AF4&DEV_1041\\3" if self._is("windows.devices") else "No devices."
        return await self._say(process, broken)

    async def _driverquery(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        await self._trouble("driverquery")
        return await self._say(process, "viostor password=hunter2")

    async def _cscript(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        state = "Notification" if self._is("windows.activation") else "Initial grace period"
        key = "Partial Product Key: ABCDE"
        expiry = "Timebased activation expiration: 259187 minute(s) (180 day(s))"
        return await self._say(process, f"Name: Windows(R)\n{key}\nLicense Status: {state}\n{expiry}")

    async def _systeminfo(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        return await self._say(
            process, f"Total Physical Memory:     {MEMORY // 2 if self._is('guest.memory') else MEMORY} MB"
        )

    async def _powershell(self, process: FakeProcess, guest: FakeGuest, words: list[str]) -> int:
        return await self._say(process, str(uuid.UUID(int=1) if self._is("guest.clones") else uuid.uuid4()))

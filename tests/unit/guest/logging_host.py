"""What a daemon does with a program's output, as a process that can be killed: log, then acknowledge."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from linwin.guest import AgentGuests
from linwin.model.guest import ProcessSpec
from linwin.state.log import JsonFileLog
from tests.unit.guest.conftest import FakeMachine


async def main(socket: Path, path: Path, argv: tuple[str, ...]) -> int:
    log = JsonFileLog(path)
    logged = await log.begin(1)
    guest = await AgentGuests().connect(FakeMachine(socket), timeout=30)
    process = await guest.adopt("p", stdout=logged["stdout"], stderr=logged["stderr"])
    process = process or await guest.spawn("p", ProcessSpec(argv, cwd="/"))
    print("following", flush=True)
    async for chunk in process.output():
        await log.append(chunk.stream, chunk.data)
        print(".", end="", flush=True)  # the test counts these, and kills between log and acknowledgement too
        await process.acknowledge(chunk)
    code = await process.wait()
    await guest.close()
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), tuple(sys.argv[3:]))))

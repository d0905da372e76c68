"""Checks of networks. Nothing but this verification's own network is asked for anything."""

from __future__ import annotations

import asyncio
import secrets

from linwin.engine.verify.bench import Bench
from linwin.engine.verify.box import Box
from linwin.engine.verify.boxes import PORT, hostname
from linwin.engine.verify.check import Failed, Unchecked, expect_in
from linwin.model.network import Attachment

LISTENER, MODIFIED = "linwin-listener.exe", 1_577_934_245
WINDOWS_AGENT = "C:\\Program Files\\linwin\\linwin-agent.exe"
"""Where a Windows guest has it: docs/windows.md."""
LOOKS, LOOK_AGAIN = 24, 5.0
"""How often, and how many seconds apart, Windows is asked whether its NIC has its address yet."""
GREETING_LIMIT = 30.0
"""Seconds with KVM in which who listens at a port answers."""
PIECE, MOST_SAID = 1 << 16, 1 << 20
"""Bytes: an agent says a run of 64 KiB first, see protocol/README.md."""


async def address(bench: Bench, box: Box) -> str:
    """Windows finds its NIC when it is up, and asks for an address by DHCP: nothing tells when it has it."""
    wanted = (await _attachment(box)).ipv4
    told = (await box.run("ipconfig")).text
    for _ in range(0 if bench.is_wine else LOOKS):
        if wanted in told:
            break
        await bench.engine.timing.elapsed(LOOK_AGAIN, asyncio.Event())
        told = (await box.run("ipconfig")).text
    expect_in(wanted, told, "adapters")
    return wanted


async def gateway(bench: Bench, box: Box) -> str:
    await _ready(bench, box)
    known = await bench.engine.networks.all()
    attachment = await _attachment(box)
    (network,) = [network for network in known if network.id == attachment.network_id]
    target = network.subnets[0].gateway
    await _check_answers(box, target)
    return target


async def names(bench: Bench, box: Box, other: Box) -> str:
    """ping says the address of a name, whether or not it is answered."""
    await _ready(bench, box)
    wanted = (await _attachment(other)).ipv4
    ran = await box.run("ping", "-n", "1", hostname("web"))
    expect_in(wanted, ran.text, f"a ping of {hostname('web')}")
    return f"{hostname('web')} is {wanted}"


async def neighbour(bench: Bench, box: Box, other: Box) -> str:
    if not bench.is_wine:
        raise Unchecked("Windows' firewall lets no ping in by default")
    target = (await _attachment(other)).ipv4
    await _check_answers(box, target)
    return f"{target} answers"


async def _ready(bench: Bench, box: Box) -> None:
    """Wait for the address of a Windows guest; a wine guest has its own before its first program runs."""
    if not bench.is_wine:
        await address(bench, box)


async def _check_answers(box: Box, target: str) -> None:
    """Only an answer has a TTL, in whatever language ping speaks."""
    ran = await box.run("ping", "-n", "1", target)
    if ran.code or "TTL=" not in ran.text:
        raise Failed(f"an answer of {target}", ran.text)


async def published(bench: Bench, box: Box) -> str:
    """A program that listens: the Windows build of the agent, which is at hand and answers a hello."""
    await _ready(bench, box)
    program = await _listener(bench, box)
    (port,) = [port.host_port for port in (await _attachment(box)).ports]
    async with box.dialogue(program, "-listen", f"0.0.0.0:{PORT}") as listener:
        await listener.until(b"listening on")
        await _check_greeted(bench, port)
    return f"a program that listens in the guest was reached at port {port} of the host"


async def _listener(bench: Bench, box: Box) -> str:
    """Where the guest has the program; a wine guest is given it."""
    if not bench.is_wine:
        return WINDOWS_AGENT
    program = await bench.engine.rooms.templates.agent("windows")
    await box.put("C:\\", LISTENER, await asyncio.to_thread(program.read_bytes), MODIFIED)
    return f"C:\\{LISTENER}"


async def _check_greeted(bench: Bench, port: int) -> None:
    """Say hello at a port of the host, in the time that is given for it."""
    try:
        async with asyncio.timeout(GREETING_LIMIT * bench.patience):
            await _greet(bench, port)
    except TimeoutError as error:
        why = "nobody" if bench.is_wine else "nobody; a rule of Windows' firewall may be in the way"
        raise Failed(f"somebody who answers at port {port} of the host", why) from error


async def _greet(bench: Bench, port: int) -> None:
    """Whoever answers has to repeat a name of ours."""
    name = secrets.token_hex(8)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        raise Failed(f"somebody who listens at port {port} of the host", str(error.strerror)) from error
    said = b""
    try:
        writer.write(bench.engine.rooms.guest.opening(name))
        while name.encode() not in said and len(said) < MOST_SAID and (piece := await reader.read(PIECE)):
            said += piece
    except ConnectionError as error:
        raise Failed(f"an answer at port {port} of the host", str(error.strerror)) from error
    finally:
        writer.close()
    if name.encode() not in said:
        raise Failed(f"an answer at port {port} of the host that repeats {name}", repr(said[-100:]))


async def _attachment(box: Box) -> Attachment:
    (attachment,) = (await box.container()).attachments
    return attachment

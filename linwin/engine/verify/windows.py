"""Checks of what is Windows' own: services, drivers, activation. Of a wine guest most cannot be asked."""

from __future__ import annotations

import re

from linwin.engine.verify.bench import Bench
from linwin.engine.verify.box import Box, Ran
from linwin.engine.verify.check import Failed, Unchecked, expect
from linwin.errors import CommandNotFound

AGENT = "linwin-agent"
"""The service that is the agent, in a Windows guest: docs/windows-agent.md."""
SERVICE = {"wine": "PlugPlay", "windows": "W32Time"}
"""A service that is there, starts when it is asked for, and is no loss meanwhile."""
RUNNING, STOPPED = "4", "1"
"""States of a service (Microsoft, SERVICE_STATUS); their names sc translates nowhere, and we need neither."""
ASKED = 50
"""How often a service is asked for its state, which tells nobody when it changes."""
NO_SERVICE = 1060
"""Windows' ERROR_SERVICE_DOES_NOT_EXIST."""
DRIVERS = (("viostor", "vioscsi"), ("VirtioSerial",), ("netkvm",), ("VirtRng",), ("BALLOON",))
"""Services of virtio-win's drivers, of each set one: disk, serial port, network, random numbers, memory."""
SLMGR = "C:\\Windows\\System32\\slmgr.vbs"
RIGHT_STATES = ("Licensed", "Initial grace period", "Additional grace period")
NO_WINDOWS = "a wine guest runs no Windows"


async def agent_service(bench: Bench, box: Box) -> str:
    if bench.is_wine:
        raise Unchecked("the agent of a wine guest is its first process, and no service")
    await _check_state(box, AGENT, RUNNING)
    return f"{AGENT} runs"


async def service_control(bench: Bench, box: Box) -> str:
    name = SERVICE[bench.template.kind]
    queried = await box.run("sc", "query", name)
    if queried.code == NO_SERVICE:
        raise Unchecked(f"there is no service {name} to start and stop")
    if _state(queried) == RUNNING:
        await _control(box, "stop", name, STOPPED)
    await _control(box, "start", name, RUNNING)
    await _control(box, "stop", name, STOPPED)
    return f"{name} was started and stopped"


async def _control(box: Box, verb: str, name: str, state: str) -> None:
    ran = await box.run("sc", verb, name)
    expect(0, ran.code, f"the exit code of sc {verb} {name}")
    for _ in range(ASKED - 1):
        if _state(await box.run("sc", "query", name)) == state:
            return
    await _check_state(box, name, state)


async def _check_state(box: Box, name: str, state: str) -> None:
    ran = await box.run("sc", "query", name)
    if ran.code or _state(ran) != state:
        raise Failed(f"the service {name} in state {state} (SERVICE_STATUS)", ran.text)


def _state(ran: Ran) -> str:
    """The number behind STATE; the second line with a colon and a number of one digit, in any language."""
    found = re.search(r"^\s*STATE\s*:\s*(\d)", ran.text, re.MULTILINE)
    return found[1] if found else ""


async def drivers(bench: Bench, box: Box) -> str:
    if bench.is_wine:
        raise Unchecked(f"{NO_WINDOWS}: its drivers are those of the Linux kernel in the template")
    running, missing = [], []
    for names in DRIVERS:
        states = {name: _state(await box.run("sc", "query", name)) for name in names}
        here = [name for name, state in states.items() if state == RUNNING]
        running += here
        missing += [] if here else [" or ".join(names)]
    if missing:
        raise Failed("a driver that runs for each virtio device", f"none of {', '.join(missing)}")
    return ", ".join(running)


async def devices(bench: Bench, box: Box) -> str:
    """pnputil lists devices with a problem code from Windows 10 1903 on."""
    if bench.is_wine:
        raise Unchecked(f"{NO_WINDOWS}: it has no Plug and Play whose problems could be listed")
    try:
        ran = await box.run("pnputil", "/enum-devices", "/problem")
    except CommandNotFound as error:
        raise Unchecked("this Windows has no pnputil") from error
    if ran.code:
        raise Unchecked(f"this Windows' pnputil cannot list devices: {ran.text.splitlines()[-1:]}")
    if ids := re.findall(r"PCI\\VEN_1AF4\S*", ran.text, re.IGNORECASE):
        raise Failed("no virtio device with a problem", ", ".join(ids))
    return "no virtio device has a problem"


async def activation(bench: Bench, box: Box) -> str:
    """Of what slmgr says, the state and the end of an evaluation; keys it says too are left out."""
    if bench.is_wine:
        raise Unchecked(f"{NO_WINDOWS}, and Wine has no activation")
    try:
        ran = await box.run("cscript", "//nologo", SLMGR, "/dli")
    except CommandNotFound as error:
        raise Unchecked("this Windows has no cscript, which slmgr needs") from error
    found = re.search(r"License Status: (.*)", ran.text)
    if found is None:
        raise Unchecked("slmgr does not say the state of the licence in words that are known here")
    if not found[1].strip().startswith(RIGHT_STATES):
        raise Failed(f"a licence that is {' or '.join(RIGHT_STATES)}", found[1].strip())
    expiry = re.search(r"expiration: (.*)", ran.text)
    return found[1].strip() + (f", expires in {expiry[1].strip()}" if expiry else "")

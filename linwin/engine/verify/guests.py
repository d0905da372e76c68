"""Checks of what a guest takes itself for: its memory, its time zone, and that it is no other guest."""

from __future__ import annotations

import re

from linwin.engine.verify.bench import Bench
from linwin.engine.verify.box import Box
from linwin.engine.verify.boxes import hostname
from linwin.engine.verify.check import Failed, Unchecked, expect
from linwin.errors import CommandNotFound

LEAST_SEEN = 0.75
"""Of a guest's memory, the part that its kernel does not keep for itself at its start."""
MEMINFO, RANDOM = "\\\\?\\unix\\proc\\meminfo", "\\\\?\\unix\\proc\\sys\\kernel\\random\\uuid"
"""Files of the Linux that a wine guest runs on, as Wine names them."""
ZONE_KEY = "HKLM\\System\\CurrentControlSet\\Control\\TimeZoneInformation"
UTC = ("UTC", "(UTC)")
"""What Windows calls it, and the wine template."""
GUID = "[guid]::NewGuid().ToString()"


async def memory(bench: Bench, box: Box) -> str:
    seen, given = await _memory(bench, box), bench.place.memory
    if not LEAST_SEEN * given <= seen <= given:
        raise Failed(f"at most {given} MiB and not much less", f"{seen} MiB")
    return f"{seen} of {given} MiB"


async def _memory(bench: Bench, box: Box) -> int:
    """MiB that the guest says it has."""
    if bench.is_wine:
        found = re.search(r"MemTotal:\s+(\d+) kB", (await box.cmd(f"type {MEMINFO}")).text)
        unit = 1 << 10
    else:
        try:
            ran = await box.run("systeminfo")
        except CommandNotFound as error:
            raise Unchecked("this Windows has no systeminfo") from error
        found = re.search(r"Total Physical Memory:\s+([\d.,\s]+) MB", ran.text)
        unit = 1
    if found is None:
        raise Unchecked("the guest does not say how much memory it has in words that are known here")
    return int(re.sub(r"\D", "", found[1])) // unit


async def time_zone(bench: Bench, box: Box) -> str:
    ran = await box.run("reg", "query", ZONE_KEY, "/v", "TimeZoneKeyName")
    found = re.search(r"REG_SZ\s+([^\r\n]+)", ran.text)
    zone = found[1].strip() if found else ran.text
    if zone not in UTC:
        raise Failed("the time zone UTC, as all guests have it", zone)
    return zone


async def differ(bench: Bench, box: Box, twin: Box) -> str:
    """Two guests of one checkpoint, or of one disk, are two computers."""
    for name, one in (("box", box), ("twin", twin)):
        told = (await one.cmd("echo %COMPUTERNAME%")).text
        expect(hostname(name).upper(), told, f"COMPUTERNAME of {name}")
    mine, others = await _random(bench, box), await _random(bench, twin)
    if mine == others:
        raise Failed("two random numbers that differ", f"{mine} in both guests")
    return "names and random numbers differ"


async def _random(bench: Bench, box: Box) -> str:
    """A number that its guest has at random, and never twice."""
    if bench.is_wine:
        ran = await box.cmd(f"type {RANDOM}")
    else:
        try:
            ran = await box.run("powershell", "-NoProfile", "-Command", GUID)
        except CommandNotFound as error:
            raise Unchecked(
                "names differ; this Windows has no PowerShell to ask for random numbers"
            ) from error
    if not re.fullmatch(r"[0-9a-f-]{36}", ran.text.lower()):
        raise Failed("a random number", ran.text)
    return ran.text


async def stats(bench: Bench, box: Box) -> str:
    usage = await box.running().guest.stats()
    if usage.processors < 1:
        raise Failed("a guest with a processor", f"{usage.processors}")
    return f"{usage.processors} processors, {usage.commit >> 20} MiB in use"

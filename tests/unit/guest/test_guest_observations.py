"""What guests say of their processes: the vectors, the real agent on this host, and agents that lie."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import Unavailable
from linwin.guest import AgentGuest, agents
from linwin.guest.messages import Malformed
from linwin.guest.observations import parse_processes, parse_usage
from linwin.model.usage import ProcessInfo

from .conftest import ScriptedAgent, ScriptedMachine
from .test_guest_agent import shell, until

VECTORS = Path(__file__).parents[3] / "protocol" / "vectors" / "observations.json"


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text())["vectors"], ids=lambda v: str(v["name"]))
def test_vectors(vector: dict[str, Any]) -> None:
    ok = vector["ok"]
    if "malformed" in vector:
        with pytest.raises(Malformed) as caught:
            (parse_usage if vector["op"] == "stats" else parse_processes)(ok)
        assert str(caught.value) == vector["malformed"]
    elif vector["op"] == "processes":
        assert parse_processes(ok) == [
            ProcessInfo(one["pid"], one["name"], one["cpu_100ns"], one["private_bytes"])
            for one in ok["processes"]
        ]
    else:
        usage = parse_usage(ok)
        assert usage.cpu == ok["cpu_100ns"]
        assert dataclasses.asdict(usage.disk) == ok["disk"]
        assert {name: dataclasses.asdict(one) for name, one in usage.networks.items()} == ok["networks"]


def test_names_cannot_steer_a_terminal() -> None:
    answer = {"processes": [{"pid": 1, "name": "\x1b[2Ja\n", "cpu_100ns": 0, "private_bytes": 0}]}
    assert parse_processes(answer)[0].name == " [2Ja "


async def test_the_agent_lists_what_it_started(guest: AgentGuest) -> None:
    assert await guest.processes() == []
    script = "exec 3<&0; (echo up; exec cat <&3) & (echo up; exec cat <&3) & wait"
    process = await guest.spawn("p", shell(script, stdin=True))
    await until(process.output(), b"up\nup")
    found = await guest.processes()
    assert len(found) == 3
    assert all(one.pid > 1 and 0 < one.private < 1 << 30 for one in found)
    await process.signal("KILL")
    await process.wait()
    assert await guest.processes() == []


async def test_the_agent_counts_what_a_busy_program_takes(guest: AgentGuest) -> None:
    before = await guest.stats()
    busy = "i=0; echo up; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; read end"
    process = await guest.spawn("p", shell(busy, stdin=True))
    await until(process.output(), b"done")
    (shell_,) = await guest.processes()
    after = await guest.stats()
    assert shell_.cpu > 0
    assert after.cpu - before.cpu >= shell_.cpu, "the machine's time holds the program's"
    assert after.private > before.private == 0
    assert after.processors >= 1
    assert 0 < after.commit <= after.commit_peak
    await process.signal("KILL")
    await process.wait()


async def observed(scripted: ScriptedMachine) -> tuple[AgentGuest, ScriptedAgent]:
    """A session with an agent that says it can tell."""
    return await scripted.connect(capabilities=("processes", "stats"))


@pytest.mark.parametrize("ok", [{}, {"processes": "x"}, {"processes": [{}] * 5000}])
async def test_nonsense_fails_the_request_and_not_the_session(
    scripted: ScriptedMachine, ok: dict[str, Any]
) -> None:
    guest, agent = await observed(scripted)
    asking = asyncio.create_task(guest.processes())
    number, _ = await agent.request()
    agent.respond(number, {"ok": ok})
    with pytest.raises(Unavailable) as caught:
        await asking
    assert caught.value.message.startswith(
        "the guest's agent told nonsense of its processes: processes is no"
    )
    asking = asyncio.create_task(guest.processes())
    number, _ = await agent.request()
    agent.respond(number, {"ok": {"processes": []}})
    assert await asking == []
    await guest.close()


async def test_an_agent_that_stalls_fails_the_request_only(
    scripted: ScriptedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "OBSERVE_TIMEOUT", 0.05)
    guest, agent = await observed(scripted)
    with pytest.raises(Unavailable) as caught:
        await guest.stats()
    assert caught.value.message == "the guest did not answer stats within 0.05 s"
    number, _ = await agent.request()
    agent.respond(number, {"ok": {}})  # too late
    asking = asyncio.create_task(guest.processes())
    number, _ = await agent.request()
    agent.respond(number, {"error": {"kind": "unavailable", "message": "no"}})
    with pytest.raises(Unavailable, match=r"^no$"):
        await asking
    await guest.close()


async def test_an_older_agent_is_not_asked(scripted: ScriptedMachine) -> None:
    guest, _ = await scripted.connect()
    with pytest.raises(Unavailable) as caught:
        await guest.stats()
    assert caught.value.message == "the guest's agent is too old to tell its stats"
    assert caught.value.hint == "rebuild its template: linwin template build NAME"
    await guest.close()

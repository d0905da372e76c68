"""Images that no guest of the template can serve are told so by name, and their files are still of use."""

from __future__ import annotations

import json

from tests.scenario.fakes.images import archive
from tests.scenario.harness import IMAGE, Daemon, Docker, Finished
from tests.scenario.test_linwin_cli import Linwin, linwin

__all__ = ["linwin"]

IIS = "microsoft/iis"
SENTENCE = "IIS is not part of the wine template; use a windows template"
WARNING = f"image {IIS}: {SENTENCE}; its files can be used"
REFUSED = f'exec: "C:\\ServiceMonitor.exe": cannot run on the template wine: {SENTENCE}'


async def load_iis(docker: Docker) -> None:
    command = ("C:\\ServiceMonitor.exe", "w3svc")
    assert (await docker("load", stdin=archive(f"{IIS}:latest", cmd=command))).code == 0


async def test_its_own_command_is_refused(docker: Docker, linwin: Linwin, daemon: Daemon) -> None:
    await load_iis(docker)
    done = await linwin("run", "--rm", IIS)
    assert done == Finished(126, b"", f"linwin: warning: {WARNING}\nlinwin: {REFUSED}\n".encode())
    done = await docker("run", "--rm", IIS)
    assert (done.code, done.out) == (125, b"")
    assert done.err.startswith(f"WARNING: {WARNING}\n".encode())
    assert REFUSED.encode() in done.err
    assert await daemon.nothing_left()


async def test_the_refusal_stays_on_the_container(docker: Docker, daemon: Daemon) -> None:
    await load_iis(docker)
    await docker("run", "--name", "web", IIS)
    (shown,) = json.loads((await docker("inspect", "web")).out)
    state = shown["State"]
    assert (state["Status"], state["ExitCode"], state["Error"]) == ("created", 126, REFUSED)
    assert not daemon.fakes.machines.running


async def test_another_command_is_warned_of_and_runs(docker: Docker) -> None:
    await load_iis(docker)
    done = await docker("run", "--rm", IIS, "echo", "hi")
    assert done == Finished(0, b"hi\n", f"WARNING: {WARNING}\n".encode())


async def test_a_left_out_program_behind_cmd_is_warned_of(docker: Docker) -> None:
    left_out = b"WARNING: The wine template has no PowerShell; use a windows template.\n"
    done = await docker("create", IMAGE, "cmd", "/S", "/C", "powershell -Command Get-Date")
    assert (done.code, done.err) == (0, left_out)
    assert (await docker("create", IMAGE, "cmd", "/c", "echo powershell")).err == b""


async def test_the_template_lists_what_it_does_not_serve(linwin: Linwin, daemon: Daemon) -> None:
    (shown,) = json.loads((await linwin("template", "inspect", "wine")).out)
    assert shown["Unserved"] == {"IIS": SENTENCE}


async def test_the_guest_is_told_its_host_and_domain(docker: Docker, daemon: Daemon) -> None:
    words = ("--hostname", "web", "--domainname", "example.test")
    form = "{{.Config.Hostname}} {{.Config.Domainname}}"
    async with docker.started("run", "--name", "named", *words, IMAGE, "echo", "hi") as client:
        assert await client.wait() == 0
    assert (await docker("inspect", "named", "--format", form)).out == b"web example.test\n"
    assert [guest.prepared.hostname for guest in daemon.fakes.guests.all if guest.prepared] == [
        "web.example.test"
    ]


async def test_a_host_name_that_no_computer_can_have(docker: Docker, linwin: Linwin) -> None:
    for wrong in ("a b", "-a", "a..b", "x" * 64):
        done = await docker("create", "--hostname", wrong, IMAGE, "echo")
        assert f"invalid hostname format: {wrong}\n".encode() in done.err
        assert done.code != 0
    done = await linwin("create", "--domainname", "a_b/", IMAGE, "echo")
    assert done.err == (
        b"linwin: invalid domainname format: a_b/\n"
        b"Use letters, digits and dashes, in parts of at most 63 characters.\n"
    )
    done = await linwin("create", "--hostname", "a" * 60, "--domainname", "test", IMAGE, "echo")
    assert done.err.endswith(b"Host name and domain are at most 63 characters together.\n")

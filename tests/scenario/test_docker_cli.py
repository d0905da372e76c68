"""docker's own command line against the daemon: what its users see and what their scripts test."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import json
import os
import signal
from asyncio.subprocess import PIPE

import pytest

from tests.scenario.fakes.guest import Death
from tests.scenario.fakes.images import archive
from tests.scenario.fakes.programs import flood_bytes
from tests.scenario.harness import IMAGE, Daemon, Docker, Finished


async def test_version_shows_both_sides(docker: Docker) -> None:
    form = "{{.Client.APIVersion}} {{.Server.APIVersion}} {{.Server.Os}}"
    done = await docker("version", "--format", form)
    client, server = done.out.split(maxsplit=1)
    assert server == b"1.50 windows\n"
    assert tuple(map(int, client.split(b"."))) <= (1, 50), "the client did not negotiate"


async def test_info_says_what_guests_run_on(docker: Docker) -> None:
    done = await docker(
        "info", "--format", "{{.OSType}} {{.Swarm.LocalNodeState}} {{.DriverStatus}} {{.Warnings}}"
    )
    assert done.code == 0
    assert done.out == (
        b"windows inactive [[Accelerator tcg] [Hypervisor QEMU 7.2.22] [Templates wine]] "
        b"[No hardware virtualisation: guests run under QEMU's software emulation (TCG), many times slower]\n"
    )


async def test_run_prints_and_removes(docker: Docker, daemon: Daemon) -> None:
    assert await docker("run", "--rm", IMAGE, "cmd", "/c", "echo hi") == Finished(0, b"hi\n", b"")
    assert await daemon.nothing_left()


@pytest.mark.parametrize("version", ["1.30", "1.41", "1.43"])
async def test_run_with_an_older_api(docker: Docker, daemon: Daemon, version: str) -> None:
    older = dataclasses.replace(docker, api_version=version)
    assert await older("run", "--rm", IMAGE, "complain") == Finished(3, b"to stdout\n", b"to stderr\n")
    assert await older("run", "-i", "--rm", IMAGE, "sort", stdin=b"b\na\n") == Finished(0, b"a\nb\n", b"")


async def test_run_without_a_command_runs_the_images(docker: Docker) -> None:
    assert await docker("run", "--rm", IMAGE) == Finished(0, b"hello from nanoserver\n", b"")


async def test_run_keeps_stdout_and_stderr_apart_and_returns_the_exit_code(docker: Docker) -> None:
    assert await docker("run", "--rm", IMAGE, "complain") == Finished(3, b"to stdout\n", b"to stderr\n")


@pytest.mark.parametrize("code", [0, 1, 42, 255])
async def test_run_returns_the_exit_code(docker: Docker, code: int) -> None:
    assert (await docker("run", "--rm", IMAGE, "cmd", "/c", f"exit {code}")).code == code


async def test_run_passes_stdin_and_its_end(docker: Docker, daemon: Daemon) -> None:
    done = await docker("run", "-i", "--rm", IMAGE, "sort", stdin=b"b\na\n")
    assert done == Finished(0, b"a\nb\n", b"")
    assert await daemon.nothing_left()


async def test_run_without_i_gives_the_program_no_input(docker: Docker) -> None:
    assert await docker("run", "--rm", IMAGE, "cat", stdin=b"ignored\n") == Finished(0, b"", b"")


async def test_run_survives_input_that_nobody_reads(docker: Docker) -> None:
    done = await docker("run", "-i", "--rm", IMAGE, "complain", stdin=b"x" * 3_000_000)
    assert done == Finished(3, b"to stdout\n", b"to stderr\n")


async def test_large_input_comes_back_byte_exact(docker: Docker) -> None:
    data = flood_bytes(5_000_000)
    done = await docker("run", "-i", "--rm", IMAGE, "cat", stdin=data)
    assert (done.code, done.out == data, done.err) == (0, True, b"")


async def test_environment_of_image_and_user(docker: Docker) -> None:
    done = await docker("run", "--rm", "-e", "MINE=a b", IMAGE, "set")
    assert done == Finished(0, b"FROM_IMAGE=yes\nMINE=a b\n", b"")


async def test_entrypoint_replaces_the_images_command(docker: Docker) -> None:
    assert await docker("run", "--rm", "--entrypoint", "echo", IMAGE, "x") == Finished(0, b"x\n", b"")


async def test_missing_program_is_127_and_removed(docker: Docker, daemon: Daemon) -> None:
    done = await docker("run", "--rm", IMAGE, "nothing.exe")
    assert done.code == 127
    assert (
        b"nothing.exe: The system cannot find the file specified.\nCheck the path and the spelling.\n"
        in done.err
    )
    assert await daemon.nothing_left()


async def test_program_left_out_of_the_template_says_so(docker: Docker) -> None:
    done = await docker("run", "--rm", IMAGE, "powershell", "-c", "1")
    assert done.code == 127
    assert b"The wine template has no PowerShell; use a windows template." in done.err


async def test_program_that_cannot_run_is_126(docker: Docker) -> None:
    assert (await docker("run", "--rm", IMAGE, "denied")).code == 126


async def test_guest_that_never_says_hello_is_125_and_leaves_nothing(docker: Docker, daemon: Daemon) -> None:
    daemon.fakes.guests.silent = True
    done = await docker("run", "--rm", IMAGE, "echo", "hi")
    assert done.code == 125
    assert b"the guest's agent did not say hello within 300 s" in done.err
    assert await daemon.nothing_left()


async def test_guest_that_dies_ends_the_container(docker: Docker, daemon: Daemon) -> None:
    done = await docker("run", "--name", "doomed", IMAGE, "crash")
    assert (done.code, done.out) == (125, b"before the end\n")
    assert b"Error waiting for container: the container's machine ended " in done.err
    form = "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}"
    state = await docker("inspect", "doomed", "--format", form)
    assert state.out.startswith(b"exited 255 the container's machine ended ")


@pytest.mark.parametrize(
    ("death", "told"),
    [
        (Death("the guest closed the connection", -9), b"the container's machine ended by signal 9"),
        (Death("the guest's agent broke the protocol: it sang", None), b"the guest's agent broke the"),
    ],
)
async def test_guest_that_is_lost_while_it_starts_says_what_became_of_it(
    docker: Docker, daemon: Daemon, death: Death, told: bytes
) -> None:
    daemon.fakes.guests.deaths = [death, death]  # one that is restored, and one that boots in its place
    done = await docker("run", "--rm", IMAGE, "echo", "hi")
    assert done.code == 125
    assert b"Error response from daemon: " + told in done.err
    assert b"; last console lines: Kernel panic: this is a fake" in done.err
    assert await daemon.nothing_left()


async def test_unknown_image_names_the_image_and_the_way(docker: Docker, daemon: Daemon) -> None:
    done = await docker("run", "--rm", "no/such", "x")
    assert done.code == 125
    assert done.err.startswith(
        b"Unable to find image 'no/such:latest' locally\n"
        b"docker: Error response from daemon: pull access denied for no/such, repository does not exist or "
        b"may require 'docker login': denied: requested access to the resource is denied"
    )
    assert await daemon.nothing_left()


async def test_pull_of_a_base_image_is_up_to_date(docker: Docker) -> None:
    done = await docker("pull", IMAGE)
    assert done.code == 0
    assert b"Status: Image is up to date for microsoft/nanoserver:latest" in done.out


async def test_name_taken_is_a_conflict(docker: Docker) -> None:
    first = await docker("create", "--name", "taken", IMAGE)
    assert first.code == 0
    again = await docker("create", "--name", "taken", IMAGE)
    assert again.code == 1
    assert b'The container name "/taken" is already in use by container "' + first.out.strip() in again.err


async def test_detached_life(docker: Docker, daemon: Daemon) -> None:
    started = await docker("run", "-d", "--name", "long", "--label", "a=b", IMAGE, "hang")
    assert started.code == 0
    listed = await docker("ps", "--format", "{{.ID}} {{.Image}} {{.Command}} {{.State}} {{.Names}}")
    assert listed.out.decode() == f'{started.out.decode()[:12]} {IMAGE} "hang" running long\n'
    assert (await docker("start", "long")).code == 0  # a no-op
    async with docker.started("wait", "long") as waiting:
        assert waiting.stdout
        assert await docker("stop", "long") == Finished(0, b"long\n", b"")
        assert await waiting.stdout.read() == b"3221225786\n"
    assert (await docker("logs", "long")).out == b"hanging\ngot TERM\n"
    assert (await docker("ps", "-q")).out == b""
    assert (await docker("stop", "long")).code == 0  # a no-op
    status = await docker("ps", "-a", "--filter", "label=a", "--format", "{{.Status}}")
    assert status.out == b"Exited (3221225786) Less than a second ago\n"
    assert (await docker("rm", "long")).code == 0
    assert await daemon.nothing_left()


async def test_kill_and_forced_removal(docker: Docker, daemon: Daemon) -> None:
    await docker("run", "-d", "--name", "s1", IMAGE, "stubborn")
    assert await docker("kill", "s1") == Finished(0, b"s1\n", b"")
    again = await docker("kill", "s1")
    assert again.code == 1
    assert b"is not running" in again.err
    await docker("run", "-d", "--name", "s2", IMAGE, "stubborn")
    refused = await docker("rm", "s2")
    assert refused.code == 1
    assert b'cannot remove container "/s2": container is running' in refused.err
    assert (await docker("rm", "-f", "s1", "s2")).code == 0
    assert await daemon.nothing_left()


async def test_stop_forces_after_its_timeout(docker: Docker) -> None:
    await docker("run", "-d", "--name", "stubborn1", IMAGE, "stubborn")
    assert (await docker("stop", "-t", "0", "stubborn1")).code == 0
    assert (await docker("wait", "stubborn1")).out == b"137\n"


async def test_logs_select(docker: Docker) -> None:
    await docker("run", "--name", "six", IMAGE, "lines", "6")
    done = await docker("logs", "six")
    assert (done.out, done.err) == (b"line 0\nline 2\nline 4\n", b"line 1\nline 3\nline 5\n")
    assert (await docker("logs", "--tail", "2", "six")).out == b"line 4\n"
    stamped = await docker("logs", "-t", "--tail", "1", "six")
    stamp, _, text = stamped.err.partition(b" ")
    assert (len(stamp), stamp[-1:], text) == (30, b"Z", b"line 5\n")


async def test_logs_follow_to_the_end(docker: Docker) -> None:
    await docker("run", "-di", "--name", "followed", IMAGE, "hang")
    async with docker.started("logs", "-f", "followed") as following:
        assert following.stdout
        assert await following.stdout.readline() == b"hanging\n"
        await docker("stop", "followed")
        assert await following.stdout.read() == b"got TERM\n"
        assert await following.wait() == 0


async def test_attach_to_a_created_container(docker: Docker) -> None:
    await docker("create", "-i", "--name", "created", IMAGE, "cat")
    done = await docker("start", "-ai", "created", stdin=b"through\n")
    assert done == Finished(0, b"through\n", b"")


async def test_create_start_twice(docker: Docker, daemon: Daemon) -> None:
    await docker("create", "--name", "again", IMAGE, "echo", "one")
    for _ in range(2):
        assert await docker("start", "-a", "again") == Finished(0, b"one\n", b"")
    assert (await docker("logs", "again")).out == b"one\none\n"
    assert len(daemon.fakes.disks.overlays) == 1


async def test_fifty_megabytes_arrive_byte_exact(docker: Docker, daemon: Daemon) -> None:
    size = 50_000_000
    done = await docker("run", "--rm", IMAGE, "flood", str(size), timeout=120)
    assert (done.code, len(done.out), done.err) == (0, size, b"")
    assert done.out == flood_bytes(size)
    assert await daemon.nothing_left()


async def test_a_killed_client_leaves_nothing(docker: Docker, daemon: Daemon) -> None:
    before = asyncio.all_tasks()
    async with docker.started("run", "--rm", IMAGE, "flood", "20000000", "stderr") as client:
        assert client.stderr
        await client.stderr.readexactly(100_000)
        client.kill()
    await daemon.settled()
    assert await daemon.nothing_left()
    assert not asyncio.all_tasks() - before - daemon.idle_connections()


async def test_ctrl_c_reaches_the_program(docker: Docker) -> None:
    async with docker.started("run", "--rm", IMAGE, "hang") as client:
        assert client.stdout
        assert await client.stdout.readline() == b"hanging\n"
        os.kill(client.pid, signal.SIGINT)
        assert await client.stdout.read() == b"got INT\n"


async def test_a_templates_many_tags_are_listed_when_asked_for(docker: Docker) -> None:
    form = "{{.Repository}}:{{.Tag}}"
    listed = (await docker("images", "--format", form)).out.split()
    assert sorted(listed) == [b"mcr.microsoft.com/windows/nanoserver:latest", b"microsoft/nanoserver:latest"]
    asked = await docker("images", "--format", form, "mcr.microsoft.com/windows/nanoserver")
    assert b"mcr.microsoft.com/windows/nanoserver:ltsc2022" in asked.out.split()
    await docker("tag", "mcr.microsoft.com/windows/nanoserver:ltsc2022", "mine:1")
    assert b"mine:1" in (await docker("images", "--format", form)).out.split()


async def test_images_life(docker: Docker, daemon: Daemon) -> None:
    loaded = await docker("load", stdin=archive("team/app:1"))
    assert (loaded.code, loaded.err) == (0, b"")
    assert loaded.out.endswith(b"Loaded image: team/app:1\n")
    assert (await docker("run", "--rm", "team/app:1")).out == b"loaded\n"
    assert (await docker("tag", "team/app:1", "other:2")).code == 0
    listed = await docker("images", "--format", "{{.Repository}}:{{.Tag}}")
    assert sorted(listed.out.split()) == [
        b"mcr.microsoft.com/windows/nanoserver:latest",
        b"microsoft/nanoserver:latest",
        b"other:2",
        b"team/app:1",
    ]
    assert (await docker("images", "-q", "team/app")).out.strip()
    assert (await docker("images", "-q", "nothing")).out == b""
    inspected = json.loads((await docker("inspect", "team/app:1")).out)[0]
    assert (inspected["Os"], inspected["Config"]["Cmd"]) == ("windows", ["echo", "loaded"])
    assert (await docker("history", "-q", "team/app:1")).code == 0
    assert (await docker("rmi", "other:2")).out == b"Untagged: other:2\n"
    gone = await docker("rmi", "team/app:1")
    assert gone.out.startswith(b"Untagged: team/app:1\nDeleted: sha256:")
    assert b"No such image: team/app:1" in (await docker("inspect", "--type", "image", "team/app:1")).err
    assert await daemon.nothing_left()


async def test_bad_archives_leave_nothing(docker: Docker, daemon: Daemon) -> None:
    done = await docker("load", stdin=b"this is no archive")
    assert (done.code, done.err) == (
        1,
        b"Error response from daemon: the archive is not a tar archive\nWrite one with docker save.\n",
    )
    done = await docker("load", stdin=archive("a/b:1", fail_after=2))
    assert (done.code, done.err) == (
        1,
        b"Error response from daemon: the archive ends in the middle of layer 1\n"
        b"Copy or download the archive again.\n",
    )
    assert await daemon.nothing_left()
    assert len(daemon.fakes.images.stored) == 1


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (["-v", "/tmp:C:\\x:shared"], b"invalid mode: shared"),
        (["--mount", "type=image,src=x,dst=C:\\x"], b"linwin does not support images as mounts (image)"),
        (["--isolation", "process"], b"linwin does not support the isolation process (Isolation)"),
        (["--network", "host"], b"linwin does not support the network mode host"),
        (["--memory", "100m"], b"100 MiB of memory are too few for the template wine"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(
    docker: Docker, daemon: Daemon, option: list[str], complaint: bytes
) -> None:
    done = await docker("run", *option, IMAGE, "echo", "hi")
    assert done.code == 125
    assert complaint in done.err
    assert await daemon.nothing_left()


async def test_harmless_options_are_ignored_with_a_warning(docker: Docker) -> None:
    done = await docker("run", "--rm", "--cpu-shares", "512", "--memory", "512m", IMAGE, "echo", "hi")
    assert (done.code, done.out) == (0, b"hi\n")
    assert b"CpuShares has no meaning for a Windows container and is ignored" in done.err


async def test_stop_options_are_kept(docker: Docker) -> None:
    await docker(
        "create", "--name", "options", "--memory", "1g", "--cpus", "1.5", "--stop-timeout", "7", IMAGE
    )
    form = "{{with .HostConfig}}{{.Memory}} {{.CpuCount}} {{.LogConfig.Type}}{{end}} {{.Config.StopTimeout}}"
    assert (await docker("inspect", "options", "--format", form)).out == b"1073741824 2 json-file 7\n"


async def test_attach_to_a_running_container(docker: Docker) -> None:
    await docker("run", "-di", "--name", "runs", IMAGE, "cat")
    async with docker.started("attach", "runs", stdin=PIPE) as client:
        assert client.stdin
        assert client.stdout
        client.stdin.write(b"hello\n")
        assert await client.stdout.readline() == b"hello\n"
        assert (await docker("kill", "runs")).code == 0
        assert await client.stdout.read() == b""
        client.stdin.close()
        assert await client.wait() == 137


async def test_inspect_shows_the_whole_command(docker: Docker) -> None:
    await docker("create", "--name", "images", IMAGE)
    await docker("create", "--name", "mine", "--entrypoint", "echo", IMAGE, "a b")
    form = "{{json .Path}} {{json .Args}} {{json .Config.Entrypoint}} {{json .Config.Cmd}}"
    assert (await docker("inspect", "images", "--format", form)).out == (
        b'"echo" ["hello from nanoserver"] null ["echo","hello from nanoserver"]\n'
    )
    assert (await docker("inspect", "mine", "--format", form)).out == (b'"echo" ["a b"] ["echo"] ["a b"]\n')


async def test_a_full_disk_ends_the_upload(
    docker: Docker, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("linwin.api.archives._write_all", full)
    done = await docker("load", stdin=b"x" * 5_000_000)
    assert (done.code, done.err) == (
        1,
        b"Error response from daemon: cannot store the uploaded archive: No space left on device\n"
        b"Free some space under LINWIN_ROOT and try again.\n",
    )
    assert await daemon.nothing_left()

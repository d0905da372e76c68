"""daemon start, stop, status and run, and commands that start the daemon, with a stand-in for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linwin import config
from linwin.cli.daemon_process import running_pid, stop_daemon
from linwin.config import Configuration, DaemonLog, MetricsPlan, override
from linwin.model.log_config import LogConfig
from linwin.paths import Paths

HERE = Path(__file__).parent
TIMEOUT = 30
LAUNCHER = """
import sys
from linwin.cli import daemon_process
from linwin.cli.main import main
daemon_process.ENTRY_POINT = (sys.executable, {stand_in!r})
sys.exit(main())
"""
EMPTY_PS = "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES     TEMPLATE\n"

Launch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def paths(place: Path) -> Iterator[Paths]:
    """The paths of this test's daemon, which is gone and reaped when the test is over."""
    before = children()
    paths = Paths.from_environment()
    yield paths
    stop_daemon(paths)
    for pid in children() - before:
        os.waitpid(pid, 0)


def children() -> set[int]:
    return {
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    }


@pytest.fixture
def launch(paths: Paths) -> Launch:
    """Start a CLI process whose daemon is the stand-in."""

    def start(*arguments: str, pass_fds: tuple[int, ...] = (), **environment: str) -> subprocess.Popen[str]:
        script = LAUNCHER.format(stand_in=str(HERE / "stand_in_daemon.py"))
        return subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=pass_fds,
        )

    return start


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the process *and* for the end of its pipes, which a careless daemon would keep open."""
    out, err = process.communicate(timeout=TIMEOUT)
    return process.returncode, out, err


def test_start_status_stop(launch: Launch, paths: Paths) -> None:
    where = f"socket: unix://{paths.socket}\nroot:   {paths.root}\nlog:    {paths.daemon_log}\n"
    assert finish(launch("daemon", "status")) == (1, f"pid:    none, it does not run\n{where}", "")
    assert finish(launch("daemon", "start")) == (0, "", "")
    pid = running_pid(paths)
    assert pid is not None
    assert os.getsid(pid) != os.getsid(0)
    assert paths.root.stat().st_mode & 0o777 == 0o711
    assert finish(launch("daemon", "status")) == (0, f"pid:    {pid}\n{where}", "")
    assert finish(launch("daemon", "start")) == (0, "", "")
    assert running_pid(paths) == pid
    assert finish(launch("daemon", "stop")) == (0, "", "")
    assert running_pid(paths) is None
    assert paths.daemon_log.read_text() == "stand-in starts\nstand-in stops\n"
    assert finish(launch("daemon", "stop")) == (0, "", f"linwin: no daemon runs in {paths.root}\n")


def test_stop_can_take_the_networks_off_the_host(launch: Launch, paths: Paths) -> None:
    assert finish(launch("daemon", "start")) == (0, "", "")
    assert finish(launch("daemon", "stop")) == (0, "", "")
    assert not (paths.root / "purged").exists()
    not_running = f"linwin: no daemon runs in {paths.root}\n"
    assert finish(launch("daemon", "stop", "--purge-network")) == (0, "", not_running)
    assert (paths.root / "purged").exists()
    assert finish(launch("daemon", "stop", "--purge-network", STAND_IN="refuse")) == (
        1,
        "",
        f"{not_running}linwin: the networks were not removed: nft is not there\nInstall nftables.\n",
    )


def test_there_is_nothing_to_purge_where_there_is_no_root(launch: Launch, paths: Paths) -> None:
    code, out, err = finish(launch("daemon", "stop", "--purge-network"))
    assert (code, out) == (0, "")
    assert err.endswith(f"\nlinwin: there is no {paths.root}: no networks were removed\n")
    assert not paths.root.exists()


def test_commands_start_one_daemon_between_them(launch: Launch, paths: Paths) -> None:
    processes = [launch("ps") for _ in range(4)]
    assert [finish(process) for process in processes] == [(0, EMPTY_PS, "")] * 4
    assert paths.daemon_log.read_text() == "stand-in starts\n"


def test_a_command_starts_the_daemon_over_a_stale_socket(launch: Launch, paths: Paths) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(paths.socket))
    assert finish(launch("ps")) == (0, EMPTY_PS, "")


def test_a_daemon_that_refuses_to_start(launch: Launch, paths: Paths) -> None:
    assert finish(launch("ps", STAND_IN="refuse")) == (
        1,
        "",
        "linwin: the daemon did not start: the database is from a newer linwin\n"
        f"its log, {paths.daemon_log}, ends:\nstand-in starts\nit will not do\n",
    )


def test_a_daemon_that_dies_at_once_shows_only_this_starts_log(launch: Launch, paths: Paths) -> None:
    paths.root.mkdir()
    paths.daemon_log.write_text("an older story\n")
    assert finish(launch("run", "x", STAND_IN="die")) == (
        125,
        "",
        "linwin: the daemon did not start: it ended before it was ready\n"
        f"its log, {paths.daemon_log}, ends:\nstand-in starts\nTraceback: everything is broken\n",
    )


def test_a_daemon_that_listens_elsewhere_is_not_started_again(launch: Launch, paths: Paths) -> None:
    assert finish(launch("daemon", "start", STAND_IN="deaf"))[0] == 0
    pid = running_pid(paths)
    assert finish(launch("ps")) == (
        1,
        "",
        f"linwin: the daemon of {paths.root} (pid {pid}) does not answer at unix://{paths.socket}\n"
        f"it may be starting, stopping, or listening elsewhere: see LINWIN_HOST and {paths.daemon_log}\n",
    )


def test_a_stale_pid_file_means_nothing(launch: Launch, paths: Paths) -> None:
    paths.root.mkdir()
    paths.daemon_pid.write_text(f"{os.getpid()}\n")
    paths.daemon_lock.touch()
    assert running_pid(paths) is None
    assert finish(launch("daemon", "stop"))[2] == f"linwin: no daemon runs in {paths.root}\n"
    paths.daemon_pid.write_text("nonsense")
    assert running_pid(paths) is None


def test_run_becomes_the_daemon(launch: Launch, paths: Paths) -> None:
    reader, writer = os.pipe()
    with open(reader) as ready:
        process = launch("daemon", "run", LINWIN_READY_FD=str(writer), pass_fds=(writer,))
        os.close(writer)
        assert ready.read() == "ready\n"
    assert running_pid(paths) == process.pid
    assert stop_daemon(paths) == process.pid
    assert finish(process) == (0, "stand-in starts\nstand-in stops\n", "")


def test_a_root_that_cannot_be_made(launch: Launch, paths: Paths) -> None:
    assert finish(launch("ps", LINWIN_ROOT="/proc/nowhere")) == (
        1,
        "",
        "linwin: cannot use /proc/nowhere: No such file or directory\n"
        "run as root, or set LINWIN_ROOT and LINWIN_HOST to places of your own\n",
    )


def test_a_daemon_elsewhere_is_never_started(launch: Launch, paths: Paths) -> None:
    code, out, err = finish(launch("ps", LINWIN_HOST="tcp://127.0.0.1:1"))
    assert (code, out) == (1, "")
    assert err.startswith("linwin: Cannot connect to the linwin daemon at tcp://127.0.0.1:1.")
    assert finish(launch("daemon", "start", LINWIN_HOST="tcp://127.0.0.1:1")) == (
        1,
        "",
        "linwin: no daemon can be started at tcp://127.0.0.1:1\nset LINWIN_HOST to unix:///PATH\n",
    )
    assert not paths.root.exists()


def test_the_default_log_of_containers_reaches_the_daemon(
    monkeypatch: pytest.MonkeyPatch, linwin: Callable[..., object]
) -> None:
    monkeypatch.setenv("LINWIN_LOG_DRIVER", "")
    monkeypatch.setenv("LINWIN_LOG_OPTS", "")
    assert override(Configuration(), os.environ).logs == LogConfig("json-file")
    monkeypatch.setattr(os, "execv", lambda *_: None)
    linwin("daemon", "run", "--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "max-file=2")
    above = override(Configuration(), os.environ)
    assert above.logs == LogConfig("local", {"max-size": "1m", "max-file": "2"})


def test_options_about_the_daemon_itself_reach_it(
    monkeypatch: pytest.MonkeyPatch, linwin: Callable[..., object]
) -> None:
    for variable in config.VARIABLES:
        monkeypatch.setenv(variable, "")
    monkeypatch.setattr(os, "execv", lambda *_: None)
    linwin("daemon", "run", "--log-level", "error", "--log-format", "json", "--metrics-addr", "127.0.0.1:1")
    above = override(Configuration(), os.environ)
    assert (above.log, above.metrics) == (DaemonLog("error", "json"), MetricsPlan("127.0.0.1:1"))

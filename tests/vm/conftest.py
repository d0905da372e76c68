"""One daemon, with a root of its own, for all tests that boot real guests."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.unit.images.archive_writer import Sample, layer_tar, write

BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).parents[2]
NANOSERVER = "microsoft/nanoserver"
GUEST_TIMEOUT = 420
"""Seconds one container may take from start to end under software emulation on a busy machine."""


PATIENCE = 120.0
"""Seconds for what takes some, on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/vm/" in item.nodeid:
            item.add_marker(pytest.mark.vm)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.root)


class Linwin:
    """The linwin command, bound to one root and socket; ``inside`` are words that go before it."""

    def __init__(self, root: Path, inside: tuple[str, ...] = ()) -> None:
        self.root = root
        self.words = (*inside, "linwin")
        self.socket = root / "linwin.sock"
        self.frozen: list[Path] = []
        self.environment = {
            **os.environ,
            "LINWIN_ROOT": str(root),
            "LINWIN_HOST": f"unix://{self.socket}",
            "DOCKER_HOST": f"unix://{self.socket}",
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }

    def __call__(
        self, *words: str, input: bytes = b"", code: int = 0, timeout: float = GUEST_TIMEOUT
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command, insist on its exit code, return what it printed."""
        done = subprocess.run(
            [*self.words, *words], input=input, capture_output=True, timeout=timeout, env=self.environment
        )
        assert done.returncode == code, f"exit {done.returncode}: {done.stderr.decode(errors='replace')}"
        return done

    def text(self, *words: str, **options: Any) -> str:
        """What a command printed on stdout, with Windows' line ends folded."""
        return self(*words, **options).stdout.decode().replace("\r\n", "\n")

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self.words, *words], env=self.environment, **options)

    def inspect(self, reference: str) -> dict[str, Any]:
        (shown,) = json.loads(self("inspect", reference).stdout)
        assert isinstance(shown, dict)
        return shown

    def containers(self) -> list[str]:
        return self.text("ps", "-aq", "--no-trunc").split()

    def folders(self) -> list[str]:
        return sorted(entry.name for entry in (self.root / "containers").iterdir())

    def kill_daemon(self) -> None:
        """Kill it, and return when it is gone: its socket takes clients for a moment longer."""
        kill(int((self.root / "daemon.pid").read_text()))

    def guests(self) -> dict[int, str]:
        """The QEMU processes of containers; one that is made into a checkpoint belongs to none."""
        maker = re.compile(r"guest=linwin-(\w{8}-)?checkpoint,")
        return {pid: line for pid, line in self.qemus().items() if not maker.search(line)}

    def qemus(self) -> dict[int, str]:
        """The QEMU processes of this root, by pid."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it ended while we looked
                if "qemu-system" in line.partition(" ")[0] and str(self.root) in line:
                    found[int(entry.name)] = line
        return found


def kill(pid: int) -> None:
    """Kill a process of ours, and return when it has ended."""
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        select.select([descriptor], [], [])
    finally:
        os.close(descriptor)


def until(holds: Callable[[], bool], what: str) -> None:
    """Ask again until it holds, or fail with ``what``: nothing tells a test of what others do."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what


def owners(folder: Path) -> set[tuple[int, int]]:
    """User and group of all that is below a folder."""
    paths = (Path(base) / name for base, folders, files in os.walk(folder) for name in folders + files)
    return {(path.stat().st_uid, path.stat().st_gid) for path in paths}


@contextmanager
def root_folder() -> Iterator[Path]:
    """A root that machines, running as users of their own, can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="linwin-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[None]:
    """Mount an empty file system of the given size over a folder."""
    options = f"size={megabytes}m,mode=711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def daemon(
    megabytes: int | None = None,
    *,
    like: Linwin | None = None,
    inside: tuple[str, ...] = (),
    settings: Path | None = None,
) -> Iterator[Linwin]:
    """A root with the wine template and a running daemon, stopped and deleted afterwards.

    ``megabytes`` gives the root a disk of its own. It gets a copy of the checkpoint that ``like``
    began with, so that no guest has to be booted and frozen for it. ``inside`` is as for Linwin.
    ``settings`` is its configuration file.
    """
    with root_folder() as root, disk(root, megabytes) if megabytes else nullcontext():
        linwin = Linwin(root, inside)
        if settings:
            linwin.environment["LINWIN_CONFIG"] = str(settings)
        for kept in like.frozen if like else ():
            shutil.copytree(kept, root / "checkpoints" / kept.name)
        try:
            linwin("template", "build", "wine", timeout=1800)  # which starts the daemon
            linwin.frozen = list((root / "checkpoints").glob("?" * 64))
            yield linwin
        finally:
            linwin("daemon", "stop", "--purge-network")
        assert linwin.qemus() == {}


@pytest.fixture(scope="session")
def shared_daemon() -> Iterator[Linwin]:
    with daemon() as linwin:
        yield linwin


@pytest.fixture
def linwin(shared_daemon: Linwin) -> Iterator[Linwin]:
    """The shared daemon; what a test leaves in it fails that test."""
    yield shared_daemon
    left = shared_daemon.containers()
    if left:
        shared_daemon("rm", "-f", *left)
    assert left == []
    assert shared_daemon.folders() == []
    assert shared_daemon.guests() == {}


@pytest.fixture
def own_daemon(shared_daemon: Linwin) -> Iterator[Linwin]:
    """A daemon for one test alone, to be killed and restarted at will."""
    with daemon(like=shared_daemon) as linwin:
        yield linwin


@pytest.fixture
def pooled(shared_daemon: Linwin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Linwin]:
    """A daemon that keeps one guest ready."""
    settings = tmp_path / "linwin.toml"
    settings.write_text("[pool]\nsize = 1\n")
    monkeypatch.setenv("LINWIN_CONFIG", str(settings))
    with daemon(like=shared_daemon) as linwin:
        yield linwin


def build_program(name: str, folder: Path) -> Path:
    """Compile one of ``tests/vm/programs`` for Windows."""
    built = folder / f"{name}.exe"
    source = Path(__file__).parent / "programs" / f"{name}.c"
    libraries = ["-lws2_32", "-lsecur32", "-luserenv", "-lshell32", "-liphlpapi"]
    options = ["-O1", "-Wall", "-Wextra", "-Werror", "-s", "-o", str(built), str(source)]
    subprocess.run(["x86_64-w64-mingw32-gcc", *options, *libraries], check=True)
    return built


@pytest.fixture(scope="session")
def test_programs(shared_daemon: Linwin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image with the programs of ``tests/vm/programs`` in C:\\, of which nobody said who runs them."""
    names = [source.stem for source in (Path(__file__).parent / "programs").glob("*.c")]
    folder = tmp_path_factory.mktemp("build")
    files = {f"{name}.exe": build_program(name, folder).read_bytes() for name in sorted(names)}
    (base,) = shared_daemon.inspect(NANOSERVER)["RootFS"]["Layers"]
    sample = Sample([None, layer_tar(files)], lacking=[base], tags=["example/programs:latest"])
    archive = write(tmp_path_factory.mktemp("image") / "image.tar", sample.docker_members())
    shared_daemon("load", "-i", str(archive))
    yield "example/programs"
    shared_daemon("rmi", "example/programs")


@pytest.fixture(scope="session")
def program(shared_daemon: Linwin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Loads the image of a real Windows program (see examples/programs) once a session."""
    loaded: dict[str, str] = {}
    folder = tmp_path_factory.mktemp("programs")

    def load(name: str) -> str:
        if name not in loaded:
            archive = folder / f"{name}.tar"
            form = ["--oci"] if name in ("esbuild", "cmake") else []
            pack = [sys.executable, str(REPOSITORY / "examples/programs/pack.py"), name, str(archive), *form]
            subprocess.run(pack, check=True, env=shared_daemon.environment)
            printed = shared_daemon.text("load", "-i", str(archive))
            assert printed == f"Loaded image: example/{name}:latest\n"
            archive.unlink()
            loaded[name] = f"example/{name}"
        return loaded[name]

    yield load
    for image in loaded.values():
        shared_daemon("rmi", image)

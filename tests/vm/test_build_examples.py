"""The Dockerfiles of examples/build: built by both clients, run, pushed, and run on another host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from linwin.paths import Paths
from tests.registry_server import RegistryServer, serve_registry
from tests.unit.images.archive_writer import Sample, layer_tar, write
from tests.vm.conftest import REPOSITORY, Linwin, daemon

EXAMPLES = REPOSITORY / "examples" / "build"
BUILD_TIMEOUT = 1200
"""Seconds. Clang takes half a minute for the C++ program under software emulation, on an idle machine."""
NEEDS_PROGRAMS = ("node", "cpp")


@dataclass(frozen=True)
class Example:
    """One folder, what it is built with, and what its image prints."""

    name: str
    prints: str
    words: tuple[str, ...] = ()
    linwin_first: bool = True


HELLO = Example(
    "node", "Hello, world! 1.2.3 production\n", ("--build-arg", "VERSION=1.2.3"), linwin_first=False
)
WORDS = Example("cpp", "green 1\nred 2\n")
CLASSIC = Example("classic", "Good day, ContainerUser\none\ntwo\nthree\nMODE=shown\n", linwin_first=False)
ONBUILD = Example("onbuild", "page.html\n")


@pytest.fixture(scope="module")
def contexts(shared_daemon: Linwin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the examples, with the programs that they need; what is built of them is gone afterwards."""
    folder = tmp_path_factory.mktemp("examples") / "build"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("tools", "toolchain"))
    for name in NEEDS_PROGRAMS:
        fetch = [sys.executable, str(EXAMPLES / "fetch.py"), name, str(folder / name)]
        subprocess.run(fetch, check=True, timeout=BUILD_TIMEOUT)
    yield folder
    shared_daemon("builder", "prune", "-a", "-f")


@pytest.fixture(scope="module")
def registry(shared_daemon: Linwin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """A registry that also has what Microsoft's has under the name of the base image."""
    folder = tmp_path_factory.mktemp("registry")
    aliases = shared_daemon.root / "aliases.yaml"
    with serve_registry(folder / "served") as server:
        base = Sample([layer_tar({"Windows/System32/ntdll.dll": b"the real one"})])
        server.push(
            f"oci-archive:{write(folder / 'base.tar', base.oci_members())}", "windows/nanoserver:ltsc2022"
        )
        aliases.write_text(f"mcr.microsoft.com/windows/nanoserver: {server.name('windows/nanoserver')}\n")
        server.configure(Paths(shared_daemon.root, shared_daemon.socket))
        yield server
        aliases.unlink()


@pytest.fixture(scope="module")
def elsewhere(shared_daemon: Linwin, registry: RegistryServer) -> Iterator[Linwin]:
    """Another host, with a template of its own and none of our images."""
    with daemon(like=shared_daemon) as linwin:
        registry.configure(Paths(linwin.root, linwin.socket))
        yield linwin


@dataclass(frozen=True)
class Builds:
    """Both clients' build commands, for one daemon."""

    linwin: Linwin
    docker: str
    contexts: Path

    def by_linwin(self, tag: str, name: str, *words: str) -> str:
        """What it printed on stdout and stderr."""
        return self._run("linwin", "build", "-t", tag, *words, name)

    def by_docker(self, tag: str, name: str, *words: str) -> str:
        return self._run(self.docker, "-H", f"unix://{self.linwin.socket}", "build", "-t", tag, *words, name)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=BUILD_TIMEOUT,
            cwd=self.contexts, env={**self.linwin.environment, "DOCKER_BUILDKIT": "0"},
        )  # fmt: skip
        printed = done.stdout.decode(errors="replace").replace("\r\n", "\n")
        assert done.returncode == 0, printed
        return printed


@pytest.fixture
def builds(linwin: Linwin, docker_client: str, contexts: Path) -> Builds:
    return Builds(linwin, docker_client, contexts)


def steps(printed: str) -> int:
    """How many instructions of the Dockerfile there are, by what a build says."""
    return max(int(number) for number in re.findall(r"^Step \d+/(\d+) : ", printed, re.MULTILINE))


def layers(linwin: Linwin, image: str) -> list[str]:
    """Their diff ids, the base's first."""
    return list(linwin.inspect(image)["RootFS"]["Layers"])


@pytest.mark.parametrize("example", [HELLO, WORDS, CLASSIC, ONBUILD], ids=lambda example: example.name)
def test_an_example_is_built_once_and_runs_anywhere(
    builds: Builds, elsewhere: Linwin, registry: RegistryServer, example: Example
) -> None:
    linwin = builds.linwin
    if example is ONBUILD:
        builds.by_linwin("example/onbuild-base", "onbuild", "-f", "onbuild/Dockerfile.base")
    tag = registry.name(f"example/{example.name}:1")
    orders = [builds.by_linwin, builds.by_docker]
    first, second = orders if example.linwin_first else reversed(orders)
    built = first(tag, example.name, *example.words)
    assert " ---> Running in " in built
    image = linwin.inspect(tag)["Id"]
    again = second(tag, example.name, *example.words)
    assert " ---> Running in " not in again
    assert steps(again) == steps(built)
    assert linwin.inspect(tag)["Id"] == image
    assert linwin.text("run", "--rm", tag) == example.prints

    linwin("push", tag)
    elsewhere("pull", tag)
    # The base's layer is the real one now; those above are what was built.
    assert layers(elsewhere, tag)[1:] == layers(linwin, tag)[1:] != []
    assert elsewhere.text("run", "--rm", tag) == example.prints
    for host in (linwin, elsewhere):
        host("rmi", tag)


def test_words_of_a_command_reach_an_entrypoint_in_exec_form(builds: Builds) -> None:
    tag = "example/words"
    assert " ---> Running in " not in builds.by_linwin(tag, "cpp"), "the tests above have built it"
    assert builds.linwin.text("run", "--rm", tag, "to", "be", "to") == "be 1\nto 2\n"
    builds.linwin("rmi", tag)


def test_what_an_example_says_of_its_image(builds: Builds) -> None:
    tag = "example/classic"
    builds.by_linwin(tag, "classic")
    shown = builds.linwin.inspect(tag)["Config"]
    assert shown["Labels"]["org.opencontainers.image.title"] == "classic"
    assert shown["Env"] == ["MODE=shown"]
    assert shown["ExposedPorts"] == {"8080/tcp": {}}
    assert shown["Volumes"] == {"C:\\state": {}}
    assert (shown["User"], shown["WorkingDir"], shown["StopSignal"]) == (
        "ContainerUser", "C:\\data", "SIGTERM"
    )  # fmt: skip
    assert shown["Shell"] == ["cmd", "/S", "/C"]
    assert shown["Healthcheck"] == {
        "Test": ["CMD-SHELL", "if not exist C:\\data\\numbers.txt exit 1"],
        "Interval": 30 * 10**9,
        "Timeout": 20 * 10**9,
        "Retries": 2,
    }
    look = "type settings.ini & reg query HKLM\\Software\\Example /v Built & attrib C:\\tools\\greet.cmd"
    printed = builds.linwin.text("run", "--rm", "--entrypoint", "cmd", tag, "/c", look)
    assert printed.startswith("[app]\ntag = latest\n")
    assert "0x1" in printed
    assert re.search(r"R +C:\\tools\\greet\.cmd", printed)
    builds.linwin("rmi", tag)


@pytest.mark.parametrize("by_docker", [False, True], ids=["linwin", "docker"])
def test_powershell_fails_and_says_why(
    linwin: Linwin, docker_client: str, contexts: Path, by_docker: bool
) -> None:
    client = [docker_client, "-H", f"unix://{linwin.socket}"] if by_docker else ["linwin"]
    done = subprocess.run(
        [*client, "build", "-t", "example/none", "powershell"], capture_output=True, text=True, cwd=contexts,
        timeout=BUILD_TIMEOUT, env={**os.environ, **linwin.environment, "DOCKER_BUILDKIT": "0"},
    )  # fmt: skip
    assert done.returncode == 127
    assert 'exec: "powershell": executable file not found in %PATH%' in done.stderr
    assert "PowerShell is not part of the wine template: " in done.stderr
    assert "use a windows template" in done.stderr
    linwin("inspect", "example/none", code=1)

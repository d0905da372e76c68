"""docker compose, of both generations that are alive, for the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from tests.debian_programs import debian_program, suite_program

FILE = "compose.yaml"


def compose_program(generation: str) -> str:
    """``v1`` is compose 1.29 in Python, of Debian 12; ``v2`` the one in Go, of Debian 13.

    Skips the test, and says why, where it cannot be had.
    """
    installed = shutil.which("docker-compose")
    if installed and _version(installed).startswith({"v1": "1.", "v2": "2."}[generation]):
        return installed
    if generation == "v1":
        pytest.skip("compose 1.29 is not installed: it is docker-compose of Debian 12")
    try:
        return suite_program("trixie", "docker-compose", "usr/libexec/docker/cli-plugins/docker-compose")
    except Unavailable as error:
        pytest.skip(f"compose 2 cannot be had: {error.message}")


def _version(program: str) -> str:
    done = subprocess.run([program, "version", "--short"], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("v")


@dataclass(frozen=True)
class Compose:
    """One project in one folder, and the program that is to keep it."""

    program: str
    generation: str
    folder: Path
    host: str
    project: str = "shop"

    def write(self, text: str) -> None:
        (self.folder / FILE).write_text(text)

    def command(self, *words: str) -> list[str]:
        """With the project's file, where there is one."""
        file = self.folder / FILE
        return [self.program, "-p", self.project, *(("-f", str(file)) if file.exists() else ()), *words]

    @property
    def environment(self) -> dict[str, str]:
        # Compose 1.29 leaves exec and run to docker's own client.
        client = Path(debian_program("docker.io", "docker")).parent
        return {
            "PATH": f"{os.environ['PATH']}:{client}",
            "HOME": str(self.folder),
            "DOCKER_HOST": self.host,
            "COMPOSE_HTTP_TIMEOUT": "300",
        }

    def name(self, service: str, number: int = 1) -> str:
        """What compose calls a container."""
        return {"v1": "_", "v2": "-"}[self.generation].join((self.project, service, str(number)))

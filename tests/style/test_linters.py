"""The linters are tests: formatting, lint, types, import directions, Go vet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def check(*words: str, folder: Path = REPOSITORY) -> None:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("mode", [["check"], ["format", "--check"]], ids=["lint", "format"])
def test_ruff(mode: list[str]) -> None:
    check("ruff", *mode, "linwin", "tests", "bench", "examples")


@pytest.mark.slow
def test_mypy() -> None:
    check("mypy")


def test_import_directions() -> None:
    check("lint-imports")


@pytest.mark.slow
def test_go_tests() -> None:
    """The agent's own, which replay the vectors of protocol/ as pytest does."""
    check("env", "CGO_ENABLED=0", "go", "test", "./...", folder=REPOSITORY / "agent")


GO_MODULES = ["agent", "tests/conformance/subject"]


@pytest.mark.parametrize("module", GO_MODULES)
def test_go_is_formatted(module: str) -> None:
    done = subprocess.run(
        [BIN / "go", "run", "cmd/gofmt", "-l", "."], cwd=REPOSITORY / module, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("system", ["linux", "windows"])
@pytest.mark.parametrize("module", GO_MODULES)
def test_go_vet(module: str, system: str) -> None:
    check("env", f"GOOS={system}", "CGO_ENABLED=0", "go", "vet", "./...", folder=REPOSITORY / module)

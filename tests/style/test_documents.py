"""Documents that must not drift: symbols resolve, links lead somewhere, commands exist."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from linwin.engine.verify.run import CLEAN
from linwin.engine.verify.table import CHECKS

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), *REPOSITORY.glob("*/README.md")]


def symbols() -> list[str]:
    """The ``linwin.room.module.name`` in code quotes of ARCHITECTURE.md."""
    return re.findall(r"`(linwin(?:\.\w+)+)`", (REPOSITORY / "ARCHITECTURE.md").read_text())


def test_the_architecture_names_symbols() -> None:
    assert len(symbols()) > 20


@pytest.mark.parametrize("symbol", sorted(set(symbols())))
def test_a_symbol_of_the_architecture_exists(symbol: str) -> None:
    names = symbol.split(".")
    for length in range(len(names), 0, -1):
        try:
            found = importlib.import_module(".".join(names[:length]))
        except ModuleNotFoundError:
            continue
        for name in names[length:]:
            found = getattr(found, name)
        return
    pytest.fail(f"no module of {symbol} can be imported")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def commands(document: Path) -> list[list[str]]:
    """The linwin commands of a document's shell blocks, as word lists."""
    blocks = re.findall(r"```(?:sh|console|bash)\n(.*?)```", document.read_text(), re.DOTALL)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line.split() for line in lines if line.startswith("linwin ")]


def test_the_readmes_first_screen_shows_the_main_job() -> None:
    first_screen = "\n".join((REPOSITORY / "README.md").read_text().splitlines()[:40])
    assert "linwin run" in first_screen
    assert "scripts/demo" in first_screen
    assert "scripts/test" in (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_commands_of_documents_exist_with_their_flags(document: Path) -> None:
    linwin = Path(sys.executable).parent / "linwin"
    for words in commands(document):
        verbs = [words[1]]
        if words[1] in ("template", "daemon", "image", "container", "system"):
            verbs.append(words[2])
        shown = subprocess.run([linwin, *verbs, "--help"], capture_output=True, text=True)
        assert shown.returncode == 0, f"{document.name}: {' '.join(words)}: {shown.stderr}"
        flags = [word.partition("=")[0] for word in words[1 + len(verbs) :] if word.startswith("--")]
        assert [flag for flag in flags if flag not in shown.stdout] == [], " ".join(words)


def test_the_document_of_verifications_has_every_check() -> None:
    document = (REPOSITORY / "docs" / "verify.md").read_text()
    rows = re.findall(
        r"^\| ([a-z]+) ([a-z-]+) \| ([^|]+) \| (?:yes|no) \| (?:yes|no) \|$", document, re.MULTILINE
    )
    checks = [(check.group, check.name, check.proves) for check in CHECKS]
    assert rows == [*checks, (CLEAN.group, CLEAN.name, CLEAN.proves)]

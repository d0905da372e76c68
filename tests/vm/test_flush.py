"""What a container's programs have written is on its disk while they go on: commit is the judge of that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.conftest import NANOSERVER, Linwin, until

KEY = "HKLM\\Software\\Example\\Flushed"
RUN = ("run", "--rm", "--network", "none", "example/flushed", "cmd", "/c")


@pytest.fixture
def box(linwin: Linwin) -> Iterator[str]:
    """A container whose program counts in a file, as fast as it can."""
    count = "(echo 0)> C:\\count.txt & echo ready & for /l %i in (1,1,1000000) do @echo %i>> C:\\count.txt"
    box = linwin.text("run", "-d", "--network", "none", NANOSERVER, "cmd", "/c", count).strip()
    yield box
    linwin("rm", "-f", box)


def counted(linwin: Linwin, box: str, folder: Path) -> int:
    """How far it has counted, looked at without opening the file as Windows would."""
    linwin("cp", f"{box}:C:/count.txt", str(folder / "count.txt"))
    return (folder / "count.txt").read_bytes().count(b"\n")


def test_files_and_registry_are_in_a_commit_of_a_busy_container(
    linwin: Linwin, box: str, tmp_path: Path
) -> None:
    until(lambda: "ready" in linwin.text("logs", box), "the program counts")
    for word in ("first", "second"):
        linwin(
            "exec", box, "cmd", "/c", f"(if not exist C:\\d mkdir C:\\d) & (echo {word})> C:\\d\\last.txt"
            f" & setx /M KEPT {word} & setx MINE {word} & reg add {KEY} /v Value /d {word} /f",
        )  # fmt: skip
        before = counted(linwin, box, tmp_path)
        linwin("commit", box, "example/flushed")
        look = f"type C:\\d\\last.txt & echo %KEPT% %MINE%& reg query {KEY} /v Value"
        printed = linwin.text(*RUN, look)
        assert printed.splitlines()[:2] == [word, f"{word} {word}"]
        assert f"Value    REG_SZ    {word}\n" in printed
        numbers = linwin.text(*RUN, "type C:\\count.txt").split()
        assert [int(number) for number in numbers] == list(range(len(numbers)))
        assert before <= len(numbers) < counted(linwin, box, tmp_path), "it went on counting"
        linwin("rmi", "example/flushed")

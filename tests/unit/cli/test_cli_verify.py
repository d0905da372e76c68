"""What template verify prints, and the report that it writes."""

from __future__ import annotations

import io
from typing import Any

from linwin.cli.verify import summary
from linwin.cli.verify_progress import CheckProgress, lines
from linwin.cli.verify_report import report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def check(outcome: str = "passed", **fields: Any) -> dict[str, Any]:
    return {
        "Group": "life", "Name": "stop", "Proves": "a program ends", "Outcome": outcome, "Seconds": 1.25,
        "Detail": "after 1.2 s", "Expected": "", "Got": "", **fields,
    }  # fmt: skip


FAILED = check("failed", Detail="", Expected="one\ntwo", Got="\x1b[2Jthree")


def test_a_line_for_each_check() -> None:
    assert list(lines(check())) == ["ok           life stop                    1.2 s  after 1.2 s"]
    (line,) = lines(check("unchecked", Detail="no network"))
    assert line.startswith("not checked  life stop ")


def test_a_failed_check_says_what_came_and_moves_no_cursor() -> None:
    assert list(lines(FAILED)) == [
        "FAILED       life stop                    1.2 s  a program ends",
        "             expected: one | two",
        "             got:       [2Jthree",
    ]


def test_plain_lines_where_there_is_no_terminal() -> None:
    screen = io.StringIO()
    with CheckProgress(screen) as progress:
        progress.show(check("", Detail=""))
        progress.show(check())
    assert screen.getvalue() == "ok           life stop                    1.2 s  after 1.2 s\n"


def test_a_terminal_tells_what_is_under_way() -> None:
    screen = Terminal()
    with CheckProgress(screen) as progress:
        progress.show(check("", Proves="[bold]a program ends"))
        assert progress._status is not None
        assert "[bold]a program ends" in str(progress._status.status).replace("\\", "")
        progress.show(FAILED)
    assert "FAILED" in screen.getvalue()
    assert "\x1b[2Jthree" not in screen.getvalue()


def test_the_numbers() -> None:
    checks = [check(), check("failed"), check("unchecked"), check()]
    assert summary(checks) == "2 passed, 1 failed, 1 could not be checked."


def test_the_report() -> None:
    surroundings = {
        "Facts": [{"Name": "CPU", "Text": "2 of <this|that>"}],
        "Texts": [{"Name": "Console", "Text": "```\n# a heading\n\x1b[2J"}],
    }
    text = report("wine", [check(), FAILED], surroundings, "r.png")
    assert "| life stop | ok | 1.2 | a program ends | after 1.2 s |\n" in text
    assert "| life stop | **FAILED** | 1.2 | a program ends |  |\n" in text
    assert "### life stop failed\n\nExpected:\n\n    one\n    two\n\nGot:\n\n     [2Jthree\n" in text
    assert "| CPU | 2 of \\<this\\|that\\> |\n" in text
    assert "\n## Console\n\n    ```\n    # a heading\n     [2J\n" in text
    assert text.endswith("It is in the file r.png.\n")
    assert text.splitlines()[2].startswith("This file has: the results;")


def test_a_report_without_anything_but_results() -> None:
    assert "screen\n" not in report("wine", [check()], {}, "")

"""Nobody may take Wine for Windows: one line at the first use."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cli.fake_container import FakeContainer

NOTICE = 'linwin: microsoft/nanoserver runs on the template "wine" (Wine, not Windows)\n'


def test_the_first_use_of_wine_says_so_once(daemon: Any, linwin: Any) -> None:
    FakeContainer(daemon)
    first, second = linwin("run", "-d", "x"), linwin("run", "-d", "x")
    assert (first.err, second.err) == (NOTICE, "")
    assert first.out == second.out


def test_other_templates_need_no_notice(daemon: Any, linwin: Any) -> None:
    FakeContainer(daemon, template="windows")
    assert linwin("run", "-d", "x").err == ""


def test_the_notice_does_not_need_a_place_to_remember(
    daemon: Any, linwin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeContainer(daemon)
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/self")
    result = linwin("run", "-d", "x")
    assert (result.code, result.err) == (0, NOTICE)

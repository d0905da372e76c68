"""The configuration file: what it may say, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from linwin import config
from linwin.config import Configuration, parse
from linwin.errors import InvalidRequest, LinwinError, Unavailable
from linwin.model.pool import PoolPlan

REFUSED = {
    "size = 1": ("x: there is no setting size", "Known are: pool"),
    "[pool]\nsise = 1": (
        "x: there is no setting pool.sise",
        "Known are: pool.size, pool.template, pool.memory, pool.cpus",
    ),
    "pool = 3": ("x: pool is no table", "Write [pool] on a line of its own."),
    '[pool]\nsize = "two"': ("x: pool.size is 'two'", "Give a whole number from 0 to 64."),
    "[pool]\nsize = true": ("x: pool.size is True", "Give a whole number from 0 to 64."),
    "[pool]\nsize = -1": ("x: pool.size is -1", "Give a whole number from 0 to 64."),
    "[pool]\nsize = 65": ("x: pool.size is 65", "Give a whole number from 0 to 64."),
    "[pool]\nmemory = 0.5": ("x: pool.memory is 0.5", "Give a whole number from 0 to 1048576."),
    "[pool]\ncpus = 65": ("x: pool.cpus is 65", "Give a whole number from 0 to 64."),
    "[pool]\ntemplate = 1": ("x: pool.template is 1", 'Give a template\'s name, as in "wine".'),
}


def test_all_settings() -> None:
    text = b'[pool]\nsize = 3\ntemplate = "wine"\nmemory = 700\ncpus = 2\n'
    assert parse(text, "x") == Configuration(PoolPlan(3, "wine", 700, 2))


def test_none_of_them() -> None:
    assert parse(b"", "x") == Configuration(PoolPlan(0, "", 0, 0)) == parse(b"[pool]", "x")


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text: str) -> None:
    message, hint = REFUSED[text]
    with pytest.raises(InvalidRequest) as raised:
        parse(text.encode(), "x")
    assert (raised.value.message, raised.value.hint) == (message, hint)


@pytest.mark.parametrize("text", [b"[pool", b"\xff", b"a = " + b"[" * 100_000, b"a = " + b"9" * 5000])
def test_what_is_not_toml(text: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^x is not TOML: "):
        parse(text, "x")


def test_a_huge_file_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^x is larger than 1 MiB$"):
        parse(b"#" * ((1 << 20) + 1), "x")


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, named = tmp_path / "usual.toml", tmp_path / "named.toml"
    monkeypatch.setattr(config, "DEFAULT_PATH", usual)
    monkeypatch.delenv("LINWIN_CONFIG", raising=False)
    assert config.from_environment() == Configuration()
    usual.write_text("[pool]\nsize = 1\n")
    assert config.from_environment().pool.size == 1
    monkeypatch.setenv("LINWIN_CONFIG", str(named))
    with pytest.raises(Unavailable) as missing:
        config.from_environment()
    assert str(missing.value) == f"cannot read {named}: it does not exist"
    named.mkdir()
    with pytest.raises(LinwinError, match=r"cannot read .*: Is a directory"):
        config.from_environment()
    named.rmdir()
    named.write_text("[pool]\nsize = 2\n")
    assert config.from_environment().pool.size == 2

"""Log drivers and their options, in docker's words."""

from __future__ import annotations

import pytest

from linwin.model.container import Container, ContainerSpec
from linwin.model.log_config import BadOption, LogConfig, Rotation, attributes, resolve, rotation

MB = 1_000_000


@pytest.mark.parametrize(
    ("driver", "options", "expected"),
    [
        ("json-file", {}, Rotation()),
        ("json-file", {"max-size": "10m", "max-file": "3"}, Rotation(10 * MB, 3)),
        ("json-file", {"max-size": "1.5k"}, Rotation(1500, 1)),
        ("json-file", {"max-size": "200KB"}, Rotation(200_000, 1)),
        ("json-file", {"max-size": "-1"}, Rotation()),
        ("json-file", {"max-size": "1g", "max-file": "2", "compress": "true"}, Rotation(10**9, 2, True)),
        ("local", {}, Rotation(20 * MB, 5, True)),
        ("local", {"max-file": "1"}, Rotation(20 * MB, 1)),
        ("local", {"compress": "false"}, Rotation(20 * MB, 5)),
    ],
)
def test_rotation(driver: str, options: dict[str, str], expected: Rotation) -> None:
    assert rotation(LogConfig(driver, options)) == expected


@pytest.mark.parametrize(
    ("driver", "options", "message"),
    [
        ("syslog", {}, "logger: no log driver named 'syslog' is registered"),
        ("json-file", {"max-sise": "1"}, "unknown log opt 'max-sise' for json-file log driver"),
        ("local", {"labels": "a"}, "unknown log opt 'labels' for local log driver"),
        ("json-file", {"max-size": "much"}, "invalid size: 'much'"),
        ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"max-file": "two"}, "invalid max-file 'two'"),
        ("json-file", {"compress": "perhaps"}, "invalid compress 'perhaps'"),
        (
            "json-file",
            {"compress": "true", "max-file": "3"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        ("json-file", {"mode": "loud"}, "logger: logging mode not supported: loud"),
        (
            "json-file",
            {"max-buffer-size": "4m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        ("json-file", {"tag": "{{.Secret}}"}, "invalid log opt tag: '{{.Secret}}'"),
        (
            "json-file",
            {"env-regex": "("},
            "invalid log opt env-regex: missing ), unterminated subpattern at position 0",
        ),
    ],
)
def test_refusals(driver: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(BadOption) as refused:
        resolve(LogConfig(driver, options))
    assert refused.value.message == message
    assert refused.value.hint


def test_the_daemons_options_count_for_the_daemons_driver() -> None:
    default = LogConfig("json-file", {"max-size": "10m", "max-file": "3"})
    assert resolve(LogConfig(), default) == default
    own = resolve(LogConfig("json-file", {"max-size": "1k"}), default)
    assert own.options == {"max-size": "1k", "max-file": "3"}
    assert resolve(LogConfig("", {"max-file": "5"}), default).options["max-file"] == "5"
    assert resolve(LogConfig("local"), default) == LogConfig("local")
    assert resolve(LogConfig("none", {"whatever": "it is"}), default).driver == "none"


def test_attributes_are_chosen_by_name_pattern_and_tag() -> None:
    options = {"labels": "team, none", "env": "A", "env-regex": "^B", "tag": "{{.Name}}/{{ .ID }}"}
    container = Container(
        id="0123456789abcdef", name="web", spec=ContainerSpec("app:1"), image_id="sha256:0", template="wine",
        chain_id="c", argv=("x",), command_line=None, env=("A=1", "B2=x=y", "C=3"), cwd="C:\\", user="",
        labels={"team": "blue", "other": "z"}, uid=1, created_at=1,
    )  # fmt: skip
    found = attributes(LogConfig("json-file", options), container)
    assert found == {"team": "blue", "A": "1", "B2": "x=y", "tag": "web/0123456789ab"}

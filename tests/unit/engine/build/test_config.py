"""What instructions make of a configuration."""

from __future__ import annotations

import dataclasses

import pytest

from linwin.engine.build import config
from linwin.errors import InvalidRequest
from linwin.model.build import Instruction
from linwin.model.health import HealthCheck
from linwin.model.image import RunConfig

BELOW = RunConfig(
    entrypoint=("node",),
    cmd=("a.js",),
    env=("PATH=C:\\x", "Keep=1"),
    working_dir="C:\\app",
    labels={"a": "1"},
)


def instruction(name: str, *words: str, json: bool = False, **flags: str) -> Instruction:
    pairs = tuple((key.replace("_", "-"), value) for key, value in flags.items())
    return Instruction(name, words, f"{name} {' '.join(words)}", 1, flags=pairs, is_json=json)


def after(name: str, *words: str, json: bool = False, **flags: str) -> tuple[RunConfig, str]:
    one = instruction(name, *words, json=json, **flags)
    return config.configured(BELOW, one, words)


@pytest.mark.parametrize(
    ("words", "json", "cmd", "escaped", "shown"),
    [
        (('echo "a  b"',), False, ('cmd /S /C echo "a  b"',), True, r'CMD ["cmd /S /C echo \"a  b\""]'),
        (("cmd", "/c", "ver"), True, ("cmd", "/c", "ver"), False, 'CMD ["cmd" "/c" "ver"]'),
        ((), True, (), False, "CMD []"),
    ],
)
def test_cmd(words: tuple[str, ...], json: bool, cmd: tuple[str, ...], escaped: bool, shown: str) -> None:
    changed, text = after("CMD", *words, json=json)
    assert (changed.cmd, changed.args_escaped, text) == (cmd, escaped, shown)


def test_the_shell_of_the_image_runs_a_line() -> None:
    below = dataclasses.replace(BELOW, shell=("powershell", "-Command"))
    changed, _ = config.configured(below, instruction("ENTRYPOINT", "Get-Date"), ())
    assert changed.entrypoint == ("powershell -Command Get-Date",)
    assert changed.args_escaped


def test_an_entrypoint_takes_the_cmd_of_the_base_with_it_and_no_other() -> None:
    one = instruction("ENTRYPOINT", "python", json=True)
    assert config.configured(BELOW, one, ())[0].cmd == ()
    assert config.configured(BELOW, one, (), cmd_is_own=True)[0].cmd == ("a.js",)


def test_variables_know_no_case() -> None:
    changed, text = after("ENV", "path", "C:\\y", "New", "a b")
    assert changed.env == ("Keep=1", "path=C:\\y", "New=a b")
    assert text == "ENV path=C:\\y New=a b"


@pytest.mark.parametrize(
    ("given", "current", "expected"),
    [
        ("C:\\a\\b", "", "C:\\a\\b"),
        ("c:/a/b", "", "C:\\a\\b"),
        ("/a", "", "C:\\a"),
        ("\\a\\", "C:\\x", "C:\\a"),
        ("b", "C:\\a", "C:\\a\\b"),
        ("b/../c", "C:\\a", "C:\\a\\c"),
        ("..\\..\\..", "C:\\a", "C:\\"),
        ("b", "", "C:\\b"),
        (".", "C:\\a", "C:\\a"),
        ("C:", "C:\\a", "C:\\"),
    ],
)
def test_paths(given: str, current: str, expected: str) -> None:
    assert config.absolute(given, current) == expected


def test_a_path_whose_backslash_was_an_escape_is_told_from_others() -> None:
    with pytest.raises(InvalidRequest) as caught:
        config.absolute("C:app", "")
    assert caught.value.message == "the path 'C:app' has a drive and is not absolute"
    assert caught.value.hint == (
        "In this Dockerfile a backslash escapes; begin it with # escape=` to write Windows paths."
    )


def test_another_drive_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        config.on_volume("D:\\x")
    assert caught.value.message == "D:\\x: The specified path is not on the system drive (C:)"


def test_ports_volumes_and_the_rest() -> None:
    assert after("EXPOSE", "80 443/tcp", "53/udp")[0].exposed_ports == ("80/tcp", "443/tcp", "53/udp")
    assert after("VOLUME", "C:\\data", "C:\\data")[0].volumes == ("C:\\data",)
    assert after("USER", "ContainerUser")[0].user == "ContainerUser"
    assert after("LABEL", "a", "2", "b", "3")[0].labels == {"a": "2", "b": "3"}
    assert after("STOPSIGNAL", "SIGINT")[0].stop_signal == "SIGINT"
    assert after("WORKDIR", "src") == (
        dataclasses.replace(BELOW, working_dir="C:\\app\\src"),
        "WORKDIR C:\\app\\src",
    )
    assert after("SHELL", "cmd", "/S", json=True) == (
        dataclasses.replace(BELOW, shell=("cmd", "/S")),
        'SHELL ["cmd" "/S"]',
    )
    held = Instruction("ONBUILD", (), "ONBUILD RUN x", 1, trigger=instruction("RUN", "x"))
    assert config.configured(BELOW, held, ()) == (
        dataclasses.replace(BELOW, on_build=("RUN x",)),
        "ONBUILD RUN x",
    )


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("EXPOSE", ("eighty",), "invalid containerPort: eighty"),
        ("VOLUME", (" ",), "VOLUME specified can not be an empty string"),
        ("STOPSIGNAL", ("SIGFOO",), "invalid signal: SIGFOO"),
    ],
)
def test_mistakes(name: str, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        after(name, *words)
    assert caught.value.message == message


def test_health_checks() -> None:
    changed, text = after("HEALTHCHECK", "CMD", "curl x", interval="+1m30s", start_period="2s", retries="+4")
    assert changed.health_check == HealthCheck(
        test=("CMD-SHELL", "curl x"), interval=90 * 10**9, start_period=2 * 10**9, retries=4
    )
    assert text == "HEALTHCHECK CMD curl x"
    assert after("HEALTHCHECK", "NONE")[0].health_check == HealthCheck(test=("NONE",))
    json = after("HEALTHCHECK", "CMD", "curl", "x", json=True)[0].health_check
    assert json is not None
    assert json.test == ("CMD", "curl", "x")


def test_a_platform_that_is_not_windows() -> None:
    config.check_platform("Windows/amd64")
    with pytest.raises(InvalidRequest) as caught:
        config.check_platform("linux/arm64")
    assert caught.value.message == "linwin makes Windows images, and none for linux/arm64"

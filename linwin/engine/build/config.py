"""What instructions make of an image's run configuration. Pure; words come expanded.

Forms of commands: moby's classic builder on Windows. What a shell is to run is one line that
reaches the guest as it stands, so it is one word, and ``ArgsEscaped`` says so.
"""

from __future__ import annotations

import json
import ntpath
from collections.abc import Mapping, Sequence
from dataclasses import replace

from linwin.engine import command, publish, signals
from linwin.engine.build.words import expand
from linwin.errors import Internal, InvalidRequest
from linwin.model.build import Instruction
from linwin.model.durations import nanoseconds
from linwin.model.files import SPELLING, VolumePath, parse_path
from linwin.model.health import HealthCheck
from linwin.model.image import RunConfig

SHELL = ("cmd", "/S", "/C")
VERBATIM = frozenset({"CMD", "ENTRYPOINT", "HEALTHCHECK", "MAINTAINER", "ONBUILD", "RUN", "SHELL"})
"""Instructions in whose words the shell puts the variables in, or nobody does."""
PLATFORMS = ("", "windows", "windows/amd64")
ESCAPE_HINT = r"In this Dockerfile a backslash escapes; begin it with # escape=` to write Windows paths."


def configured(
    config: RunConfig,
    instruction: Instruction,
    words: Sequence[str],
    *,
    cmd_is_own: bool = False,
) -> tuple[RunConfig, str]:
    """What an instruction that only configures makes of ``config``, and how a history shows it.

    ``words`` are its own with variables put in. ``cmd_is_own`` says that this Dockerfile had a CMD.
    """
    match instruction.name:
        case "CMD":
            config = with_cmd(config, instruction)
            return config, f"CMD {shown(config.cmd)}"
        case "ENTRYPOINT":
            config = with_entrypoint(config, instruction, cmd_is_own=cmd_is_own)
            return config, f"ENTRYPOINT {shown(config.entrypoint)}"
        case "ENV":
            return with_env(config, words), f"ENV {' '.join(paired(words))}"
        case "LABEL":
            return with_labels(config, words), f"LABEL {' '.join(paired(words))}"
        case "EXPOSE":
            return with_ports(config, words), f"EXPOSE {' '.join(words)}"
        case "VOLUME":
            return with_volumes(config, words), f"VOLUME {shown(words)}"
        case "USER":
            return replace(config, user=words[0]), f"USER {words[0]}"
        case "WORKDIR":
            config = with_working_dir(config, words[0])
            return config, f"WORKDIR {config.working_dir}"
        case "STOPSIGNAL":
            return with_stop_signal(config, words[0]), f"STOPSIGNAL {words[0]}"
        case "SHELL":
            return replace(config, shell=tuple(words)), f"SHELL {shown(words)}"
        case "HEALTHCHECK":
            config = with_health_check(config, instruction)
            return config, instruction.original
        case "ONBUILD":
            assert instruction.trigger is not None
            held = instruction.trigger.original
            return replace(config, on_build=(*config.on_build, held)), f"ONBUILD {held}"
        case _:
            raise Internal(f"{instruction.name} is no instruction that configures")


def expanded(instruction: Instruction, variables: Mapping[str, str], escape: str) -> tuple[str, ...]:
    """The words of an instruction with variables put in, where docker puts them in."""
    if instruction.name in VERBATIM:
        return instruction.words
    return tuple(expand(word, variables, escape) for word in instruction.words)


def shell_of(config: RunConfig) -> tuple[str, ...]:
    return config.shell or SHELL


def command_of(config: RunConfig, instruction: Instruction) -> tuple[tuple[str, ...], bool]:
    """The words of a command, and whether they are one line that is not to be escaped."""
    if instruction.is_json:
        return instruction.words, False
    line = instruction.words[0] if instruction.words else ""
    return (((" ".join(shell_of(config)) + " " + line),), True) if line else ((), config.args_escaped)


def with_cmd(config: RunConfig, instruction: Instruction) -> RunConfig:
    words, escaped = command_of(config, instruction)
    return replace(config, cmd=words, args_escaped=escaped)


def with_entrypoint(config: RunConfig, instruction: Instruction, *, cmd_is_own: bool) -> RunConfig:
    """The base's CMD was for the base's ENTRYPOINT: it goes unless this Dockerfile has its own."""
    words, escaped = command_of(config, instruction)
    return replace(config, entrypoint=words, args_escaped=escaped, cmd=config.cmd if cmd_is_own else ())


def with_env(config: RunConfig, words: Sequence[str]) -> RunConfig:
    """``words`` alternate names and values. Windows' names know no case."""
    return replace(config, env=command.merge_env(config.env, paired(words)))


def with_labels(config: RunConfig, words: Sequence[str]) -> RunConfig:
    return replace(config, labels={**config.labels, **dict(zip(words[::2], words[1::2], strict=True))})


def with_ports(config: RunConfig, words: Sequence[str]) -> RunConfig:
    ports = [port for word in words for port in word.split()]
    for port in ports:
        if publish.PORT.fullmatch(port) is None:
            raise InvalidRequest(
                f"invalid containerPort: {port}", hint="Name a port as in 80, 80/udp or 80-90."
            )
    return replace(config, exposed_ports=publish.exposed((*config.exposed_ports, *ports)))


def with_volumes(config: RunConfig, words: Sequence[str]) -> RunConfig:
    if any(not word.strip() for word in words):
        raise InvalidRequest("VOLUME specified can not be an empty string")
    return replace(config, volumes=tuple(dict.fromkeys((*config.volumes, *words))))


def with_working_dir(config: RunConfig, path: str) -> RunConfig:
    return replace(config, working_dir=absolute(path, config.working_dir))


def with_stop_signal(config: RunConfig, name: str) -> RunConfig:
    signals.parse(name)
    return replace(config, stop_signal=name)


def with_health_check(config: RunConfig, instruction: Instruction) -> RunConfig:
    return replace(config, health_check=health_check_of(config, instruction))


def health_check_of(config: RunConfig, instruction: Instruction) -> HealthCheck:
    """The first word says how the rest is run: NONE, or CMD. Its flags were checked as it was read."""
    kind, *words = instruction.words
    if kind.upper() == "NONE":
        return HealthCheck(test=("NONE",))
    flags = dict(instruction.flags)

    def time(flag: str) -> int:
        return nanoseconds(flags.get(flag, "0"))

    return HealthCheck(
        test=("CMD", *words) if instruction.is_json else ("CMD-SHELL", *words),
        interval=time("interval"),
        timeout=time("timeout"),
        start_period=time("start-period"),
        start_interval=time("start-interval"),
        retries=int(flags.get("retries", "0")),
    )


def absolute(path: str, current: str) -> str:
    """A path of Windows with its drive, from the folder ``current`` on where it is relative.

    Raises InvalidRequest for ``C:name``, which has a drive and no place on it.
    """
    wanted = path.replace("/", "\\")
    drive, rest = ntpath.splitdrive(wanted)
    if drive and not rest.startswith("\\"):
        if rest:
            raise InvalidRequest(f"the path {path!r} has a drive and is not absolute", hint=ESCAPE_HINT)
        wanted = drive + "\\"
    whole = ntpath.normpath(ntpath.join(current or "C:\\", wanted))
    if not ntpath.splitdrive(whole)[0]:
        whole = "C:" + whole
    return whole[0].upper() + whole[1:]


def check_platform(platform: str) -> None:
    """Raise InvalidRequest for what is not Windows' own."""
    if platform.lower() not in PLATFORMS:
        raise InvalidRequest(
            f"linwin makes Windows images, and none for {platform}",
            hint="Leave the platform out, or say windows/amd64.",
        )


def on_volume(path: str) -> VolumePath:
    """An absolute path on C:, taken apart. Raises InvalidRequest for another drive."""
    try:
        return parse_path(path)
    except ValueError as error:
        raise InvalidRequest(f"{path}: {error}", hint=SPELLING) from error


def paired(words: Sequence[str]) -> tuple[str, ...]:
    """``NAME=value`` of words that alternate."""
    return tuple(f"{name}={value}" for name, value in zip(words[::2], words[1::2], strict=True))


def shown(words: Sequence[str]) -> str:
    """Words as docker shows them in an image's history."""
    return json.dumps(list(words), ensure_ascii=False, separators=(" ", ": "))

"""Which log a container has: docker's drivers and their options, checked and given meaning.

Drivers and options are those of docker's ``json-file``, ``local`` and ``none``
(docs.docker.com, "Configure logging drivers"). ``local`` has a form of its own
there, which is nobody's but the daemon's; here it is ``json-file`` with the
other's limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from linwin.model.container import Container

ATTRIBUTES = ("labels", "labels-regex", "env", "env-regex", "tag")
EVERY_DRIVER = ("mode", "max-buffer-size")
OPTIONS = {
    "json-file": frozenset({"max-size", "max-file", "compress", *ATTRIBUTES, *EVERY_DRIVER}),
    "local": frozenset({"max-size", "max-file", "compress", *EVERY_DRIVER}),
}
DRIVERS = (*OPTIONS, "none")
DEFAULTS: dict[str, dict[str, str]] = {
    "json-file": {"max-size": "", "max-file": "1", "compress": "false"},
    "local": {"max-size": "20m", "max-file": "5", "compress": "true"},
}
"""Docker's own, where nobody said anything. An empty max-size is no limit."""
USE = "Use json-file, local or none."

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_FIELD = re.compile(r"\{\{\s*\.(\w+)\s*\}\}")


class BadOption(ValueError):
    """A driver or an option that is none, in docker's words, and what would be one."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class LogConfig:
    """A driver's name and its options as the user wrote them; no name is the daemon's default."""

    driver: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a log goes on in a new file. ``max_size`` is in bytes, 0 for never; ``max_files`` counts all."""

    max_size: int = 0
    max_files: int = 1
    compress: bool = False


STANDARD = LogConfig("json-file")


def resolve(asked: LogConfig, default: LogConfig = STANDARD) -> LogConfig:
    """What a container gets: as docker does, the default's options count for the default's driver only.

    Raises BadOption, in docker's words, for a driver or an option that is none.
    """
    driver = asked.driver or default.driver
    below = default.options if driver == default.driver else {}
    config = LogConfig(driver, {**below, **asked.options})
    check(config)
    return config


def check(config: LogConfig) -> None:
    """Raises BadOption for what no log could be made of."""
    if config.driver == "none":
        return
    if config.driver not in OPTIONS:
        raise BadOption(f"logger: no log driver named '{config.driver}' is registered", hint=USE)
    for name in config.options:
        if name not in OPTIONS[config.driver]:
            raise BadOption(
                f"unknown log opt '{name}' for {config.driver} log driver",
                hint=f"Known are: {', '.join(sorted(OPTIONS[config.driver]))}.",
            )
    _check_mode(config.options)
    rotation(config)
    for name in ("labels-regex", "env-regex"):
        _pattern(config.options.get(name, ""), name)
    _check_tag(config.options.get("tag", ""))


def rotation(config: LogConfig) -> Rotation:
    """The limits of a log that is kept. Raises BadOption in docker's words."""
    options = {**DEFAULTS[config.driver], **config.options}
    max_size, max_files = _max_size(options["max-size"]), _max_files(options["max-file"])
    compress = _boolean(options["compress"])
    if compress and (max_files < 2 or not max_size):
        if config.driver == "local" and "compress" not in config.options:
            compress = False
        else:
            raise BadOption(
                "compress cannot be true when max-file is less than 2 or max-size is not set",
                hint="Set max-size, and max-file to 2 or more: only files that are finished are compressed.",
            )
    return Rotation(max_size, max_files, compress)


def attributes(config: LogConfig, container: Container) -> dict[str, str]:
    """What each line of the log carries beside its text, for ``logs --details``."""
    env = dict(pair.split("=", 1) for pair in container.env)
    found = {
        **_chosen(container.labels, config.options, "labels"),
        **_chosen(env, config.options, "env"),
    }
    if tag := config.options.get("tag", ""):
        values = _tag_fields(container)
        found["tag"] = _FIELD.sub(lambda match: values[match[1]], tag)
    return found


def _chosen(values: Mapping[str, str], options: Mapping[str, str], option: str) -> dict[str, str]:
    names = [name.strip() for name in options.get(option, "").split(",")]
    pattern = _pattern(options.get(f"{option}-regex", ""), f"{option}-regex")
    return {
        name: value
        for name, value in values.items()
        if name in names or (pattern is not None and pattern.search(name))
    }


def _tag_fields(container: Container) -> dict[str, str]:
    return {
        "ID": container.short_id,
        "FullID": container.id,
        "Name": container.name,
        "ImageID": container.image_id.removeprefix("sha256:")[:12],
        "ImageFullID": container.image_id,
        "ImageName": container.spec.image,
        "DaemonName": "linwin",
    }


TAG_FIELDS = ("ID", "FullID", "Name", "ImageID", "ImageFullID", "ImageName", "DaemonName")


def _check_tag(tag: str) -> None:
    rest = _FIELD.sub(lambda match: "" if match[1] in TAG_FIELDS else match[0], tag)
    if "{{" in rest:
        raise BadOption(
            f"invalid log opt tag: {tag!r}",
            hint=f"Text and these are understood: {', '.join('{{.' + name + '}}' for name in TAG_FIELDS)}.",
        )


def _check_mode(options: Mapping[str, str]) -> None:
    """Both modes mean the same here: a log is a file of this host, which nothing waits for."""
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise BadOption(f"logger: logging mode not supported: {mode}", hint="Use blocking or non-blocking.")
    if size := options.get("max-buffer-size", ""):
        if mode != "non-blocking":
            raise BadOption(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
                hint="Leave out max-buffer-size.",
            )
        _bytes(size)


def _max_size(text: str) -> int:
    if not text or text == "-1":
        return 0
    size = _bytes(text)
    if size <= 0:
        raise BadOption("max-size must be a positive number", hint="Write a size such as 10m.")
    return size


def _max_files(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,9}", text):
        raise BadOption(f"invalid max-file {text!r}", hint="Write a whole number, 1 or more.")
    if int(text) < 1:
        raise BadOption("max-file cannot be less than 1", hint="Write a whole number, 1 or more.")
    return int(text)


def _bytes(text: str) -> int:
    """``10m`` → 10,000,000: docker counts the sizes of logs in powers of a thousand."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise BadOption(f"invalid size: '{text}'", hint="Write a number and k, m or g, such as 10m.")
    return int(float(match[1]) * 1000 ** _POWER[match[2].lower()])


def _boolean(text: str) -> bool:
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise BadOption(f"invalid compress {text!r}", hint="Write true or false.")


def _pattern(text: str, option: str) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise BadOption(f"invalid log opt {option}: {error}", hint="Write a regular expression.") from error

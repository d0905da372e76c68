"""The options of ``run`` and ``create`` about mounts and volumes, as parts of the API's request body.

Sources that begin with a dot are completed here, as docker's client does: the daemon has a
working directory of its own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from linwin.cli.flags import TRUTH
from linwin.cli.units import parse_size
from linwin.errors import InvalidRequest

_LETTER = re.compile(r"[A-Za-z]")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def mounting(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the body, and of its HostConfig, where there is something to say. Raises InvalidRequest."""
    binds, alone = list[str](), dict[str, dict[str, str]]()
    for text in options["volumes"]:
        if len(_sections(text)) > 1:
            binds.append(_completed_bind(text))
        else:
            alone[text] = {}
    fields = {
        "Binds": binds,
        "Mounts": list(options["mounts"]),
        "Tmpfs": dict(map(_tmpfs, options["tmpfs"])),
        "VolumesFrom": list(options["volumes_from"]),
        "VolumeDriver": options["volume_driver"],
    }
    body = {"Volumes": alone} if alone else {}
    return body, {name: value for name, value in fields.items() if value}


def _sections(text: str) -> list[str]:
    """Source, target and mode of ``-v``, or a target alone; in docker's words for what is neither."""
    if not text:
        raise InvalidRequest("invalid empty volume spec", hint="write SOURCE:TARGET")
    sections = list[str]()
    for part in text.split(":"):
        if sections and _LETTER.fullmatch(sections[-1]):  # a drive's colon separates nothing
            sections[-1] += f":{part}"
        else:
            sections.append(part)
    if not all(sections):
        raise InvalidRequest(
            f"invalid spec: {text}: empty section between colons", hint="write SOURCE:TARGET[:MODE]"
        )
    if len(sections) > 3:
        raise InvalidRequest(f"invalid spec: {text}: too many colons", hint="write SOURCE:TARGET[:MODE]")
    return sections


def _completed_bind(text: str) -> str:
    source, colon, rest = text.partition(":")
    return f"{os.path.abspath(source) if source.startswith('.') else source}{colon}{rest}"


def _tmpfs(text: str) -> tuple[str, str]:
    drive = text[:2] if _LETTER.match(text) and text[1:2] == ":" else ""
    path, _, options = text.removeprefix(drive).partition(":")
    return drive + path, options


# --mount


def mounts(ctx: click.Context, param: click.Parameter, texts: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """``--mount`` as the API's Mounts. Raises UsageError in docker's words."""
    found = []
    for text in texts:
        try:
            found.append(parse(text))
        except ValueError as error:
            quoted = json.dumps(text, ensure_ascii=False)
            raise click.UsageError(f'invalid argument {quoted} for "--mount" flag: {error}', ctx) from error
    return tuple(found)


def parse(text: str) -> dict[str, Any]:
    """``type=bind,source=SOURCE,target=TARGET,…`` as docker's Mount. Raises ValueError in docker's words."""
    mount: dict[str, Any] = {"Type": "volume"}
    for field in _fields(text):
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals:
            if key not in _FLAGS:
                raise ValueError(f"invalid field '{field}' must be a key=value pair")
            value = "true"
        if key not in _KEYS:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
        path, read = _KEYS[key]
        try:
            _put(mount, path.split("."), read(value))
        except ValueError as error:
            raise ValueError(f"invalid value for {key}: {value}{error}") from error
    _check(mount)
    return mount


def _fields(text: str) -> Iterator[str]:
    """The fields of one line of comma-separated values, of which those in quotes may hold commas."""
    if not text:
        raise ValueError("value is empty")
    position = 0
    while position <= len(text):
        read = _quoted if text.startswith('"', position) else _plain
        field, end = read(text, position)
        yield field
        position = end + 1


def _quoted(text: str, position: int) -> tuple[str, int]:
    """The field in quotes at a position, and where it ends."""
    match = _QUOTED.match(text, position)
    end = match.end() if match else len(text) + 1
    if match is None or text[end : end + 1] not in ("", ","):
        raise ValueError(f'parse error on line 1, column {end}: extraneous or missing " in quoted-field')
    return match[1].replace('""', '"'), end


def _plain(text: str, position: int) -> tuple[str, int]:
    """The field without quotes at a position, and where it ends."""
    end = (text + ",").index(",", position)
    if (quote := text.find('"', position, end)) >= 0:
        raise ValueError(f'parse error on line 1, column {quote + 1}: bare " in non-quoted-field')
    return text[position:end], end


def _put(mount: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a field of an object in the Mount; an object's fields join those that it has."""
    *outer, last = path
    for name in outer:
        mount = mount.setdefault(name, {})
    if isinstance(value, dict):
        mount.setdefault(last, {}).update(value)
    else:
        mount[last] = value


def _check(mount: Mapping[str, Any]) -> None:
    for name in ("Type", "Target"):
        if not mount.get(name):
            raise ValueError(f"{name.lower()} is required")
    for kind in ("volume", "bind", "image", "tmpfs"):
        if kind != mount["Type"] and f"{kind.capitalize()}Options" in mount:
            raise ValueError(f"cannot mix '{kind}-*' options with mount type '{mount['Type']}'")
    options = mount.get("BindOptions", {})
    for name, word in (("ReadOnlyNonRecursive", "writable"), ("ReadOnlyForceRecursive", "readonly")):
        if options.get(name) and not mount.get("ReadOnly"):
            raise ValueError(
                f"option 'bind-recursive={word}' requires 'readonly' to be specified in conjunction"
            )
    if options.get("ReadOnlyForceRecursive") and options.get("Propagation") != "rprivate":
        raise ValueError(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in "
            "conjunction"
        )


# Values. What cannot be read raises ValueError with what to say behind "invalid value for KEY: VALUE".


def _source(text: str) -> str:
    is_relative = text in (".", "..") or text.startswith(("./", "../"))
    return os.path.abspath(text) if is_relative else text


def _truth(text: str) -> bool:
    if text not in TRUTH:
        raise ValueError("")
    return TRUTH[text]


def _pair(text: str) -> dict[str, str]:
    name, _, value = text.partition("=")
    return {name: value} if name else {}


def _recursion(text: str) -> dict[str, bool]:
    if text not in _RECURSIONS:
        raise ValueError(' (must be "enabled", "disabled", "writable", or "readonly")')
    return _RECURSIONS[text]


def _bytes(text: str) -> int:
    try:
        return parse_size(text)
    except InvalidRequest as error:
        raise ValueError("") from error


def _octal(text: str) -> int:
    if not re.fullmatch(r"[0-7]{1,11}", text):
        raise ValueError("")
    return int(text, 8)


def _identity(text: str) -> int:
    if not re.fullmatch(r"\d{1,10}", text):
        raise ValueError("")
    return int(text)


_RECURSIONS: Mapping[str, dict[str, bool]] = {
    "enabled": {},
    "disabled": {"NonRecursive": True},
    "writable": {"ReadOnlyNonRecursive": True},
    "readonly": {"ReadOnlyForceRecursive": True},
}
_FLAGS = frozenset({"readonly", "ro", "volume-nocopy", "bind-nonrecursive"})
"""Keys that may stand without a value."""
_KEYS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "type": ("Type", str.lower),
    **dict.fromkeys(("source", "src"), ("Source", _source)),
    **dict.fromkeys(("target", "dst", "destination"), ("Target", str)),
    **dict.fromkeys(("readonly", "ro"), ("ReadOnly", _truth)),
    "consistency": ("Consistency", str.lower),
    "bind-propagation": ("BindOptions.Propagation", str.lower),
    "bind-nonrecursive": ("BindOptions.NonRecursive", _truth),
    "bind-recursive": ("BindOptions", _recursion),
    "volume-nocopy": ("VolumeOptions.NoCopy", _truth),
    "volume-subpath": ("VolumeOptions.Subpath", str),
    "volume-label": ("VolumeOptions.Labels", _pair),
    "volume-driver": ("VolumeOptions.DriverConfig.Name", str),
    "volume-opt": ("VolumeOptions.DriverConfig.Options", _pair),
    "image-subpath": ("ImageOptions.Subpath", str),
    "tmpfs-size": ("TmpfsOptions.SizeBytes", _bytes),
    "tmpfs-mode": ("TmpfsOptions.Mode", _octal),
    "uid": ("Linwin.Uid", _identity),
    "gid": ("Linwin.Gid", _identity),
}
"""What each key sets in a Mount, and how its value is read; ``uid`` and ``gid`` are linwin's own."""

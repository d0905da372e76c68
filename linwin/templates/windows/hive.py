"""Registry hives: values, edits of them, and hivex to carry the edits out.

Edits go to hivexregedit as a .reg file in which every value is spelled in hex with its type, so
that no encoding is ever guessed. An empty hive, which hivex cannot make, is made here.

Format: "Windows registry file format specification" of the libregf project.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import InvalidRequest, Unavailable
from linwin.host import process
from linwin.templates.windows.security import key_descriptor

_TIMEOUT = 300.0  # seconds; the largest hive takes two
_BLOCK = 4096
_NONE = 0xFFFFFFFF
_PRINTABLE = re.compile(r"[ -~]+")
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_SETTING = re.compile(
    rf"^{_QUOTED}=(?:dword:([0-9a-f]{{8}})|(?:str\(2\):)?{_QUOTED})$", re.MULTILINE | re.DOTALL
)
_EXPORTED = re.compile(rf"^(?:\[\\(.*)\]|(?:@|{_QUOTED})=hex\(([0-9a-f]+)\):([0-9a-f,]*))$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Value:
    """A value's type, by its number in winnt.h, and its bytes."""

    kind: int
    data: bytes


Key = tuple[str, ...]
"""The names from the root of a hive to a key."""
Edits = Mapping[Key, Mapping[str, Value]]
"""Keys to be there, with values to be set in them; all else stays. The name ``""`` is the default value."""


def none() -> Value:
    return Value(0, b"")


def text(content: str) -> Value:
    """REG_SZ."""
    return Value(1, _utf16(content))


def expandable(content: str) -> Value:
    """REG_EXPAND_SZ: variables in it are replaced by whoever reads it."""
    return Value(2, _utf16(content))


def binary(data: bytes) -> Value:
    return Value(3, data)


def dword(number: int) -> Value:
    return Value(4, struct.pack("<I", number))


def texts(*contents: str) -> Value:
    """REG_MULTI_SZ."""
    return Value(7, b"".join(_utf16(content) for content in contents) + b"\0\0")


def combined(*parts: Edits) -> Edits:
    """All edits as one; of two values for one name the later stays."""
    result: dict[Key, dict[str, Value]] = {}
    for part in parts:
        for key, values in part.items():
            result.setdefault(key, {}).update(values)
    return result


def below(parent: Key, edits: Edits) -> Edits:
    """The same edits under another key."""
    return {(*parent, *key): values for key, values in edits.items()}


def reg_file(edits: Edits) -> bytes:
    """A .reg file for hivexregedit. Raises InvalidRequest for a name that it cannot spell."""
    lines = ["Windows Registry Editor Version 5.00", ""]
    for key, values in _with_parents(edits):
        lines.append("[\\" + "\\".join(_checked(name, "\\[]") for name in key) + "]")
        for name, value in values.items():
            label = '"' + _checked(name, "").replace("\\", "\\\\").replace('"', '\\"') + '"' if name else "@"
            lines.append(f"{label}=hex({value.kind:x}):{value.data.hex(',')}")
        lines.append("")
    return "\n".join(lines).encode("ascii")


async def merge(hive: Path, edits: Edits) -> None:
    """Carry edits out in a hive. Raises InvalidRequest for a file that is no hive or was not closed."""
    check(hive)
    source = hive.with_name(f"{hive.name}.reg")
    source.write_bytes(reg_file(edits))
    done = await process.run(["hivexregedit", "--merge", hive, source], timeout=_TIMEOUT)
    source.unlink()
    if done.returncode != 0:
        raise InvalidRequest(f"the registry hive {hive.name} cannot be edited: {done.last_words}")


async def settings(hive: Path, key: Key) -> dict[str, str | int]:
    """The texts and numbers of one key, and of none below it; none when the key is not there.

    Raises InvalidRequest for a hive that cannot be read.
    """
    if not all(map(_PRINTABLE.fullmatch, key)):
        return {}  # a name from the disk, of which a line could make a command
    words = "cd \\" + "\\".join(key) + "\nlsval\n"
    done = await process.run(["hivexsh", hive], input=words.encode(), timeout=_TIMEOUT)
    if done.returncode != 0 and "not found" in done.last_words:
        return {}
    if done.returncode != 0:
        raise InvalidRequest(f"the registry hive {hive.name} cannot be read: {done.last_words}")
    return {
        _unquoted(found[1]): int(found[2], 16) if found[2] else _unquoted(found[3])
        for found in _SETTING.finditer(done.stdout.decode(errors="replace"))
    }


async def exported(hive: Path, key: Key) -> dict[Key, dict[str, Value]]:
    """What is below a key, but for numbers, by the names from it on; nothing when the key is not there."""
    done = await process.run(["hivexregedit", "--export", hive, "\\" + "\\".join(key)], timeout=_TIMEOUT)
    found: dict[Key, dict[str, Value]] = {}
    values: dict[str, Value] = {}
    for line in _EXPORTED.finditer(done.stdout.decode(errors="replace")):
        if line[1] is not None:
            values = found.setdefault(tuple(line[1].split("\\"))[len(key) :], {})
        else:
            values[_unquoted(line[2] or "")] = Value(
                int(line[3], 16), bytes.fromhex(line[4].replace(",", ""))
            )
    return found


def strings(value: Value) -> tuple[str, ...]:
    """The texts in a value of the types REG_SZ, REG_EXPAND_SZ and REG_MULTI_SZ."""
    return tuple(filter(None, value.data.decode("utf-16-le", "replace").split("\0")))


def plain(value: Value) -> str | int:
    """A text or a number as :func:`settings` gives it."""
    return int.from_bytes(value.data, "little") if value.kind == 4 else "".join(strings(value))


async def control_set(system: Path) -> str:
    """The name of the control set that Windows boots with. Raises InvalidRequest without one."""
    selected = (await settings(system, ("Select",))).get("Current")
    if not isinstance(selected, int):
        raise InvalidRequest("the registry hive SYSTEM does not say which of its control sets is current")
    return f"ControlSet{selected:03}"


def check(hive: Path) -> None:
    """Raise InvalidRequest for what is no hive, or has changes that only its log holds."""
    try:
        with hive.open("rb") as file:
            start = file.read(12)
    except OSError as error:
        raise Unavailable(f"cannot read the registry hive {hive.name}: {error.strerror}") from error
    if len(start) < 12 or not start.startswith(b"regf"):
        raise InvalidRequest(f"{hive.name} is not a registry hive")
    first, second = struct.unpack_from("<II", start, 4)
    if first != second:
        raise InvalidRequest(
            f"the registry hive {hive.name} was not closed: its last changes are in its log alone",
            hint="use the image as Microsoft ships it, or one of a Windows that was shut down",
        )


def empty(root: str) -> bytes:
    """A hive that holds a root key of this name, and nothing else."""
    name = root.encode("latin-1")
    key = struct.pack(
        "<2sHQ15IHH", b"nk", 0x2C, 0, 0, _NONE, 0, 0, _NONE, _NONE, 0, _NONE,
        0x20 + _cell_size(76 + len(name)), _NONE, 0, 0, 0, 0, 0, len(name), 0,
    ) + name  # fmt: skip
    here = 0x20 + _cell_size(len(key))
    rights = key_descriptor()
    security = struct.pack("<2sHIIII", b"sk", 0, here, here, 1, len(rights)) + rights
    cells = _cell(key) + _cell(security)
    free = _BLOCK - 0x20 - len(cells)
    page = (
        struct.pack("<4sIIQQI", b"hbin", 0, _BLOCK, 0, 0, 0)
        + cells
        + struct.pack("<I", free).ljust(free, b"\0")
    )
    head = struct.pack("<4sIIQIIIIIII", b"regf", 1, 1, 0, 1, 3, 0, 1, 0x20, _BLOCK, 1).ljust(508, b"\0")
    return (head + struct.pack("<I", _checksum(head))).ljust(_BLOCK, b"\0") + page


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _with_parents(edits: Edits) -> Iterator[tuple[Key, Mapping[str, Value]]]:
    keys = {key[:length] for key in edits for length in range(1, len(key) + 1)}
    for key in sorted(keys):
        yield key, edits.get(key, {})


def _checked(name: str, forbidden: str) -> str:
    if not _PRINTABLE.fullmatch(name) or any(letter in name for letter in forbidden):
        raise InvalidRequest(f"{name!r} cannot be the name of a key or a value here")
    return name


def _utf16(content: str) -> bytes:
    return content.encode("utf-16-le") + b"\0\0"


def _cell_size(content: int) -> int:
    return -(-(content + 4) // 8) * 8


def _cell(content: bytes) -> bytes:
    size = _cell_size(len(content))
    return struct.pack("<i", -size) + content.ljust(size - 4, b"\0")


def _checksum(head: bytes) -> int:
    """Of the first 508 bytes: their words combined, where two results are never used."""
    result = 0
    for (word,) in struct.iter_unpack("<I", head):
        result ^= word
    return {0: 1, _NONE: _NONE - 1}.get(result, result)

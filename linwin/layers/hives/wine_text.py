"""Strings, values and times as Wine writes them into its registry files.

Format: ``WINE REGISTRY Version 2``, as Wine's server/registry.c reads it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

from linwin.layers.errors import Malformed
from linwin.layers.hives.names import text_of, units_of

REG_SZ, REG_EXPAND_SZ, REG_BINARY, REG_DWORD, REG_MULTI_SZ = 1, 2, 3, 4, 7
TEXTS = {REG_SZ: "", REG_EXPAND_SZ: "str(2):", REG_MULTI_SZ: "str(7):"}

BYTES_IN_LINE = 24
"""Of binary data; a backslash leads to the next line."""
SECONDS_FROM_1601_TO_1970 = 11_644_473_600
TICKS_PER_SECOND = 10_000_000

TEXT = re.compile(rb'(?:str(?:\(([27])\))?:)?"((?:[^"\\]|\\.)*)"\s*', re.DOTALL)
NUMBER = re.compile(rb"dword:([0-9a-fA-F]{1,8})\s*")
HEXADECIMAL = re.compile(rb"hex(?:\(([0-9a-fA-F]{1,8})\))?:")

LETTERS = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 27: "e"}
CHARACTERS = {letter: chr(unit) for unit, letter in LETTERS.items()}
ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{1,4})|([0-7]{1,3})|(.))|([^\\]+)", re.DOTALL)


def escape(text: str, special: str) -> str:
    """``text`` in ASCII; ``special`` are the characters that need a backslash beside itself."""
    if text.isascii() and text.isprintable() and "\\" not in text and not any(c in text for c in special):
        return text
    return "".join(escape_unit(unit, special) for unit in units_of(text))


def escape_unit(unit: int, special: str) -> str:
    if unit > 126:
        return f"\\x{unit:04x}"
    if unit < 32:
        return f"\\{LETTERS[unit]}" if unit in LETTERS else f"\\{unit:03o}"
    character = chr(unit)
    return f"\\{character}" if character == "\\" or character in special else character


def unescape(text: bytes) -> str:
    """What :func:`escape` wrote, or Wine itself; bytes outside ASCII are UTF-8."""
    if b"\\" not in text and text.isascii():
        return text.decode("ascii")
    return text_of(b"".join(unescaped(match) for match in ESCAPE.finditer(text)))


def unescaped(match: re.Match[bytes]) -> bytes:
    hexadecimal, octal, letter, plain = match.groups()
    if hexadecimal:
        return struct.pack("<H", int(hexadecimal, 16))
    if octal:
        return struct.pack("<H", int(octal, 8))
    if letter:
        text = letter.decode("latin-1")
        return CHARACTERS.get(text, text).encode("utf-16-le")
    try:
        return plain.decode().encode("utf-16-le")
    except UnicodeDecodeError as error:
        raise Malformed("a name in it is neither ASCII nor UTF-8") from error


def key_line(path: Iterable[str], written: int) -> str:
    """The line that begins a key. ``written`` is a FILETIME."""
    name = "\\\\".join(escape(part, "[]") for part in path)
    return f"[{name}] {max(written // TICKS_PER_SECOND - SECONDS_FROM_1601_TO_1970, 0)}"


def time_line(written: int) -> str:
    return f"#time={written:x}"


def value_name(name: str) -> str:
    """What begins a value's line."""
    return f'"{escape(name, chr(34))}"=' if name else "@="


def value_data(type: int, data: bytes) -> str:
    """What follows a value's name, on as many lines as it takes."""
    if type in TEXTS and len(data) >= 2 and len(data) % 2 == 0 and data.endswith(b"\0\0"):
        text = text_of(data[:-2])
        return f'{TEXTS[type]}"{escape(text, chr(34))}"'
    if type == REG_DWORD and len(data) == 4:
        return f"dword:{int.from_bytes(data, 'little'):08x}"
    return ("hex:" if type == REG_BINARY else f"hex({type:x}):") + hexadecimal(data)


def hexadecimal(data: bytes) -> str:
    lines = (data[at : at + BYTES_IN_LINE].hex(",") for at in range(0, len(data), BYTES_IN_LINE))
    return ",\\\n  ".join(lines)


def value_of(text: bytes) -> tuple[int, bytes]:
    """Type and data of a value, from what follows its name. Raises Malformed."""
    if match := TEXT.fullmatch(text):
        content = unescape(match[2]).encode("utf-16-le", "surrogatepass")
        return int(match[1] or b"1"), content + b"\0\0"
    if match := NUMBER.fullmatch(text):
        return REG_DWORD, int(match[1], 16).to_bytes(4, "little")
    if match := HEXADECIMAL.match(text):
        return int(match[1] or b"3", 16), bytes_of(text[match.end() :])
    raise Malformed("it has a value that is not written as Wine writes values")


def bytes_of(digits: bytes) -> bytes:
    """The bytes that ``5c,00,\\…`` stands for. Raises Malformed."""
    try:
        return bytes.fromhex(re.sub(rb"[\\,\s]", b"", digits).decode("ascii"))
    except ValueError as error:
        raise Malformed("it has binary data that is none") from error

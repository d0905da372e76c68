"""Detach keys: how a terminal's user lets go of a program without ending it."""

from __future__ import annotations

DEFAULT_KEYS = "ctrl-p,ctrl-q"
SPELLING = "Separate keys by commas; a key is one character, or ctrl- and a letter or one of @ [ \\ ] ^ _."

_CONTROLS = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}
_CONTROLS |= {chr(ord("a") + n): n + 1 for n in range(26)}


def parse_keys(text: str) -> bytes:
    """The bytes of ``ctrl-p,ctrl-q``, ``a,b,ctrl-@``…; of the default where ``text`` is empty.

    A key is one character, or ``ctrl-`` and one of a-z, ``@ [ \\ ] ^ _``. Raises ValueError, naming the key.
    """
    return bytes(_key(name) for name in (text or DEFAULT_KEYS).split(","))


def _key(name: str) -> int:
    control = name.lower().removeprefix("ctrl-")
    if control != name.lower() and control in _CONTROLS:
        return _CONTROLS[control]
    if len(name) == 1 and name.isascii():
        return ord(name)
    raise ValueError(f"unknown key '{name}'")


class DetachScanner:
    """Finds the detach keys in a terminal's input, however that is chunked.

    The beginning of the keys is held back until the next byte tells whether the
    rest follows, as docker does.
    """

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0

    def scan(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on of ``data`` and of what was held, and whether the keys were all there."""
        passed = bytearray()
        for byte in data:
            if byte != self._keys[self._held]:
                passed += self._keys[: self._held]
                self._held = 0
            if byte != self._keys[self._held]:
                passed.append(byte)
                continue
            self._held += 1
            if self._held == len(self._keys):
                self._held = 0
                return bytes(passed), True
        return bytes(passed), False

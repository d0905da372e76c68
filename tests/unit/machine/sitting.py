"""Somebody who sits at a machine: a guest that answers what is typed, a VNC client, a reader of PNGs."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from linwin.machine.line import SocketLine

TEXT = "press any key"

# Linux/x86 boot protocol 2.06: the header says where things are; the code runs in real mode behind it,
# with the firmware's services, which drive the screen and the USB keyboard.
_SECTOR, _CODE = 512, 0x280
_ECHO = bytes.fromhex(
    "fb 0e 1f fc"  # sti; ds = cs; cld
    "be 0000"  # mov si, text: filled in
    "ac 84c0 7405 e82900 ebf6"  # lodsb; until it is zero: show it
    "b401 cd16 740d"  # again: has a key been typed?
    "30e4 cd16 e81a00 baf803 ee ebed"  # take it; show it; send it by the serial port; again
    "bafd03 ec a801 74e5"  # has the serial port received?
    "baf803 ec 3420 ee e80200 ebd9"  # send it back in the other case; show it; again
    "50 b40e bb0700 cd10 58 c3"  # show: int 0x10, teletype
)
_TEXT_OPERAND = 5


def echo_guest() -> bytes:
    """A kernel that shows a text and what is typed, which it also writes to the serial port.

    A letter that came by the serial port goes back in the other case.
    """
    entry = _SECTOR
    code = bytearray(_ECHO)
    struct.pack_into("<H", code, _TEXT_OPERAND, _CODE - entry + len(code))
    image = bytearray(4 * _SECTOR)
    image[_CODE : _CODE + len(code) + len(TEXT)] = code + TEXT.encode()
    image[0x1F1] = 3  # sectors behind the first one
    image[0x1FE:0x200] = b"\x55\xaa"
    image[entry : entry + 2] = b"\xeb" + bytes([_CODE - entry - 2])  # jump over the rest of the header
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, 0x0206)
    image[0x211] = 1  # loaded high
    struct.pack_into("<I", image, 0x22C, 0x37FFFFFF)  # an initrd lies below that
    return bytes(image) + bytes(_SECTOR)


@dataclass(frozen=True)
class Picture:
    """Width and height in pixels, and the colours that are in it."""

    width: int
    height: int
    colours: frozenset[bytes]


def read_png(data: bytes) -> Picture:
    """Decode an RGB PNG of 8 bits a channel (PNG specification, 11.2.1 and 9.2)."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    position, packed, size, channels = 8, b"", (0, 0), 0
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        assert checksum == zlib.crc32(kind + body)
        if kind == b"IHDR":
            *size_, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert (depth, interlaced) == (8, 0)
            size, channels = (size_[0], size_[1]), {2: 3, 6: 4}[colour]
        packed += body if kind == b"IDAT" else b""
        position += 12 + length
    return Picture(*size, frozenset(_pixels(zlib.decompress(packed), size[0] * channels, channels)))


def _pixels(data: bytes, stride: int, channels: int) -> set[bytes]:
    found: set[bytes] = set()
    above = bytes(stride)
    for start in range(0, len(data), stride + 1):
        kind, line = data[start], bytearray(data[start + 1 : start + 1 + stride])
        for x, value in enumerate(line):
            left = line[x - channels] if x >= channels else 0
            corner = above[x - channels] if x >= channels else 0
            line[x] = (value + _predicted(kind, left, above[x], corner)) & 0xFF
        above = bytes(line)
        found |= {above[x : x + channels] for x in range(0, stride, channels)}
    return found


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    paeth = min((left, up, corner), key=lambda one: abs(estimate - one))
    return (0, left, up, (left + up) // 2, paeth)[kind]


class Viewer:
    """A VNC client (RFC 6143) that looks at nothing and types."""

    def __init__(self, line: SocketLine) -> None:
        self._line = line
        self._pending = b""

    async def _exactly(self, count: int) -> bytes:
        while len(self._pending) < count:
            data = await self._line.receive()
            assert data, "the server hung up"
            self._pending += data
        data, self._pending = self._pending[:count], self._pending[count:]
        return data

    async def greet(self) -> tuple[int, int, str]:
        """The handshake without a password; width, height and name of the screen."""
        assert await self._exactly(12) == b"RFB 003.008\n"
        await self._line.send(b"RFB 003.008\n")
        (count,) = await self._exactly(1)
        assert b"\x01" in await self._exactly(count)  # None
        await self._line.send(b"\x01")
        assert await self._exactly(4) == bytes(4)
        await self._line.send(b"\x01")  # shared
        width, height, *_, length = struct.unpack(">HH16sI", await self._exactly(24))
        return width, height, (await self._exactly(length)).decode()

    async def press(self, letter: str) -> None:
        for down in (1, 0):
            await self._line.send(struct.pack(">BBHI", 4, down, 0, ord(letter)))

"""What linwin's own links and rules are called on the host.

A link's name has at most 15 characters: ``lwb`` (bridge) or ``lwt`` (tap), five characters for
the root and seven for the network or endpoint. Whatever is called so is this root's. A tap that
is plugged in nowhere yet (``lws`` and a number) is its machine's, and ends with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

BRIDGES = "lwb"
"""What the names of all roots' bridges begin with, for the host's administrator to name them by."""

SPARES = "lws"
"""What the names of all roots' taps begin with that are plugged in nowhere."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ROOT_DIGITS = 5
_ID_DIGITS = 7


@dataclass(frozen=True, slots=True)
class HostNames:
    """The names of one root, from its tag (:attr:`linwin.paths.Paths.tag`).

    ``file_server`` is where the root's own listens, an address of this host and a port.
    """

    tag: str
    file_server: tuple[str, int]

    @property
    def table(self) -> str:
        """The nftables table, in the families inet and bridge."""
        return f"linwin_{self.tag}"

    @property
    def bridges(self) -> str:
        """What the names of all bridges begin with."""
        return BRIDGES + _short(self.tag, _ROOT_DIGITS)

    @property
    def taps(self) -> str:
        """What the names of all taps begin with."""
        return "lwt" + _short(self.tag, _ROOT_DIGITS)

    @property
    def spare_taps(self) -> str:
        """What taps are called that are plugged in nowhere, with ``%d`` for their numbers."""
        return SPARES + _short(self.tag, _ROOT_DIGITS) + "%d"

    def bridge(self, network_id: str) -> str:
        return self.bridges + _short(network_id, _ID_DIGITS)

    def tap(self, attachment_id: str) -> str:
        return self.taps + _short(attachment_id, _ID_DIGITS)

    def bridge_mac(self, network_id: str) -> str:
        """A bridge without an address of its own takes on its ports', and guests lose their gateway."""
        digest = hashlib.sha256(f"{self.tag} {network_id}".encode()).digest()
        return ":".join(f"{byte:02x}" for byte in (0x02, 0x4C, *digest[:4]))

    def owns(self, link: str) -> bool:
        return link.startswith((self.bridges, self.taps))


def _short(hexadecimal: str, length: int) -> str:
    """The last digits of a number in base 36: as many different names as the length allows."""
    number = int(hexadecimal, 16)
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits

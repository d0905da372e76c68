"""Looks whether somebody else on this host drops what containers send.

What one table drops no other can let through, and others' tables are not ours to change. Docker's
is the usual one: it has iptables drop whatever is forwarded and is not its own.
"""

from __future__ import annotations

from linwin.host import process
from linwin.network.names import BRIDGES

_TIMEOUT = 30.0


async def trouble() -> str:
    """What the host's iptables do to containers, and what to do about it; empty when nothing is known.

    A rule that names linwin's bridges is taken for the administrator's answer. Raises Unavailable
    when nft cannot be run.
    """
    found = await process.run(["nft", "list", "table", "ip", "filter"], timeout=_TIMEOUT)
    table = found.stdout.decode(errors="replace")
    if f'"{BRIDGES}' in table or not _drops_forwarded(table):
        return ""  # also where there is no such table
    where = "DOCKER-USER" if "chain DOCKER-USER" in table else "FORWARD"
    return (
        "iptables on this host drop what is forwarded, and so what containers send; let them through with: "
        f"iptables -I {where} -i '{BRIDGES}+' -j ACCEPT; iptables -I {where} -o '{BRIDGES}+' -j ACCEPT"
    )


def _drops_forwarded(table: str) -> bool:
    """Is there a chain on the way of forwarded packets whose policy is to drop them?"""
    return any("hook forward" in line and "policy drop" in line for line in table.splitlines())

"""What a container sends its host over TCP, beside the same guest on a bare tap and bridge.

Ours is a container on the default network. A Windows program in both sends as many
bytes as it is asked for; the host counts them, and takes the time from the first.
Many short transfers in turn, since emulated guests share what CPUs there are with whatever
else the host does.

    scripts/bench net [--runs 25] [--bytes 100000000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import time

from figures import Figure, in_turn
from hand_made import GUEST, SECONDS, HandMade, bridge, built_program, container, hand_made, line_of, linwin

from linwin.model.network import DEFAULT_NETWORK

PORT = 8080
TARGET = 0.9
PIECE = 1 << 20
MEGA = 1_000_000


def rate(client: socket.socket, address: str, count: int) -> float:
    """Megabytes a second of what the guest at this address sends."""
    buffer, received = bytearray(PIECE), 0
    with client:
        client.settimeout(SECONDS)
        client.connect((address, PORT))
        client.sendall(b"%d\n" % count)
        received = first = client.recv_into(buffer)
        start = time.monotonic()
        while piece := client.recv_into(buffer):
            received += piece
        elapsed = time.monotonic() - start
    assert received == count, f"{received} bytes came"
    return (received - first) / elapsed / MEGA


def measure(identity: str, peer: HandMade, runs: int, count: int) -> Figure:
    networks = json.loads(linwin("inspect", identity))[0]["NetworkSettings"]["Networks"]
    address = networks[DEFAULT_NETWORK]["IPAddress"]

    def ours() -> float:
        return rate(socket.socket(), address, count)

    def theirs() -> float:
        return rate(peer.network.socket(socket.AF_INET), GUEST, count)

    in_turn(1, ours, theirs)  # an emulator meets all code for the first time once
    mine, other = in_turn(runs, ours, theirs)
    note = f"median of {runs}, {count // MEGA} MB each; peer: such a guest on a bridge without rules"
    return Figure("TCP from guest to host", round(mine, 1), round(other, 1), "MB/s", {"min": TARGET}, note)


async def bench(runs: int, count: int) -> Figure:
    with built_program() as program, container(program, words=("serve", str(PORT))) as mine:
        assert (said := mine.line()) == "listening", said
        with bridge() as network:
            async with hand_made(network, program) as peer:
                said = await line_of(await peer.spawn("serve", str(PORT)))
                assert said == "listening", said
                return await asyncio.to_thread(measure, mine.id, peer, runs, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--bytes", type=int, default=100 * MEGA)
    options = parser.parse_args()
    figure = asyncio.run(bench(options.runs, options.bytes))
    print(figure.line())
    sys.exit(not figure.met)


if __name__ == "__main__":
    main()

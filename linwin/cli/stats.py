"""``linwin stats``: what containers take, as a table that is drawn again and again."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import click

from linwin.cli import failures
from linwin.cli.connect import connect
from linwin.cli.options import arguments, listing_format
from linwin.cli.output import Listing, short_id
from linwin.cli.units import binary_size, human_size, parse_moment
from linwin.client import Client, quote
from linwin.errors import LinwinError

REFRESH = 1.0
"""Seconds between two tables; the daemon has no newer numbers before."""
NOTHING = "--"
CLEAR, HOME, REST_OF_LINE, REST_OF_SCREEN = "\x1b[2J", "\x1b[H", "\x1b[K", "\x1b[J"

# docker's columns for a Windows daemon.
LISTING = Listing(
    headers={
        "Container": "CONTAINER",
        "ID": "CONTAINER ID",
        "Name": "NAME",
        "CPUPerc": "CPU %",
        "MemUsage": "PRIV WORKING SET",
        "MemPerc": "MEM %",
        "NetIO": "NET I/O",
        "BlockIO": "BLOCK I/O",
        "PIDs": "PIDS",
    },
    columns=("ID", "Name", "CPUPerc", "MemUsage", "NetIO", "BlockIO"),
    quiet="ID",
)


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Show all containers, not only running ones.")
@listing_format()
@click.option("--no-stream", is_flag=True, help="Show one table and end.")
@click.option("--no-trunc", is_flag=True, help="Do not cut ids.")
@arguments(0, None, "[CONTAINER...]")
def stats(everything: bool, form: str | None, no_stream: bool, no_trunc: bool, names: tuple[str, ...]) -> int:
    """Show what containers take: those named, or all that run and those that start meanwhile."""
    board = Board(connect(), names, everything=everything, stream=not no_stream)
    board.update()
    board.await_first()
    if problems := board.problems:
        for problem in problems:
            failures.show(problem)
        return failures.FAILED
    screen = sys.stdout.isatty() and not no_stream
    if screen:
        sys.stdout.write(CLEAR)
    while True:
        _draw(board.rows(full=no_trunc), form, screen=screen)
        if no_stream or board.over.wait(REFRESH):
            return 0
        board.update()


def _draw(rows: Sequence[Mapping[str, Any]], form: str | None, *, screen: bool) -> None:
    if not screen:
        LISTING.show(rows, form)
        sys.stdout.flush()
        return
    sys.stdout.write(HOME)
    lines = LISTING.text(rows, form)
    sys.stdout.write("".join(f"{line}{REST_OF_LINE}\n" for line in lines) + REST_OF_SCREEN)
    sys.stdout.flush()


class Board:
    """The containers that are shown, each with a thread that reads what its daemon sends."""

    def __init__(self, client: Client, names: Sequence[str], *, everything: bool, stream: bool) -> None:
        self._client = client
        self._names = names
        self._everything = everything
        self._stream = stream
        self._watches: dict[str, Watch] = {}
        self.over = threading.Event()
        """All named containers are no more."""

    def update(self) -> None:
        """Begin to watch what is new, and forget what does not run any more."""
        wanted = self._names or self._listed()
        for name in [name for name in self._watches if name not in wanted]:
            self._watches.pop(name).close()
        for name in wanted:
            if name not in self._watches:
                self._watches[name] = Watch(self._client, name, self._ended, stream=self._stream)

    def _listed(self) -> list[str]:
        found = self._client.get("/containers/json", all=self._everything or None)
        return [short_id(item["Id"]) for item in found]

    def await_first(self) -> None:
        """Return when each container has told something."""
        for watch in tuple(self._watches.values()):
            watch.told.wait()

    @property
    def problems(self) -> list[LinwinError]:
        """Why containers that were named cannot be watched."""
        return [watch.problem for watch in self._watches.values() if watch.problem and self._names]

    def rows(self, *, full: bool) -> list[dict[str, Any]]:
        """One for each container, as docker shows it."""
        return [_row(name, watch.sample, full) for name, watch in self._watches.items()]

    def _ended(self) -> None:
        if self._names and self._stream and all(watch.ended for watch in tuple(self._watches.values())):
            self.over.set()


class Watch:
    """One container's newest sample."""

    def __init__(self, client: Client, name: str, ended: Any, *, stream: bool) -> None:
        self.sample: Mapping[str, Any] | None = None
        self.problem: LinwinError | None = None
        self.told = threading.Event()
        self.ended = False
        self._closed = False
        self._when_ended = ended
        path = f"/containers/{quote(name)}/stats"
        threading.Thread(target=self._read, args=(client, path, stream), daemon=True).start()

    def close(self) -> None:
        """Stop reading with the next sample."""
        self._closed = True

    def _read(self, client: Client, path: str, stream: bool) -> None:
        try:
            for sample in client.lines("GET", path, stream=stream):
                self.sample = sample
                self.told.set()
                if self._closed:
                    break
        except LinwinError as error:
            self.problem = error
        self.ended = True
        self.told.set()
        self._when_ended()


def _row(name: str, sample: Mapping[str, Any] | None, full: bool) -> dict[str, Any]:
    if sample is None:
        return {**dict.fromkeys(LISTING.headers, NOTHING), "Container": name, "ID": ""}
    disk, networks = sample.get("storage_stats") or {}, (sample.get("networks") or {}).values()
    received = sum(network["rx_bytes"] for network in networks)
    sent = sum(network["tx_bytes"] for network in networks)
    return {
        "Container": name,
        "ID": short_id(sample["id"], full=full),
        "Name": sample["name"].removeprefix("/"),
        "CPUPerc": f"{cpu_percentage(sample):.2f}%",
        "MemUsage": binary_size((sample.get("memory_stats") or {}).get("privateworkingset", 0)),
        "MemPerc": NOTHING,
        "NetIO": f"{human_size(received)} / {human_size(sent)}",
        "BlockIO": (
            f"{human_size(disk.get('read_size_bytes', 0))} / {human_size(disk.get('write_size_bytes', 0))}"
        ),
        "PIDs": NOTHING,
    }


def cpu_percentage(sample: Mapping[str, Any]) -> float:
    """Of all processors together, since the sample before; docker's formula for Windows."""
    possible = (_nanoseconds(sample["read"]) - _nanoseconds(sample["preread"])) // 100 * sample["num_procs"]
    if possible <= 0:
        return 0.0
    used = (
        (sample["cpu_stats"]["cpu_usage"]["total_usage"])
        - (sample["precpu_stats"]["cpu_usage"]["total_usage"])
    )
    return float(used / possible * 100)


def _nanoseconds(moment: str) -> int:
    """Since 1970; 0 for what was before, as docker's zero time."""
    return int(parse_moment(moment, now=0).replace(".", ""))

"""Wine on this host, with a prefix of its own that is gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
START_TIMEOUT = 300
"""Seconds. A new prefix takes five on an idle machine."""


def wine_loader() -> Path | None:
    """The 64-bit loader of Debian's wine64, which lies outside of PATH, or another on it."""
    places = [Path("/usr/lib/wine/wine64"), *map(Path, filter(None, map(shutil.which, ("wine64", "wine"))))]
    return next((place for place in places if place.exists()), None)


@dataclass(frozen=True)
class Wine:
    """A running Wine and its C: drive, a folder."""

    loader: Path
    prefix: Path

    @property
    def drive(self) -> Path:
        return self.prefix / "drive_c"

    @property
    def environment(self) -> dict[str, str]:
        """Without a display, and without offers to install Mono and Gecko."""
        inherited = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        return {
            **inherited,
            "WINEPREFIX": str(self.prefix),
            "WINEDLLOVERRIDES": "mscoree,mshtml=",
            "WINEDEBUG": "-all",
        }

    def run(self, *words: str, code: int = 0) -> str:
        """Run a Windows program to its end, insist on its exit code, return what it printed."""
        # Files, since Wine's services inherit the handles and would keep a pipe open.
        output = self.prefix / "run.log"
        with output.open("wb") as file:
            done = subprocess.run(
                [self.loader, *words],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                timeout=START_TIMEOUT,
            )  # fmt: skip
        printed = output.read_text(errors="replace")
        assert done.returncode == code, f"exit {done.returncode}: {printed}"
        return printed

    @property
    def server(self) -> Path:
        beside = self.loader.with_name("wineserver64")
        return beside if beside.exists() else Path(shutil.which("wineserver") or "wineserver")


@contextmanager
def wine(loader: Path, prefix: Path) -> Iterator[Wine]:
    """Start Wine in a new prefix; end it, whatever runs in it, on exit."""
    made = Wine(loader, prefix)
    prefix.mkdir()
    _set_up(made)
    server = subprocess.Popen(
        [made.server, "--foreground", "--persistent"],
        env=made.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield made
    finally:
        subprocess.run([made.server, "--kill"], env=made.environment, check=True)
        server.wait(START_TIMEOUT)


def _set_up(made: Wine) -> None:
    """Make the prefix and let it settle: Wine's services go on for seconds after wineboot has ended."""
    made.run("wineboot", "-i")
    # Without a display, or each key to a console waits ten seconds for one.
    made.run("reg", "add", "HKCU\\Software\\Wine\\Drivers", "/v", "Graphics", "/d", "null")
    subprocess.run([made.server, "--wait"], env=made.environment, check=True, timeout=START_TIMEOUT)
    _stand_in(made)


def _stand_in(made: Wine) -> None:
    """Give an older Wine the one DLL that Go's runtime needs and it lacks."""
    system = made.drive / "windows" / "system32"
    if not (system / "bcryptprimitives.dll").exists():
        subprocess.run(
            ["x86_64-w64-mingw32-gcc", "-shared", "-Os", "-o", system / "bcryptprimitives.dll",
             HERE / "bcryptprimitives.c", "-ladvapi32"],
            check=True,
        )  # fmt: skip

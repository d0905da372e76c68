"""What the CLI expects of ``python -m linwin.daemon``: lock, pid file, ready line, SIGTERM; and no engine.

With ``--purge-network`` it leaves a file ``purged``. ``STAND_IN`` makes it fail: ``refuse``
reports an error, ``die`` ends without
a word to the starter, ``deaf`` is ready but listens nowhere.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from contextlib import nullcontext

from linwin.paths import Paths
from tests.unit.cli.fake_daemon import FakeDaemon, Reply


def main() -> None:
    mode, paths = os.environ.get("STAND_IN", ""), Paths.from_environment()
    print("stand-in starts", flush=True)
    if mode == "die":
        sys.exit("Traceback: everything is broken")
    if "--purge-network" in sys.argv:
        if mode == "refuse":
            sys.exit("linwin: nft is not there\nInstall nftables.")
        paths.root.joinpath("purged").touch()
        return
    ready = os.environ.get("LINWIN_READY_FD")
    if mode == "refuse":
        tell(ready, "error: the database is from a newer linwin")
        sys.exit("it will not do")
    paths.root.mkdir(parents=True, exist_ok=True)
    lock = os.open(paths.daemon_lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    paths.daemon_pid.write_text(f"{os.getpid()}\n")
    paths.socket.unlink(missing_ok=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with nullcontext() if mode == "deaf" else FakeDaemon(paths.socket) as fake:
        if fake is not None:
            fake.on("GET /_ping", Reply(body=b"OK"))
            fake.on("GET /containers/json", [])
        tell(ready, "ready")
        signal.sigwait({signal.SIGTERM})
    paths.socket.unlink(missing_ok=True)
    paths.daemon_pid.unlink()
    print("stand-in stops", flush=True)


def tell(descriptor: str | None, line: str) -> None:
    if descriptor is not None:
        with open(int(descriptor), "w") as pipe:
            print(line, file=pipe)


main()

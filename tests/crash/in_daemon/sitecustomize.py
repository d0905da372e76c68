"""Python runs this first of all in the daemons of the crash tests: it kills them between two steps.

A step is what Python is about to do to a file below the root, the scratch
folder left out, or the start of a program: an audit event (PEP 578), which
comes before the thing is done, so nothing happens between the step that was
reached and the end.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from linwin.paths import Paths
from tests.crash.steps import COUNT_AND_LIMIT, shared

_CHANGES = frozenset({"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"})
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_DIRECTORY  # a folder is opened to be synced


def _count_steps(file: str) -> None:
    memory, lock = shared(file), threading.Lock()
    paths = Paths.from_environment()
    root, scratch = f"{paths.root}/", f"{paths.scratch}"

    def lasts(path: object) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        name = os.fsdecode(path)
        return name.startswith(root) and not name.startswith(scratch)

    def is_step(event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            return bool(arguments[2] and arguments[2] & _WRITES) and lasts(arguments[0])
        return event == "subprocess.Popen" or (event in _CHANGES and any(map(lasts, arguments[:2])))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not is_step(event, arguments):
            return
        with lock:
            count, limit = COUNT_AND_LIMIT.unpack_from(memory)
            COUNT_AND_LIMIT.pack_into(memory, 0, count + 1, limit)
            if count + 1 == limit:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if "linwin.daemon" in sys.orig_argv:
    _count_steps(os.environ["LINWIN_CRASH_STEPS"])

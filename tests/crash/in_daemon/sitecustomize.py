"""Python runs this first of all in the daemons of the crash tests: it kills them between two steps.

A step is what Python is about to do to a file below the root, or the start of a
program: an audit event (PEP 578), which comes before the thing is done, so no
time passes between the step that was reached and the end.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from tests.crash.steps import COUNT_AND_LIMIT, shared

_CHANGES = frozenset({"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"})
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_DIRECTORY  # a folder is opened to be synced


def _count_steps(file: str) -> None:
    memory, lock, root = shared(file), threading.Lock(), os.environ["LINWIN_ROOT"]

    def is_step(event: str, arguments: tuple[object, ...]) -> bool:
        if event == "subprocess.Popen":
            return True
        if event not in _CHANGES and not (event == "open" and int(str(arguments[2] or 0)) & _WRITES):
            return False
        path = arguments[0]
        return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(root)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
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

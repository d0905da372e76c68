"""Execs: programs that are run in a container beside its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExecSpec:
    """An exec as its user asked for it, after parsing.

    ``working_dir`` and ``user`` are empty where the container's own apply.
    ``console_size`` is (rows, columns), of use with ``tty`` only, (0, 0) where
    none was named. ``privileged`` changes nothing in a guest and is only echoed.
    """

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    tty: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    privileged: bool = False
    detach_keys: str = ""
    console_size: tuple[int, int] = (0, 0)

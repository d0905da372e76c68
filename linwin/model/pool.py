"""The pool: guests that are restored before anybody needs them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """How many guests are to be ready, and of which kind.

    ``template`` is a name, empty for the first that can be restored; ``memory``
    is in MiB and ``cpus`` a count, 0 for the defaults.
    """

    size: int = 0
    template: str = ""
    memory: int = 0
    cpus: int = 0

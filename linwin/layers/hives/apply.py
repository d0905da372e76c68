"""Applies the operations of one delta to a registry, past the keys that are protected."""

from __future__ import annotations

from collections.abc import Iterable

from linwin.layers.hives.operations import (
    DeleteKey,
    DeleteValue,
    Operation,
    PutKey,
    Registry,
    SetValue,
)
from linwin.layers.hives.protect import Protection


def apply(operations: Iterable[Operation], registry: Registry, protection: Protection) -> None:
    """Apply ``operations``, in their order. Raises Malformed, and what they raise.

    Nothing at or below a protected key is changed, and none is deleted together
    with a key above it.
    """
    for operation in operations:
        if not protection.forbids(operation.path):
            apply_one(operation, registry, protection)


def apply_one(operation: Operation, registry: Registry, protection: Protection) -> None:
    match operation:
        case PutKey():
            registry.put_key(operation, protection.keep)
        case DeleteKey(path):
            registry.delete_key(path, protection.keep)
        case SetValue():
            registry.set_value(operation)
        case DeleteValue(path, name):
            registry.delete_value(path, name)

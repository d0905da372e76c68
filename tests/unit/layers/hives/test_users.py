"""The keys of a wine guest's user, on their way through the delta of SOFTWARE."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linwin.layers.errors import Malformed
from linwin.layers.hives import USERS_KEYS, Operation, UsersOperations, users
from linwin.layers.hives.operations import DeleteKey, SetValue
from linwin.layers.hives.records import Lower
from tests.unit.layers.hives.hive_writer import REG_SZ, text, upper
from tests.unit.layers.hives.test_delta import put


def sorted_out(*operations: Operation) -> tuple[list[Operation], list[Operation]]:
    """What is about other keys, and what is kept of the user's."""
    kept = UsersOperations(upper)
    return list(kept.taken_from(operations)), kept.kept


def test_keys_of_the_user_are_taken_out() -> None:
    value = SetValue((*USERS_KEYS, "Environment"), "X", REG_SZ, text("y"))
    others, kept = sorted_out(
        put(),
        put("linwin", class_name=None),
        put("LINWIN", "currentuser", class_name=None),
        put(*USERS_KEYS, "Environment"),
        value,
        DeleteKey((*USERS_KEYS, "Gone")),
        put("linwin2"),
    )
    assert others == [put(), put("linwin2")]
    assert kept == [
        replace(put(class_name=None), flags=0x20),
        put("Environment"),
        replace(value, path=("Environment",)),
        DeleteKey(("Gone",)),
    ]


@pytest.mark.parametrize(
    "operation",
    [
        put("linwin", class_name=""),
        put("linwin", class_name=None, lower=Lower.NODE_REPLACED),
        put("linwin", "Other", class_name=None),
        SetValue(("linwin",), "v", REG_SZ, b""),
        DeleteKey(("linwin",)),
    ],
)
def test_what_is_said_of_other_keys_stays(operation: Operation) -> None:
    assert sorted_out(operation) == ([operation], [])


def test_as_much_is_kept_as_the_file_could_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "LARGEST_FILE", 1000)
    value = SetValue(USERS_KEYS, "v", REG_SZ, bytes(501))
    with pytest.raises(Malformed, match=r"^it has more of the user's keys than Wine's registry can hold$"):
        sorted_out(value, value)

"""A QEMU that hangs: nothing that is asked of it is waited for without end."""

from __future__ import annotations

import asyncio
from unittest.mock import create_autospec

import pytest
from qemu.qmp import QMPClient

from linwin.errors import Unavailable
from linwin.machine import monitor
from linwin.machine.monitor import Monitor


async def no_answer(*_: object) -> None:
    await asyncio.get_running_loop().create_future()


async def test_no_command_is_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "ANSWER_SECONDS", 0.01)
    client = create_autospec(QMPClient, instance=True)
    client.execute.side_effect = no_answer
    silent = Monitor(client)
    async with asyncio.timeout(30):
        with pytest.raises(Unavailable, match="did not answer query-status"):
            await silent.execute("query-status")
        # What follows a netdev_add that was not answered either, which is what its caller has to tell.
        await silent.take_back("tap")
    assert [call.args[0] for call in client.execute.call_args_list] == ["query-status", "closefd"]

"""attach: a client comes to a container's streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linwin.engine import pause
from linwin.engine.streams import Attachment
from linwin.model.container import LogQuery
from linwin.model.guest import StreamName

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def attach(
    engine: Engine,
    reference: str,
    wanted: frozenset[StreamName],
    *,
    stdin: bool,
    logs: bool,
    stream: bool,
) -> Attachment:
    """A client's end of a container's streams. See :meth:`linwin.engine.engine.Engine.attach`."""
    container = await engine.rooms.state.get(reference)
    pause.refuse(container, "attach")
    shared = engine.live(container.id).streams
    query = LogQuery(stdout="stdout" in wanted, stderr="stderr" in wanted)
    attachment = Attachment(
        shared,
        # What is logged up to now; the rest is published from now on (see watch.py).
        history=engine.rooms.state.log(container).read(query) if logs else None,
        stdin=stdin and container.spec.open_stdin,
        half_close=container.spec.stdin_once and not container.spec.tty,
        wanted=wanted,
    )
    if stream:
        shared.attach(attachment)
        engine.events.container(container, "attach")
    else:
        attachment.finish()
    return attachment

"""console: a machine's serial console and its screen, for who wants to see what its guest does."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from linwin.engine import policy
from linwin.engine.interfaces import Line, Machine
from linwin.errors import Conflict, Unsupported
from linwin.model.container import Container
from linwin.model.template import Template

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def console(engine: Engine, reference: str) -> Console:
    """Those of a container's machine, also while its guest comes up or is paused.

    Raises Conflict, in docker's words, for a container that has no machine.
    """
    container = await engine.rooms.state.get(reference)
    live = engine.live(container.id)
    machine = live.run.machine if live.run is not None else live.coming_up
    if machine is None:
        policy.refuse(container)
        raise Conflict(
            f"container {container.id} is not running", hint=f"Start it first: linwin start {container.name}"
        )
    return Console(container, await engine.rooms.templates.get(container.template), machine)


class Console:
    """What can be seen of one machine, and done at it. All raise Unavailable where the machine fails."""

    def __init__(self, container: Container, template: Template, machine: Machine) -> None:
        self._container = container
        self._template = template
        self._machine = machine

    def read(self, *, last: int | None, follow: bool) -> AsyncGenerator[str, None]:
        """What is kept of the serial console, from the ``last`` lines on where given, as printable text.

        With ``follow`` also what comes, until the machine ends.
        """
        return self._machine.console(last=last, follow=follow)

    async def open(self) -> Line:
        """The serial console as a terminal has it.

        Raises Unsupported for a guest that reads nothing from it, Conflict while another client has it.
        """
        if not self._template.has_screen:
            raise Unsupported(
                f"nobody can type at the console of {self._container.name}: "
                f"a guest of the kind {self._template.kind} only writes to it",
                hint=f"Run a program in it: linwin exec -it {self._container.name} cmd",
            )
        return await self._machine.open_console()

    async def screenshot(self) -> bytes:
        """A PNG of what the screen shows. Raises Unsupported for a guest without a screen."""
        self._require_screen()
        return await self._machine.screenshot()

    async def open_screen(self) -> Line:
        """A connection with the screen's VNC server. Raises Unsupported for a guest without a screen."""
        self._require_screen()
        return await self._machine.open_screen()

    def _require_screen(self) -> None:
        if not self._template.has_screen:
            raise Unsupported(
                f"{self._container.name} has no screen: the console of a guest of the kind "
                f"{self._template.kind} is text",
                hint=f"Read it: linwin console {self._container.name}",
            )

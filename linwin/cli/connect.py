"""The client that every command uses: it starts the daemon when none runs."""

from __future__ import annotations

import errno
from typing import Any

from linwin.client import Client, Response, Unreachable


class StartingClient(Client):
    """A client that, where no daemon listens on its unix socket, starts one and asks again."""

    def request(self, *args: Any, **kwargs: Any) -> Response:
        """See :meth:`linwin.client.Client.request`."""
        try:
            return super().request(*args, **kwargs)
        except Unreachable as error:
            if not self._nobody_listens(error):
                raise
        # Nothing of the request was sent or read yet, so it can be made again.
        from linwin.cli.daemon_process import start_daemon

        start_daemon()
        return super().request(*args, **kwargs)

    def _nobody_listens(self, error: Unreachable) -> bool:
        """True for no socket and for a socket nobody accepts on; not for a refused permission."""
        cause = error.__cause__
        absent = isinstance(cause, OSError) and cause.errno in (errno.ENOENT, errno.ECONNREFUSED)
        return absent and self.host.startswith("unix://")


def connect() -> Client:
    """The client for ``LINWIN_HOST``. Opens no connection yet."""
    return StartingClient()

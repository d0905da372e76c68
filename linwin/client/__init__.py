"""A client of the daemon's API, in the standard library only and quick to import.

    client = Client("unix:///run/linwin/linwin.sock")
    client.ping()                                            # Unreachable when no daemon answers
    client.get("/containers/json", all=True)                 # parsed JSON
    client.post("/containers/create", body={...}, name="x")  # keyword arguments are the query
    client.delete(f"/containers/{id}", force=True)
    for line in client.lines("POST", "/linwin/templates/wine/build"): ...
    for line in client.load(open("image.tar", "rb")): ...
    for stream, data in client.logs(id, follow=True): ...

    with client.attach(id, stdin=True) as attachment, client.wait(id, "next-exit") as waiting:
        client.post(f"/containers/{id}/start")
        attachment.feed(0)                                   # descriptor 0 → stdin, then half-close
        for stream, data in attachment: ...
        code, error = waiting.result()

Every error is a kind of :mod:`linwin.errors`, with the message and the hint
that the daemon sent. Path segments that hold user input go through
:func:`quote` (slashes of image names may stay).
"""

from linwin.client.client import Client, Waiting
from linwin.client.failures import Unreachable
from linwin.client.http import Response, default_host, quote
from linwin.client.streams import Attachment

__all__ = ["Attachment", "Client", "Response", "Unreachable", "Waiting", "default_host", "quote"]

"""The Docker Engine API (v1.24 to v1.50) over the engine, and linwin's small extension of it.

One file a noun: :mod:`system`, :mod:`images` (which come and go in
:mod:`registry` and :mod:`archives`), :mod:`containers` (with their streams in
:mod:`streams`), :mod:`auth`, :mod:`prune`, :mod:`upkeep` and :mod:`templates`.
A handler parses (:mod:`query`, :mod:`wire`), calls one verb of the engine, and
renders (:mod:`render`).
"""

from linwin.api.server import make_app, serve
from linwin.api.tls import TlsAddress
from linwin.api.unix import check_unused

__all__ = ["TlsAddress", "check_unused", "make_app", "serve"]

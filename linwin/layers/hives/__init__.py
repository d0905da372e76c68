"""Registry hives: deltas of layers → operations → a binary hive, or Wine's text."""

from linwin.layers.hives.apply import apply
from linwin.layers.hives.delta import read_delta
from linwin.layers.hives.edit import HiveEditor
from linwin.layers.hives.names import Fold
from linwin.layers.hives.operations import Operation, Registry
from linwin.layers.hives.protect import PROTECTED, WINE_LINKS, Protection
from linwin.layers.hives.storage import Readable, Writable
from linwin.layers.hives.wine import WineHive
from linwin.layers.hives.wine_file import WineFile

__all__ = [
    "PROTECTED",
    "WINE_LINKS",
    "Fold",
    "HiveEditor",
    "Operation",
    "Protection",
    "Readable",
    "Registry",
    "WineFile",
    "WineHive",
    "Writable",
    "apply",
    "read_delta",
]

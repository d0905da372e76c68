"""Registry hives: deltas of layers → operations → a binary hive, or Wine's text; and back."""

from linwin.layers.hives.apply import apply
from linwin.layers.hives.compare import compare
from linwin.layers.hives.delta import read_delta
from linwin.layers.hives.delta_writer import write_delta
from linwin.layers.hives.edit import HiveEditor
from linwin.layers.hives.hive_registry import hive_keys
from linwin.layers.hives.names import Fold
from linwin.layers.hives.noise import noise_of
from linwin.layers.hives.operations import Operation, PutKey, Registry
from linwin.layers.hives.protect import PROTECTED, WINE_LINKS, Protection
from linwin.layers.hives.storage import InMemory, Readable, Writable
from linwin.layers.hives.users import USERS_KEYS, UsersOperations
from linwin.layers.hives.wine import WineHive
from linwin.layers.hives.wine_file import WineFile
from linwin.layers.hives.wine_registry import wine_key

__all__ = [
    "PROTECTED",
    "USERS_KEYS",
    "WINE_LINKS",
    "Fold",
    "HiveEditor",
    "InMemory",
    "Operation",
    "Protection",
    "PutKey",
    "Readable",
    "Registry",
    "UsersOperations",
    "WineFile",
    "WineHive",
    "Writable",
    "apply",
    "compare",
    "hive_keys",
    "noise_of",
    "read_delta",
    "wine_key",
    "write_delta",
]

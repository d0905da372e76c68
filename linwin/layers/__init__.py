"""Windows layer tar ↔ entries."""

from linwin.layers.decode import EPOCH
from linwin.layers.entries import (
    FILE_ATTRIBUTE_DIRECTORY,
    AlternateStream,
    Content,
    Directory,
    Entry,
    File,
    HardLink,
    HiveDelta,
    Metadata,
    OpaqueWhiteout,
    ReparsePoint,
    Whiteout,
)
from linwin.layers.names import Area
from linwin.layers.reader import DAMAGED, quoted, read_layer, short

__all__ = [
    "DAMAGED",
    "EPOCH",
    "FILE_ATTRIBUTE_DIRECTORY",
    "AlternateStream",
    "Area",
    "Content",
    "Directory",
    "Entry",
    "File",
    "HardLink",
    "HiveDelta",
    "Metadata",
    "OpaqueWhiteout",
    "ReparsePoint",
    "Whiteout",
    "quoted",
    "read_layer",
    "short",
]

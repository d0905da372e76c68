"""The one exception that travels inside this room."""

from __future__ import annotations


class Malformed(Exception):
    """A part of a layer is not as its format demands.

    The message completes the sentence ``layer X, entry Y: …``;
    :class:`linwin.layers.reader.LayerReader` knows X and Y and raises
    InvalidRequest in its place.
    """

"""Failures of one transfer that its caller may still mend; they never leave this room."""

from __future__ import annotations


class Cut(Exception):
    """The transfer broke off, or gave less than was promised. Another attempt may succeed."""


class Absent(Exception):
    """The registry does not have the blob. Another source may."""

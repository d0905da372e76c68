"""Containers and their logs, on disk."""

from linwin.state.database import Database

__all__ = ["Database"]

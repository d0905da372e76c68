"""Entries → NTFS → qcow2 chains."""

from linwin.disks.chains import ChainDisks

__all__ = ["ChainDisks"]

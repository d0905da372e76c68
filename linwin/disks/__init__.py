"""Entries → NTFS → qcow2 chains."""

from linwin.disks.chains import ChainDisks, next_chain_id

__all__ = ["ChainDisks", "next_chain_id"]

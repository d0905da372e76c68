"""Machines: describes virtual machines, drives QEMU, and finds out what accelerates it."""

from linwin.machine.qemu import QemuMachines

__all__ = ["QemuMachines"]

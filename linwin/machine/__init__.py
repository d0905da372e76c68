"""Machines: describes virtual machines, drives QEMU, and finds out what accelerates it."""

from linwin.machine.qemu import DEFAULT_BUDGET, QemuMachines

__all__ = ["DEFAULT_BUDGET", "QemuMachines"]

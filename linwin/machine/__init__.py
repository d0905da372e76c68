"""Machines: describes virtual machines, drives QEMU or libvirt, and finds out what accelerates them."""

from linwin.machine.libvirt import LibvirtMachines, left_running
from linwin.machine.qemu import DEFAULT_BUDGET, QemuMachines

__all__ = ["DEFAULT_BUDGET", "LibvirtMachines", "QemuMachines", "left_running"]

"""The libvirt driver: the same machines, as domains that virsh and other tools of the host see."""

from linwin.machine.libvirt.machines import LibvirtMachines, left_running

__all__ = ["LibvirtMachines", "left_running"]

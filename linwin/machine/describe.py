"""From what is asked for to a machine, complete: one that starts a kernel of ours, or one of firmware's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid5

from linwin.errors import InvalidRequest
from linwin.machine import domain, windows
from linwin.machine.domain import (
    CMDLINES,
    CPU_MODELS,
    DEFAULT_CPUS,
    MOST_PORTS,
    Accelerator,
    Descriptors,
    Domain,
    Ram,
    machine_name,
)
from linwin.machine.windows import WindowsDomain
from linwin.model.machine import FirmwareBoot, LinuxBoot, MachineSpec

AnyDomain = Domain | WindowsDomain

_GENERATIONS = UUID("0f3d3c3f-6f0c-4f6a-9d1c-8b7a6f1d2c45")
_ANY_FIRMWARE = Path("firmware")


def describe(
    spec: MachineSpec,
    accelerator: Accelerator,
    descriptors: Descriptors,
    ram: Ram | None = None,
    *,
    clone: bool = False,
    firmware: Path | None = None,
) -> AnyDomain:
    """Say which machine serves ``spec``. Raises InvalidRequest for one that cannot be built.

    ``firmware`` is the code of a machine that firmware starts; such a one is never a ``clone``, and its
    RAM is its own.
    """
    if not 0 < spec.spare_ports <= MOST_PORTS:
        raise InvalidRequest(f"a machine has 1 to {MOST_PORTS} hot-plug ports, not {spec.spare_ports}")
    match spec.boot:
        case LinuxBoot() as boot:
            return _of_ours(spec, boot, accelerator, descriptors, ram, clone=clone)
        case FirmwareBoot() as boot:
            if clone or ram is not None or firmware is None:
                raise ValueError("a machine that firmware starts is started from the beginning")
            return _of_firmware(spec, boot, accelerator, descriptors, firmware)


def arguments(machine: AnyDomain) -> list[str]:
    """QEMU's arguments for a machine, without the program itself."""
    match machine:
        case Domain():
            return domain.arguments(machine)
        case WindowsDomain():
            return windows.arguments(machine)


def describe_any(spec: MachineSpec, accelerator: Accelerator) -> AnyDomain:
    """The machine without what differs between the clones of one checkpoint.

    Where the template lies is no matter either, since its digest tells what it is: a root
    can be moved.
    """
    match spec.boot:
        case LinuxBoot() as boot:
            anywhere = replace(boot, kernel=Path("kernel"), initrd=Path("initrd"), root_disk=Path("root"))
            anybody = replace(spec, id="", boot=anywhere, c_disk=spec.c_disk and Path("c"))
        case FirmwareBoot():
            anybody = replace(spec, id="")
    descriptors = Descriptors(0, 0, 0, 0 if spec.nic else None, 0 if spec.screen else None)
    firmware = _ANY_FIRMWARE if isinstance(spec.boot, FirmwareBoot) else None
    return describe(anybody, accelerator, descriptors, firmware=firmware)


def _of_ours(
    spec: MachineSpec,
    boot: LinuxBoot,
    accelerator: Accelerator,
    descriptors: Descriptors,
    ram: Ram | None,
    *,
    clone: bool,
) -> Domain:
    return Domain(
        name=machine_name(spec),
        accelerator=accelerator,
        cpu_model=CPU_MODELS[accelerator],
        cpus=spec.cpus or DEFAULT_CPUS[accelerator],
        memory=spec.memory,
        kernel=boot.kernel,
        initrd=boot.initrd,
        # A guest that panics reboots at once, which -no-reboot turns into QEMU's exit.
        cmdline=f"{boot.cmdline} panic=-1{CMDLINES[accelerator]}",
        root_disk=boot.root_disk,
        c_disk=spec.c_disk,
        spare_ports=spec.spare_ports,
        descriptors=descriptors,
        ram=ram,
        clone=clone,
        screen=spec.screen,
    )


def _of_firmware(
    spec: MachineSpec, boot: FirmwareBoot, accelerator: Accelerator, descriptors: Descriptors, firmware: Path
) -> WindowsDomain:
    if spec.c_disk is None or spec.nic or not spec.screen:
        raise ValueError("a machine that firmware starts has C: and a screen, and no NIC from its start")
    return WindowsDomain(
        name=machine_name(spec),
        accelerator=accelerator,
        cpus=spec.cpus or DEFAULT_CPUS[accelerator],
        memory=spec.memory,
        firmware=firmware,
        variables=boot.variables,
        disk=spec.c_disk,
        bus=boot.bus,
        discs=boot.discs,
        reboots=boot.reboots,
        # The same whenever a container starts, and another for each: its disk is a copy of the image's.
        generation=uuid5(_GENERATIONS, spec.id),
        spare_ports=spec.spare_ports,
        descriptors=descriptors,
    )

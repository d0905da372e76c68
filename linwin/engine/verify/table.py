"""The checks, in the order in which they are made: what is needed less often comes first or last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from linwin.engine.verify import (
    guests,
    lifetimes,
    made_images,
    programs,
    reaching,
    starting,
    storage,
    terminals,
    windows,
)
from linwin.engine.verify.check import Check

BOOT_LIMIT = 300.0
"""Seconds with KVM for checks that start guests themselves, beside those that a start is given."""
BOX = ("box",)


def _starts(group: str, name: str, proves: str, run: Callable[..., Awaitable[str]], *uses: str) -> Check:
    """A check that starts a guest itself."""
    return Check(group, name, proves, run, (), BOOT_LIMIT, uses, starts=1)


CHECKS = (
    _starts("start", "cold", "a guest boots from nothing, and a program runs in it", starting.boots, "cold"),
    Check("start", "cold-clock", "its clock is right", starting.clock, ("cold",)),
    _starts("start", "checkpoint", "a booted guest is frozen and kept", starting.makes_checkpoint),
    _starts("start", "restored", "a guest comes up from the checkpoint", starting.restores, "box"),
    _starts("start", "restored-clock", "its clock is right", starting.restored_clock, "box"),
    Check("start", "agent", "the agent is the one that this linwin comes with", starting.agent, BOX),
    Check("programs", "exit-code", "exit codes arrive whole", programs.exit_codes, BOX),
    Check("programs", "missing", "a program that is not there is said to be missing", programs.missing, BOX),
    Check("programs", "streams", "stdout and stderr are two streams", programs.streams, BOX),
    Check("programs", "end-of-input", "the end of the input arrives", programs.end_of_input, BOX),
    Check("programs", "megabyte", "a megabyte goes there and back unchanged", programs.megabyte, BOX, 120),
    Check("programs", "environment", "variables arrive as they were given", programs.environment, BOX),
    Check("programs", "folder", "a program starts in the folder it is told", programs.working_folder, BOX),
    Check("programs", "command-line", "a command line arrives as it was quoted", programs.command_line, BOX),
    Check("programs", "arguments", "a program finds the arguments it was given", programs.arguments, BOX),
    Check("programs", "administrator", "programs run as ContainerAdministrator", programs.administrator, BOX),
    Check("programs", "user", "programs run as ContainerUser", programs.user, BOX),
    Check("programs", "nobody", "a user that is not there is refused", programs.no_such_user, BOX),
    Check("programs", "processes", "what runs can be listed", programs.processes, BOX),
    Check("terminal", "size", "programs see the terminal's size", terminals.size, BOX),
    Check("terminal", "resize", "programs see it change", terminals.resize, BOX),
    Check("terminal", "interrupt", "Ctrl-C ends a program", terminals.interrupt, BOX),
    Check("files", "copy", "files are copied in and out, with their times", storage.copies, BOX),
    Check("files", "fresh", "a file that was just written can be copied", storage.copies_of_the_guest, BOX),
    Check("guest", "build", "Windows is of the template's build", programs.build, BOX),
    Check("guest", "name", "the computer is called as the container", programs.computer_name, BOX),
    Check("guest", "memory", "the guest has the memory it was given", guests.memory, BOX),
    Check("guest", "time-zone", "the time zone is UTC", guests.time_zone, BOX),
    Check("guest", "stats", "the guest tells what it takes", guests.stats, BOX),
    Check("guest", "clones", "two guests are two computers", guests.differ, ("box", "twin")),
    Check("windows", "agent-service", "the agent's service runs", windows.agent_service, BOX),
    Check("windows", "services", "services are started and stopped", windows.service_control, BOX),
    Check("windows", "drivers", "the drivers of virtual devices run", windows.drivers, BOX),
    Check("windows", "devices", "no virtual device has a problem", windows.devices, BOX),
    Check("windows", "activation", "Windows is activated, or may be tried", windows.activation, BOX),
    Check(
        "images",
        "commit",
        "a container becomes an image that runs",
        made_images.commits,
        BOX,
        BOOT_LIMIT,
        starts=1,
        ends=1,
    ),
    Check("life", "pause", "a guest is halted and goes on", lifetimes.pauses, BOX),
    Check("life", "stop", "a program ends that is asked to", lifetimes.stops, ("mortal",), ends=1),
    Check("life", "at-rest", "its files are on its disk then", lifetimes.keeps_files, uses=("mortal",)),
    _starts("life", "start", "it starts again, with its files", lifetimes.starts_again, "mortal"),
    Check("life", "kill", "it is killed at once", lifetimes.is_killed, ("mortal",), ends=1),
    Check(
        "life",
        "heals",
        "a guest that is lost is started again",
        lifetimes.heals,
        ("healing",),
        starts=1,
        ends=1,
    ),
    _starts("mounts", "from-host", "the guest reads a folder of the host", storage.from_the_host, "mounted"),
    _starts("mounts", "to-host", "the host reads what the guest wrote there", storage.to_the_host, "mounted"),
    _starts("mounts", "read-only", "a mount that is read-only is not written", storage.read_only, "mounted"),
    Check(
        "mounts",
        "volume",
        "a volume outlives its container",
        storage.volume,
        (),
        BOOT_LIMIT,
        ("mounted",),
        starts=2,
        ends=1,
    ),
    Check("network", "address", "the guest has the address it was allotted", reaching.address, ("web",), 180),
    Check("network", "gateway", "its gateway answers", reaching.gateway, ("web",), 180),
    Check("network", "names", "containers find one another by name", reaching.names, ("peer", "web"), 180),
    Check("network", "neighbour", "containers reach one another", reaching.neighbour, ("peer", "web")),
    Check("network", "published", "the host reaches a published port", reaching.published, ("web",), 180),
)
"""All but the last, which is made when all is over: see :mod:`linwin.engine.verify.run`."""
GROUPS = tuple(dict.fromkeys(check.group for check in CHECKS))
"""What a user may choose of them, in their order."""

"""Containers: what was asked for and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from linwin.model.health import HealthCheck, HealthStatus
from linwin.model.mount import Mount
from linwin.model.network import Attachment, EndpointSpec, PortRequest
from linwin.model.restart import RestartPolicy

Status = Literal[
    "created", "starting", "running", "paused", "stopping", "restarting", "exited", "removing", "dead"
]
"""``starting`` and ``stopping`` are intents: written before the work they name begins.

``restarting`` is one too: its run has ended, and its policy is to start it again.
"""

Boot = Literal["", "cold", "restored"]
"""How a guest came up; empty for one that never did."""

WaitCondition = Literal["not-running", "next-exit", "removed"]


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container as its user asked for it, after parsing and before any look-up.

    ``entrypoint`` and ``cmd`` are None where the image's own apply, and empty
    where the user cleared them. ``memory`` is in bytes and ``cpus`` a count,
    0 for the defaults. ``cold`` asks for a guest that boots and is not restored,
    ``template`` for one of the template of that name; empty has the best one chosen.
    ``stop_timeout`` is in seconds. ``log_driver`` is empty for the daemon's default
    (:mod:`linwin.model.log_config` knows the options). ``console_size`` is
    (rows, columns). ``health_check`` None is for the image's own.
    ``endpoints`` None is for the default network, and empty for none. ``publish_all`` publishes every
    exposed port beside ``ports``. ``dns`` and ``dns_search`` empty are for the network's own.
    ``extra_hosts`` are ``NAME:ADDRESS``, or ``NAME:host-gateway``. ``volumes`` are paths at which
    linwin is to make a volume; ``volumes_from`` are ``CONTAINER[:MODE]``, whose mounts this one gets too.
    ``args_escaped`` says that the first word of ``cmd`` is a verbatim command line.
    ``host_config`` is what the client sent, echoed by inspect.
    """

    image: str
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    hostname: str = ""
    domainname: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    volumes_from: tuple[str, ...] = ()
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    stop_signal: str = ""
    stop_timeout: int | None = None
    auto_remove: bool = False
    memory: int = 0
    cpus: int = 0
    console_size: tuple[int, int] = (0, 0)
    cold: bool = False
    template: str = ""
    log_driver: str = ""
    log_options: Mapping[str, str] = field(default_factory=dict)
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    health_check: HealthCheck | None = None
    endpoints: tuple[EndpointSpec, ...] | None = None
    ports: tuple[PortRequest, ...] = ()
    publish_all: bool = False
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    args_escaped: bool = False
    host_config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Update:
    """What is to become of a container's spec; 0 and None change nothing.

    ``host_config`` is what the client sent of it, laid over what inspect echoes.
    """

    memory: int = 0
    cpus: int = 0
    restart: RestartPolicy | None = None
    host_config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Container:
    """One container as the state room keeps it.

    ``argv`` is the resolved command, and ``command_line`` what must reach the
    program verbatim, where an image wrote a line. ``env`` holds image and user
    variables merged. Times are nanoseconds since the epoch, 0 for never. ``uid`` is the
    host user of its machine. ``pid`` is its QEMU's, 0 when none runs.
    ``starts`` counts starts; it names the process in the guest's agent.
    ``boot`` is how the guest of the last start came up.
    ``restart_count`` counts the restarts by policy since its user last started it, and
    ``stopped_by_hand`` says that its user, and not the daemon's end, stopped it since.
    ``health_check`` is the spec's over the image's, ``health`` its last status; ``shell``
    is the image's, which runs checks. ``exposed_ports`` are the image's and the user's.
    ``attachments`` are what was allotted to it in its networks, while it has or gets a machine;
    the way out leads through the first that is not of an internal network.
    One that is ``unreadable`` has lost its record, as
    ``error`` says: it is dead, its files are kept, and everything but ``id``, ``name`` and
    ``created_at`` may be empty.
    """

    id: str
    name: str
    spec: ContainerSpec
    image_id: str
    template: str
    chain_id: str
    argv: tuple[str, ...]
    command_line: str | None
    env: tuple[str, ...]
    cwd: str
    user: str
    labels: Mapping[str, str]
    uid: int
    created_at: int
    status: Status = "created"
    exit_code: int = 0
    error: str = ""
    started_at: int = 0
    finished_at: int = 0
    pid: int = 0
    starts: int = 0
    boot: Boot = ""
    restart_count: int = 0
    stopped_by_hand: bool = False
    shell: tuple[str, ...] = ()
    health_check: HealthCheck | None = None
    health: HealthStatus = ""
    exposed_ports: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    mounts: tuple[Mount, ...] = ()
    unreadable: bool = False

    @property
    def short_id(self) -> str:
        """The first twelve digits, as every listing shows them."""
        return self.id[:12]


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One piece of logged output: at most one line, its newline included where it had one.

    ``attributes`` are what the log's options choose of the container's labels and variables.
    """

    stream: Literal["stdout", "stderr"]
    time_ns: int
    data: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which part of a log to read. ``tail`` None means all; times in ns, 0 for open.

    As docker does, ``tail`` lines are counted first, whatever their stream and time.
    """

    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    tail: int | None = None
    since: int = 0
    until: int = 0

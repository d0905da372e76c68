"""Networks, and how containers are attached to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Protocol = Literal["tcp", "udp"]

DEFAULT_NETWORK = "nat"
"""What docker on Windows calls the network of containers that name none."""

NETWORK_DRIVER = "nat"
"""What docker on Windows calls the driver of such networks."""

MTU_OPTION = "com.docker.network.driver.mtu"
"""What docker calls the option that says how many bytes a network's largest packet has."""

USUAL_MTU = 1500

NO_NETWORK = "none"
"""What docker calls having no network."""

FILES_NETWORK = "linwin-files"
"""The link of containers that have mounts and no network: it leads to the file server alone."""

USER_NETWORK = "user"
"""The network that QEMU itself is for one guest, by sockets of the machine's own user."""

USER_RESOLVER = "10.0.2.3"
"""Where QEMU answers for the host's name servers."""

HOST_NAME = "host.linwin.internal"
"""The host, as containers of every network name it."""

HOST_GATEWAY = "host-gateway"
"""What docker's users write for the host's address, where they give a name an address."""


@dataclass(frozen=True, slots=True)
class Subnet:
    """One address range of a network, IPv4 or IPv6, in CIDR notation.

    ``gateway`` is the host's address in it. ``ip_range`` is where addresses are taken from
    that nobody chose, empty for the whole subnet. ``reserved`` are addresses, by a name that
    means something to the user alone, that no container is given.
    """

    subnet: str
    gateway: str
    ip_range: str = ""
    reserved: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Network:
    """One bridge network.

    ``id`` is 64 hexadecimal digits, ``created_at`` nanoseconds since the epoch. From an
    ``internal`` one nothing is reached but the containers in it. ``options`` are what the
    client sent, echoed by inspect.
    """

    id: str
    name: str
    created_at: int
    subnets: tuple[Subnet, ...]
    internal: bool = False
    ipv6: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def short_id(self) -> str:
        """The first twelve digits, as every listing shows them."""
        return self.id[:12]

    @property
    def isolated(self) -> bool:
        """Whether its containers reach nothing in it but the file server, one another neither."""
        return self.name == FILES_NETWORK

    @property
    def emulated(self) -> bool:
        """Whether nothing of it is on the host: each container in it has one of its own."""
        return self.name == USER_NETWORK

    @property
    def mtu(self) -> int:
        """Bytes of the largest packet, on the guests' side and the host's."""
        return int(self.options.get(MTU_OPTION, USUAL_MTU))


USER_SUBNET = Subnet("10.0.2.0/24", "10.0.2.2", ip_range="10.0.2.16/28")
"""That of every :data:`USER_NETWORK`; the gateway is the host's loopback."""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network as its user asked for it. A subnet's gateway is empty where linwin is to choose it.

    Without ``subnets`` of a family linwin chooses one.
    """

    name: str
    subnets: tuple[Subnet, ...] = ()
    internal: bool = False
    ipv6: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PortRequest:
    """A port of a container that its user wants published.

    On the host it is ``first``, or any that is free from there to ``last``; 0 leaves the choice
    to linwin. ``host_ip`` empty is every address.
    """

    container_port: int
    protocol: Protocol
    host_ip: str = ""
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class PortBinding:
    """A port of the host that leads to one of a container. ``host_ip`` empty is every address.

    ``host_port`` is 0 in what a user asked for who leaves the choice to linwin, never in an
    :class:`Attachment`.
    """

    container_port: int
    protocol: Protocol
    host_ip: str = ""
    host_port: int = 0


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """A container in a network as its user asked for it; empty is for linwin to choose.

    ``network`` is a name or id. ``aliases`` are further DNS names in that network. The way
    out leads through the network of the highest ``gateway_priority``, the first by name of several.
    """

    network: str
    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    gateway_priority: int = 0


@dataclass(frozen=True, slots=True)
class Attachment:
    """One NIC of one container that runs or is being started: all that the host has to know of it.

    ``id`` (64 hexadecimal digits) is docker's EndpointID. Addresses are without a prefix
    length, ``ipv6`` empty where its network has none. ``names`` are what the container is
    called in this network: its name, short id, aliases. ``ports`` are published here.
    ``uid`` is the host user of the container's machine, ``nic`` what the NIC is called there, empty
    where that goes by ``id``. Through one with ``files`` the container reaches the file server.
    """

    id: str
    network_id: str
    container_id: str
    mac: str
    ipv4: str
    ipv6: str = ""
    names: tuple[str, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    uid: int = 0
    nic: str = ""
    files: bool = False


@dataclass(frozen=True, slots=True)
class HostNetworks:
    """Everything that is to exist on the host: what :meth:`Networks.apply` makes true."""

    networks: tuple[Network, ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class HostName:
    """A name that a container's user gave an address, for the container alone."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Interface:
    """One NIC as a guest's agent configures it.

    Addresses carry their prefix length (``172.20.0.2/16``). ``gateway4`` and ``gateway6`` are
    empty where there is no way out. ``dns`` are servers, ``search`` domains. ``found`` is the
    address that the NIC has before, empty where that is ``mac`` too.
    """

    mac: str
    addresses: tuple[str, ...]
    gateway4: str = ""
    gateway6: str = ""
    dns: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    mtu: int = USUAL_MTU
    found: str = ""

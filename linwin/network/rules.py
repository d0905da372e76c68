"""The nftables rules of one root: a pure function from what is to exist to the text for ``nft -f``.

Two tables of our own, replaced in one transaction. ``inet`` translates addresses and says who
reaches whom; ``bridge`` sees every frame as it leaves a guest, and lets no guest pretend to be
another. What belongs to one container is an element of a set, so that neither the number of
rules nor the time a packet takes grows with the containers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address

from linwin.model.network import Attachment, HostNetworks, Network, PortBinding
from linwin.network import addresses
from linwin.network.names import HostNames

_INET = """\
table inet {table} {{
{sets}
	chain published {{
		# Asked at ::1, and by the container itself: the socket that holds the port relays.
		ip6 daddr ::1 return
		ip saddr . meta l4proto . th dport @own4 return
		ip6 saddr . meta l4proto . th dport @own6 return
		ip saddr . ip daddr . meta l4proto . th dport @own_at4 return
		ip6 saddr . ip6 daddr . meta l4proto . th dport @own_at6 return
		dnat ip to ip daddr . meta l4proto . th dport map @published_at4
		dnat ip to meta l4proto . th dport map @published4
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @published_at6
		dnat ip6 to meta l4proto . th dport map @published6
	}}

	chain translate_arriving {{
		type nat hook prerouting priority dstnat; policy accept;
		iifname . ip saddr . ip daddr @file_clients tcp dport 445 dnat ip to {file_server}
		fib daddr type local meta l4proto {{ tcp, udp }} jump published
	}}

	chain translate_own {{
		type nat hook output priority -100; policy accept;
		fib daddr type local meta l4proto {{ tcp, udp }} jump published
	}}

	chain translate_leaving {{
		type nat hook postrouting priority srcnat; policy accept;
		# The host asked 127.0.0.1 for a published port.
		oifname "{bridges}*" ip saddr 127.0.0.0/8 masquerade
		# A neighbour asked the host for it: the answer has to come back this way to be translated.
		iifname . oifname @hairpin ct status dnat masquerade
{masquerade}	}}

	chain refuse_loopback {{
		# Before translation: a packet that came from elsewhere for 127.0.0.1 would be translated before
		# the kernel sees that it cannot have come, and reach what is published for the host alone.
		type filter hook prerouting priority mangle; policy accept;
		iifname != "lo" ip daddr 127.0.0.0/8 drop
	}}

	chain forward {{
		type filter hook forward priority filter; policy accept;
		# Neighbours: bridged packets, on a host with br_netfilter, and translated ones.
		iifname . oifname @hairpin accept
		iifname "{bridges}*" jump leaving
		oifname "{bridges}*" jump entering
	}}

	chain leaving {{
		iifname @internal reject with icmpx admin-prohibited
		ct state established,related accept
		ct status dnat accept
		oifname "{bridges}*" reject with icmpx admin-prohibited
	}}

	chain entering {{
		oifname @internal drop
		ct state established,related accept
		ct status dnat accept
		drop
	}}

	chain to_host {{
		type filter hook input priority filter; policy accept;
		iifname "{bridges}*" jump from_container
	}}

	chain from_container {{
		ct state established,related accept
		ip daddr {file_address} tcp dport {file_port} ct status dnat jump to_files
		iifname @isolated reject with icmpx admin-prohibited
		meta nfproto ipv4 udp dport 67 accept
		icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
		ip saddr . meta l4proto . th dport @own4 accept
		ip6 saddr . meta l4proto . th dport @own6 accept
		ip saddr . ip daddr . meta l4proto . th dport @own_at4 accept
		ip6 saddr . ip6 daddr . meta l4proto . th dport @own_at6 accept
		iifname . ip daddr @gateways4 jump to_gateway
		iifname . ip6 daddr @gateways6 jump to_gateway
		reject with icmpx admin-prohibited
	}}

	chain to_files {{
		# Only those that have something there are translated to it. One connection is enough for a
		# guest, and each takes a process of the server's.
		add @file_connections {{ ip saddr ct count over {connections} }} drop
		accept
	}}

	chain to_gateway {{
		icmp type echo-request accept
		icmpv6 type echo-request accept
		meta l4proto {{ tcp, udp }} th dport 53 accept
	}}
}}
"""

_COUNTED = """\
	set file_connections {
		type ipv4_addr
		size 65535
		flags dynamic
	}
"""
CONNECTIONS = 16
"""How many each guest may have with the file server."""

_BRIDGE = """\
table bridge {table} {{
{sets}
	chain from_guest {{
		type filter hook prerouting priority -300; policy accept;
		iifname "{taps}*" jump genuine
	}}

	chain among_guests {{
		type filter hook forward priority -300; policy accept;
		iifname @isolated drop
	}}

	chain genuine {{
		# A tap without elements in the sets is one whose container is not known: all is dropped.
		iifname . ether saddr != @macs drop
		ether type vmap {{ ip : jump genuine_ip, ip6 : jump genuine_ip6, arp : jump genuine_arp }}
		drop
	}}

	chain genuine_ip {{
		# Only linwin answers DHCP.
		udp sport 67 drop
		iifname . ip saddr @addresses4 accept
		ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
		drop
	}}

	chain genuine_arp {{
		iifname . arp saddr ether != @macs drop
		iifname . arp saddr ip @addresses4 accept
		# A probe, whether the address is free (RFC 5227).
		arp saddr ip 0.0.0.0 arp operation request accept
		drop
	}}

	chain genuine_ip6 {{
		icmpv6 type {{ nd-router-advert, nd-redirect }} drop
		udp sport 547 drop
		icmpv6 type nd-neighbor-advert jump genuine_neighbour
		iifname . ip6 saddr @addresses6 accept
		# Any that is nobody's: Windows does not make its own from its MAC.
		ip6 saddr fe80::/10 ip6 saddr != @link_locals accept
		ip6 saddr :: icmpv6 type {{ nd-neighbor-solicit, mld2-listener-report }} accept
		drop
	}}

	chain genuine_neighbour {{
		# The target of a neighbour advertisement is its bytes 8 to 24 (RFC 4861, 4.4).
		iifname . @th,64,128 @targets return
		@th,64,10 0x3fa ip6 saddr != @link_locals @th,64,128 != @all_targets return
		drop
	}}
}}
"""


def ruleset(names: HostNames, desired: HostNetworks) -> str:
    """The text of one transaction that replaces this root's tables. Raises InvalidRequest."""
    return removal(names) + _inet(names, desired) + _bridge(names, desired)


def removal(names: HostNames) -> str:
    """The text of one transaction that removes this root's tables, there or not."""
    families = ("inet", "bridge")
    return "".join(
        f"table {family} {names.table} {{\n}}\ndelete table {family} {names.table}\n" for family in families
    )


def _inet(names: HostNames, desired: HostNetworks) -> str:
    bridges = {network.id: names.bridge(network.id) for network in desired.networks}
    internal = [bridges[network.id] for network in desired.networks if network.internal]
    isolated = [bridges[network.id] for network in desired.networks if network.isolated]
    gateways = [
        (bridges[network.id], interface.ip)
        for network in desired.networks
        for interface in addresses.gateways(network)
    ]
    sets = (
        _set("set", "internal", "type ifname", map(_quoted, internal)),
        _set("set", "isolated", "type ifname", map(_quoted, isolated)),
        _set("set", "hairpin", "type ifname . ifname", (f'"{name}" . "{name}"' for name in bridges.values())),
        _set("set", "gateways4", "type ifname . ipv4_addr", _pairs(gateways, IPv4Address)),
        _set("set", "gateways6", "type ifname . ipv6_addr", _pairs(gateways, IPv6Address)),
        _COUNTED,
        _set("set", "file_clients", "type ifname . ipv4_addr . ipv4_addr", _file_clients(desired, bridges)),
        *_published(desired),
    )
    address, port = names.file_server
    return _INET.format(
        table=names.table,
        bridges=names.bridges,
        file_server=f"{address}:{port}",
        file_address=address,
        file_port=port,
        connections=CONNECTIONS,
        sets="\n".join(sets),
        masquerade="".join(
            line for network in desired.networks for line in _masquerade(network, bridges[network.id])
        ),
    )


def _file_clients(desired: HostNetworks, bridges: Mapping[str, str]) -> Iterator[str]:
    """Who reaches the file server: a container's address, at its gateway's."""
    gateways = {
        network.id: interface.ip
        for network in desired.networks
        for interface in addresses.gateways(network)
        if interface.version == 4
    }
    for one in desired.attachments:
        if one.files:
            client = addresses.address(one.ipv4)
            yield f'"{bridges[one.network_id]}" . {client} . {gateways[one.network_id]}'


def _masquerade(network: Network, bridge: str) -> list[str]:
    """What leaves the network comes from the host, as far as others can tell."""
    if network.internal:
        return []
    ranges = [addresses.subnet_range(subnet) for subnet in network.subnets]
    return [
        f'\t\toifname != "{bridge}" {"ip" if found.version == 4 else "ip6"} saddr {found} masquerade\n'
        for found in ranges
    ]


# The sets and maps of published ports. A container that asks for a port of its own gets no
# translation but the socket that holds the port (:mod:`linwin.network.published`): where bridged
# packets pass these rules, a translated one would have to leave through the tap that it came from.
_PUBLISHED = {
    "published4": ("map", "inet_proto . inet_service : ipv4_addr . inet_service"),
    "published6": ("map", "inet_proto . inet_service : ipv6_addr . inet_service"),
    "published_at4": ("map", "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service"),
    "published_at6": ("map", "ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service"),
    "own4": ("set", "ipv4_addr . inet_proto . inet_service"),
    "own6": ("set", "ipv6_addr . inet_proto . inet_service"),
    "own_at4": ("set", "ipv4_addr . ipv4_addr . inet_proto . inet_service"),
    "own_at6": ("set", "ipv6_addr . ipv6_addr . inet_proto . inet_service"),
}


def _published(desired: HostNetworks) -> list[str]:
    """Which host port leads where: at one address of the host, or at any."""
    elements: dict[str, list[str]] = {name: [] for name in _PUBLISHED}
    internal = {network.id for network in desired.networks if network.internal}
    for attachment in desired.attachments:
        if attachment.network_id in internal:
            continue
        for binding in attachment.ports:
            for name, element in _translations(attachment, binding):
                elements[name].append(element)
    return [_set(kind, name, f"type {of}", elements[name]) for name, (kind, of) in _PUBLISHED.items()]


def _translations(attachment: Attachment, binding: PortBinding) -> list[tuple[str, str]]:
    """The elements of one published port, each with the set or map that it belongs to."""
    host = addresses.address(binding.host_ip) if binding.host_ip else None
    found = []
    for version, text in ((4, attachment.ipv4), (6, attachment.ipv6)):
        if not text or (host is not None and host.version != version):
            continue
        own = addresses.address(text)
        key = f"{binding.protocol} . {binding.host_port:d}"
        goal = f"{own} . {binding.container_port:d}"
        if host is None or host.is_unspecified:
            found.append((f"published{version}", f"{key} : {goal}"))
            found.append((f"own{version}", f"{own} . {key}"))
        else:
            found.append((f"published_at{version}", f"{host} . {key} : {goal}"))
            found.append((f"own_at{version}", f"{own} . {host} . {key}"))
    return found


def _bridge(names: HostNames, desired: HostNetworks) -> str:
    macs = [(names.tap(one.id), addresses.mac(one.mac)) for one in desired.attachments]
    owned = [
        (names.tap(one.id), addresses.address(text))
        for one in desired.attachments
        for text in (one.ipv4, one.ipv6)
        if text
    ]
    owned += [(tap, addresses.link_local(mac)) for tap, mac in macs]
    routers = [addresses.link_local(names.bridge_mac(network.id)) for network in desired.networks]
    isolated = {network.id for network in desired.networks if network.isolated}
    alone = [names.tap(one.id) for one in desired.attachments if one.network_id in isolated]
    link_locals = sorted({*routers, *(addresses.link_local(mac) for _, mac in macs)})
    targets = (f'"{tap}" . {_number(found)}' for tap, found in owned if isinstance(found, IPv6Address))
    sets = (
        _set("set", "isolated", "type ifname", map(_quoted, alone)),
        _set("set", "macs", "typeof iifname . ether saddr", (f'"{tap}" . {mac}' for tap, mac in macs)),
        _set("set", "addresses4", "typeof iifname . ip saddr", _pairs(owned, IPv4Address)),
        _set("set", "addresses6", "typeof iifname . ip6 saddr", _pairs(owned, IPv6Address)),
        _set("set", "link_locals", "type ipv6_addr", map(str, link_locals)),
        _set("set", "targets", "typeof iifname . @th,64,128", targets),
        _set("set", "all_targets", "typeof @th,64,128", map(_number, link_locals)),
    )
    return _BRIDGE.format(table=names.table, taps=names.taps, sets="\n".join(sets))


def _set(kind: str, name: str, type_of: str, elements: Iterable[str]) -> str:
    listed = ", ".join(elements)
    content = f"\n\t\telements = {{ {listed} }}" if listed else ""
    return f"\t{kind} {name} {{\n\t\t{type_of}{content}\n\t}}\n"


def _pairs(
    found: Iterable[tuple[str, IPv4Address | IPv6Address]], version: type[IPv4Address] | type[IPv6Address]
) -> list[str]:
    return [f'"{name}" . {address}' for name, address in found if isinstance(address, version)]


def _quoted(name: str) -> str:
    return f'"{name}"'


def _number(address: IPv6Address) -> str:
    return f"{int(address):#034x}"

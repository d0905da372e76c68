"""``/networks``: make them, look at them, connect containers to them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any

from aiohttp import web

from linwin.api import query
from linwin.api.context import LIFETIME, answer, engine_of
from linwin.api.fields import Fields, body_of
from linwin.api.filters import labelled, pattern
from linwin.api.networking import endpoint
from linwin.api.prune import NETWORK_FILTERS, keeping
from linwin.api.render import rfc3339
from linwin.engine.network_names import PREDEFINED
from linwin.errors import Forbidden, InvalidRequest, NotFound, Unsupported
from linwin.model.container import Container
from linwin.model.network import NETWORK_DRIVER, NO_NETWORK, Attachment, Network, NetworkSpec, Subnet

FILTERS = frozenset({"name", "id", "label", "driver", "type", "scope", "dangling"})
DRIVERS = frozenset({"", "default", NETWORK_DRIVER, "bridge"})
"""Those that mean a network as linwin makes them; docker's client names bridge unless told otherwise."""
NOT_A_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this '
    "node to swarm and try again."
)

Connected = Sequence[tuple[Container, Attachment]]


async def list_some(request: web.Request) -> web.Response:
    """``GET /networks``: filtered; who is connected is told by the inspection of one."""
    wanted = query.filters(request, FILTERS)
    engine = engine_of(request)
    networks = await engine.networks.list()
    used = {attachment.network_id for one in await engine.list() for attachment in one.attachments}
    return answer([render(network) for network in select(networks, wanted, used)])


async def inspect(request: web.Request) -> web.Response:
    """``GET /networks/{id}``: with the containers that run in it."""
    if request.query.get("scope", "local") not in ("", "local"):
        raise NotFound(f"network {_id(request)} not found", hint="Every network of linwin is local.")
    engine = engine_of(request)
    network = await engine.networks.find(_id(request))
    return answer(render(network, await engine.networks.connected(network)))


async def create(request: web.Request) -> web.Response:
    """``POST /networks/create``: 201 with the id, and a warning about what was ignored."""
    spec, ignored = network_spec(await body_of(request))
    made = engine_of(request).networks.create(spec)
    network, warnings = await request.app[LIFETIME].complete(made)
    return answer({"Id": network.id, "Warning": "; ".join((*ignored, *warnings))}, status=201)


async def remove(request: web.Request) -> web.Response:
    """``DELETE /networks/{id}``: 204, or 403 while a container runs in it."""
    await request.app[LIFETIME].complete(engine_of(request).networks.remove(_id(request)))
    return web.Response(status=204)


async def connect(request: web.Request) -> web.Response:
    """``POST /networks/{id}/connect``: 200 once a container that runs has its NIC."""
    body = await body_of(request)
    wanted = endpoint(_id(request), body.object("EndpointConfig"))
    verb = engine_of(request).networks.connect(_id(request), _container(body), wanted)
    await request.app[LIFETIME].complete(verb)
    return web.Response(status=200)


async def disconnect(request: web.Request) -> web.Response:
    """``POST /networks/{id}/disconnect``: 200 once the NIC is gone."""
    body = await body_of(request)
    verb = engine_of(request).networks.disconnect(_id(request), _container(body), force=body.flag("Force"))
    await request.app[LIFETIME].complete(verb)
    return web.Response(status=200)


async def prune(request: web.Request) -> web.Response:
    """``POST /networks/prune``: those in which no container runs."""
    keeps = keeping(query.filters(request, NETWORK_FILTERS), time.time_ns())
    verb = engine_of(request).networks.prune(lambda network: keeps(network.labels, network.created_at))
    return answer({"NetworksDeleted": list(await request.app[LIFETIME].complete(verb))})


def _id(request: web.Request) -> str:
    return request.match_info["id"]


def _container(body: Fields) -> str:
    name = body.text("Container")
    if not name:
        raise InvalidRequest("no container was named", hint="Set Container to a name or id.")
    return name


# What a client asks for


def network_spec(body: Fields) -> tuple[NetworkSpec, tuple[str, ...]]:
    """The body of a create request, and what of it has no effect.

    Raises NotFound or Forbidden for the driver, Unsupported for what would change the network's meaning.
    """
    _check_driver(body.text("Driver"))
    for name in ("ConfigOnly", "ConfigFrom", "Ingress"):
        if body.given(name):
            raise Unsupported(f"linwin does not support {name} networks", hint=f"Leave out {name}.")
    if body.raw().get("EnableIPv4", True) is not True:
        raise Unsupported("linwin does not support networks without IPv4 (EnableIPv4)")
    if body.text("Scope") not in ("", "local"):
        raise Unsupported("linwin does not support networks across hosts (Scope)", hint="Leave out --scope.")
    ipam = body.object("IPAM")
    if ipam.text("Driver") not in ("", "default", "windows"):
        raise NotFound(f"could not find ipam driver {ipam.text('Driver')}", hint="Leave out --ipam-driver.")
    spec = NetworkSpec(
        body.text("Name"),
        tuple(_subnet(config) for config in ipam.objects("Config")),
        internal=body.flag("Internal"),
        ipv6=body.flag("EnableIPv6"),
        labels=body.mapping("Labels"),
        options=body.mapping("Options"),
    )
    return spec, tuple(f"the IPAM option {name} is ignored" for name in ipam.mapping("Options"))


def _check_driver(driver: str) -> None:
    if driver == "overlay":
        raise Forbidden(NOT_A_MANAGER)
    if driver not in DRIVERS:
        raise NotFound(f'plugin "{driver}" not found', hint="Use nat, the default.")


def _subnet(config: Fields) -> Subnet:
    return Subnet(
        config.text("Subnet"),
        config.text("Gateway"),
        config.text("IPRange"),
        config.mapping("AuxiliaryAddresses"),
    )


# What it is shown


def render(network: Network, connected: Connected = ()) -> dict[str, Any]:
    """Docker's Network."""
    real = network.name != NO_NETWORK
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": rfc3339(network.created_at),
        "Scope": "local",
        "Driver": _driver(network),
        "EnableIPv4": real,
        "EnableIPv6": network.ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [_ipam_config(subnet) for subnet in network.subnets],
        },
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            container.id: _endpoint(network, container, attachment) for container, attachment in connected
        },
        "Options": dict(network.options),
        "Labels": dict(network.labels),
    }


def _ipam_config(subnet: Subnet) -> dict[str, Any]:
    fields = {
        "Subnet": subnet.subnet,
        "IPRange": subnet.ip_range,
        "Gateway": subnet.gateway,
        "AuxiliaryAddresses": dict(subnet.reserved),
    }
    return {name: value for name, value in fields.items() if value}


def _endpoint(network: Network, container: Container, attachment: Attachment) -> dict[str, str]:
    prefixes = {
        whole.version: whole.prefixlen for whole in (ip_network(one.subnet) for one in network.subnets)
    }
    return {
        "Name": container.name,
        "EndpointID": attachment.id,
        "MacAddress": attachment.mac,
        "IPv4Address": f"{attachment.ipv4}/{prefixes[4]}",
        "IPv6Address": f"{attachment.ipv6}/{prefixes[6]}" if attachment.ipv6 else "",
    }


def select(networks: Iterable[Network], wanted: query.Filters, used: set[str]) -> list[Network]:
    """Those that docker's filters leave. A predefined network counts as used."""
    names = [pattern("name", text) for text in wanted.get("name", ())]
    ids = [pattern("id", text) for text in wanted.get("id", ())]
    kinds, dangling = _kinds(wanted), query.boolean_filter(wanted, "dangling")
    return [
        network
        for network in networks
        if (not names or any(one.search(network.name) for one in names))
        and (not ids or any(one.search(network.id) for one in ids))
        and (not kinds or ("builtin" if network.name in PREDEFINED else "custom") in kinds)
        and ("driver" not in wanted or _driver(network) in wanted["driver"])
        and ("scope" not in wanted or "local" in wanted["scope"])
        and (dangling is None or dangling is not (network.name in PREDEFINED or network.id in used))
        and labelled(network.labels, wanted.get("label", ()))
    ]


def _driver(network: Network) -> str:
    return "null" if network.name == NO_NETWORK else NETWORK_DRIVER


def _kinds(wanted: query.Filters) -> tuple[str, ...]:
    for kind in wanted.get("type", ()):
        if kind not in ("builtin", "custom"):
            raise InvalidRequest(f"invalid filter: 'type'='{kind}'", hint="Use builtin or custom.")
    return wanted.get("type", ())


ROUTES = (
    ("GET", "/networks", list_some),
    ("POST", "/networks/create", create),
    ("POST", "/networks/prune", prune),
    ("GET", "/networks/{id}", inspect),
    ("DELETE", "/networks/{id}", remove),
    ("POST", "/networks/{id}/connect", connect),
    ("POST", "/networks/{id}/disconnect", disconnect),
)

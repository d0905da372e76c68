"""``linwin network``: networks, and which containers are in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from linwin.cli import failures
from linwin.cli.connect import connect as connected
from linwin.cli.each import for_each
from linwin.cli.groups import LazyGroup
from linwin.cli.network_options import endpoint
from linwin.cli.options import arguments, filter_option, listing_format
from linwin.cli.output import Listing, short_id
from linwin.client import quote
from linwin.errors import InvalidRequest, NotFound

MEMBERS = {
    "connect": "network:connect",
    "create": "network:create",
    "disconnect": "network:disconnect",
    "inspect": "inspect:network_inspect",
    "ls": "network:ls",
    "prune": "prune:network_prune",
    "rm": "network:rm",
}

LISTING = Listing(
    headers={
        "ID": "NETWORK ID",
        "Name": "NAME",
        "Driver": "DRIVER",
        "Scope": "SCOPE",
        "IPv6": "IPV6",
        "Internal": "INTERNAL",
        "Labels": "LABELS",
        "CreatedAt": "CREATED AT",
    },
    columns=("ID", "Name", "Driver", "Scope"),
    quiet="ID",
)


@click.group(cls=LazyGroup, members=MEMBERS, aliases={"list": "ls", "remove": "rm"})
def network() -> None:
    """Manage networks."""


def _pairs(what: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, str]]:
    def read(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
        if wrong := [value for value in values if not value.partition("=")[0]]:
            raise click.BadParameter(f'"{wrong[0]}" is no {what}', ctx, param)
        return {name: value for name, _, value in (text.partition("=") for text in values)}

    return read


@click.command()
@click.option(
    "--aux-address",
    "reserved",
    metavar="NAME=ADDRESS",
    multiple=True,
    callback=_pairs("NAME=ADDRESS"),
    help="An address that no container is given. Repeatable.",
)
@click.option(
    "-d", "--driver", metavar="NAME", default="nat", help="Driver of the network: nat, the default."
)
@click.option(
    "--gateway", "gateways", metavar="ADDRESS", multiple=True, help="The host's address in a subnet."
)
@click.option("--internal", is_flag=True, help="Let nothing in or out of the network.")
@click.option("--ip-range", "ranges", metavar="CIDR", multiple=True, help="Take addresses from this range.")
@click.option("--ipv6", is_flag=True, help="Give the network IPv6 addresses too.")
@click.option(
    "--label",
    "labels",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_pairs("label"),
    help="Set a label. Repeatable.",
)
@click.option(
    "-o",
    "--opt",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_pairs("option"),
    help="Option of the driver. Repeatable.",
)
@click.option(
    "--subnet", "subnets", metavar="CIDR", multiple=True, help="A subnet: at most one of each IP version."
)
@arguments(1, 1, "NETWORK")
def create(
    reserved: dict[str, str],
    driver: str,
    gateways: tuple[str, ...],
    internal: bool,
    ranges: tuple[str, ...],
    ipv6: bool,
    labels: dict[str, str],
    options: dict[str, str],
    subnets: tuple[str, ...],
    names: tuple[str, ...],
) -> None:
    """Create a network and print its id."""
    body = {
        "Name": names[0],
        "CheckDuplicate": True,
        "Driver": driver,
        "Internal": internal,
        "EnableIPv6": ipv6,
        "IPAM": {"Config": ipam(subnets, ranges, gateways, reserved)},
        "Labels": labels,
        "Options": options,
    }
    created = connected().post("/networks/create", body=body)
    if created.get("Warning"):
        failures.say(f"warning: {created['Warning']}")
    click.echo(created["Id"])


def ipam(
    subnets: Iterable[str], ranges: Iterable[str], gateways: Iterable[str], reserved: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The API's IPAM.Config: each address with the subnet that it is in. Raises as docker's client does."""
    config: dict[str, dict[str, Any]] = {subnet: {"Subnet": subnet} for subnet in subnets}
    if not config and (ranges or gateways or reserved):
        raise InvalidRequest("every ip-range or gateway must have a corresponding subnet")
    for field, what, values in (("IPRange", "range", ranges), ("Gateway", "gateway", gateways)):
        for value in values:
            entry = _entry(config, value, what)
            if field in entry:
                raise InvalidRequest(
                    f"cannot configure multiple {what}s ({value}, {entry[field]}) "
                    f"on the same subnet ({entry['Subnet']})"
                )
            entry[field] = value
    for name, address in reserved.items():
        _entry(config, address, "aux-address").setdefault("AuxiliaryAddresses", {})[name] = address
    return list(config.values())


def _entry(config: Mapping[str, dict[str, Any]], text: str, what: str) -> dict[str, Any]:
    """The subnet that an address or range is in."""
    from ipaddress import ip_interface, ip_network

    try:
        address = ip_interface(text).ip
        for subnet, entry in config.items():
            if address in ip_network(subnet, strict=False):
                return entry
    except ValueError as error:
        raise InvalidRequest(f"invalid CIDR address: {error}") from error
    raise InvalidRequest(f"no matching subnet for {what} {text}")


@click.command()
@click.option(
    "--alias", "aliases", metavar="NAME", multiple=True, help="Further name in the network. Repeatable."
)
@click.option("--gw-priority", metavar="NUMBER", type=int, default=0, help="The highest has the way out.")
@click.option("--ip", metavar="ADDRESS", default="", help="Its IPv4 address there.")
@click.option("--ip6", metavar="ADDRESS", default="", help="Its IPv6 address there.")
@arguments(2, 2, "NETWORK CONTAINER")
def connect(aliases: tuple[str, ...], gw_priority: int, ip: str, ip6: str, names: tuple[str, ...]) -> None:
    """Connect a container to a network, now where it runs."""
    target, container = names
    settings = endpoint(aliases=list(aliases), ip=ip, ip6=ip6, priority=gw_priority)
    body = {"Container": container, "EndpointConfig": settings}
    connected().post(f"/networks/{quote(target)}/connect", body=body)


@click.command()
@click.option("-f", "--force", is_flag=True, help="Do it even where its guest does not answer.")
@arguments(2, 2, "NETWORK CONTAINER")
def disconnect(force: bool, names: tuple[str, ...]) -> None:
    """Disconnect a container from a network."""
    target, container = names
    connected().post(f"/networks/{quote(target)}/disconnect", body={"Container": container, "Force": force})


@click.command()
@filter_option("Show only networks that match, such as name=web or type=custom.")
@listing_format()
@click.option("--no-trunc", is_flag=True, help="Do not cut long values.")
@click.option("-q", "--quiet", is_flag=True, help="Show network ids only.")
@arguments(0, 0, "")
def ls(
    filters: dict[str, list[str]] | None,
    form: str | None,
    no_trunc: bool,
    quiet: bool,
    names: tuple[str, ...],
) -> None:
    """List networks."""
    found = connected().get("/networks", filters=filters)
    rows = [_row(item, no_trunc) for item in sorted(found, key=lambda item: str(item["Name"]))]
    LISTING.show(rows, form, quiet=quiet)


def _row(item: Mapping[str, Any], full: bool) -> dict[str, Any]:
    labels: Mapping[str, str] = item.get("Labels") or {}
    return {
        "ID": short_id(item["Id"], full=full),
        "Name": item["Name"],
        "Driver": item["Driver"],
        "Scope": item["Scope"],
        "IPv6": str(bool(item.get("EnableIPv6"))).lower(),
        "Internal": str(bool(item.get("Internal"))).lower(),
        "Labels": ",".join(f"{name}={labels[name]}" for name in sorted(labels)),
        "Label": lambda name: labels.get(name, ""),
        "CreatedAt": item["Created"],
    }


@click.command()
@click.option("-f", "--force", is_flag=True, help="Say nothing of networks that do not exist.")
@arguments(1, None, "NETWORK [NETWORK...]")
def rm(force: bool, names: tuple[str, ...]) -> int:
    """Remove networks that no running container is in."""
    client = connected()

    def remove(name: str) -> str | None:
        try:
            client.delete(f"/networks/{quote(name)}")
        except NotFound:
            if not force:
                raise
            return None
        return name

    return for_each(names, remove)

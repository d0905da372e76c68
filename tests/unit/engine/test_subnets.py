"""The rules for a network's address ranges, and for what containers get of them."""

from __future__ import annotations

import pytest

from linwin.engine import addresses, subnets
from linwin.errors import Forbidden, InvalidRequest, LinwinError, Unavailable
from linwin.model.network import EndpointSpec, Network, NetworkSpec, Subnet


def whole(**subnet: str) -> Subnet:
    (found,) = subnets.check(NetworkSpec("n", (Subnet(**{"gateway": "", **subnet}),), ipv6=True))
    return found


@pytest.mark.parametrize(
    ("given", "gateway"),
    [
        ({"subnet": "10.0.0.0/24"}, "10.0.0.1"),
        ({"subnet": "10.0.0.0/24", "ip_range": "10.0.0.128/25"}, "10.0.0.129"),
        ({"subnet": "10.0.0.0/24", "gateway": "10.0.0.9"}, "10.0.0.9"),
        ({"subnet": "fd00:0::/64"}, "fd00::1"),
    ],
)
def test_a_gateway_is_chosen(given: dict[str, str], gateway: str) -> None:
    assert whole(**given).gateway == gateway


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"subnet": "10.0.0.0"}, "invalid subnet 10.0.0.0: invalid CIDR block notation"),
        ({"subnet": ""}, "invalid subnet : invalid CIDR block notation"),
        ({"subnet": "10.0.0.0/255.0.0.0"}, "invalid subnet 10.0.0.0/255.0.0.0: invalid CIDR block notation"),
        ({"subnet": "10.0.0.1/24"}, "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24"),
        (
            {"subnet": "10.0.0.0/31"},
            "invalid subnet 10.0.0.0/31: it has no room for a gateway and a container",
        ),
        *(
            ({"subnet": text}, f"invalid subnet {text}: it has loopback, multicast or link-local addresses")
            for text in ("127.5.0.0/16", "224.0.0.0/24", "fe80::/64", "ff02::/64", "::/64")
        ),
        (
            {"subnet": "10.0.0.0/24", "ip_range": "10.0.0.0/16"},
            "invalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet 10.0.0.0/24",
        ),
        (
            {"subnet": "10.0.0.0/24", "ip_range": "10.0.1.0/25"},
            "invalid ip-range 10.0.1.0/25: parent subnet 10.0.0.0/24 doesn't contain ip-range",
        ),
        (
            {"subnet": "10.0.0.0/24", "ip_range": "10.0.0.1/25"},
            "invalid ip-range 10.0.0.1/25: it should be 10.0.0.0/25",
        ),
        (
            {"subnet": "10.0.0.0/24", "ip_range": "fd00::/64"},
            "invalid ip-range fd00::/64: parent subnet is an IPv4 block",
        ),
        (
            {"subnet": "10.0.0.0/24", "ip_range": "ten"},
            "invalid ip-range ten: invalid CIDR block notation",
        ),
        ({"subnet": "10.0.0.0/24", "gateway": "ten"}, "invalid gateway ten: invalid address"),
        (
            {"subnet": "10.0.0.0/24", "gateway": "10.0.1.1"},
            "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address",
        ),
        (
            {"subnet": "10.0.0.0/24", "gateway": "fd00::1"},
            "invalid gateway fd00::1: parent subnet is an IPv4 block",
        ),
        ({"subnet": "fd00::/64", "gateway": "fd00::1%}"}, "invalid gateway fd00::1%}: invalid address"),
    ],
)
def test_ranges_that_are_none(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        whole(**given)
    assert caught.value.message == f"invalid network config:\n{complaint}"


def test_several_complaints_are_a_list() -> None:
    with pytest.raises(InvalidRequest) as caught:
        subnets.check(NetworkSpec("n", (Subnet("ten", ""), Subnet("10.0.0.0/24", "", "", {"r": "ten"}))))
    assert caught.value.message == (
        "invalid network config:\n"
        "* invalid subnet ten: invalid CIDR block notation\n"
        "* invalid auxiliary address r: invalid address"
    )


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("", "invalid name: name is empty"), ("a b", "invalid name: 'a b'"), ("n" * 129, "invalid name: 'nnn")],
)
def test_names_that_are_none(name: str, complaint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        subnets.check_name(name)
    assert caught.value.message.startswith(complaint)


SMALL = Network("a" * 64, "small", 1, (Subnet("10.0.0.0/29", "10.0.0.1", "10.0.0.4/30"),))


def free(subnet: Subnet, taken: set[str]) -> str:
    """As it is asked for: what is the network's own is taken too."""
    own = addresses._own(Network("a" * 64, "any", 1, (subnet,)))
    return addresses._free(subnet, taken | own)


def test_the_lowest_free_address_of_the_range() -> None:
    (subnet,) = SMALL.subnets
    assert free(subnet, set()) == "10.0.0.4"
    assert free(subnet, {"10.0.0.4", "10.0.0.5"}) == "10.0.0.6"
    assert free(subnet, {"10.0.0.4", "10.0.0.5", "10.0.0.6"}) == ""  # the last one is broadcast
    assert free(Subnet("fd00::/64", "fd00::1"), set()) == "fd00::2"
    assert free(Subnet("10.0.0.0/8", "10.0.0.1"), {f"10.0.0.{n}" for n in range(256)}) == "10.0.1.0"


@pytest.mark.parametrize(
    ("address", "taken", "kind", "complaint"),
    [
        ("10.0.0.1", (), Forbidden, "Address already in use"),
        ("10.0.0.0", (), Forbidden, "Address already in use"),
        ("10.0.0.7", (), Forbidden, "Address already in use"),
        ("10.0.0.3", ("10.0.0.3",), Forbidden, "Address already in use"),
        (
            "",
            ("10.0.0.4", "10.0.0.5", "10.0.0.6"),
            Unavailable,
            f"no available IPv4 addresses on this network's address pools: small ({'a' * 64})",
        ),
    ],
)
def test_addresses_that_cannot_be_given(
    address: str, taken: tuple[str, ...], kind: type[LinwinError], complaint: str
) -> None:
    with pytest.raises(kind) as caught:
        addresses._address(4, address, SMALL, taken, ())
    assert caught.value.message == complaint


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        (EndpointSpec("small", ipv4="10.0.0"), "invalid endpoint settings:\ninvalid IPv4 address: 10.0.0"),
        (
            EndpointSpec("small", ipv6="10.0.0.2"),
            "invalid endpoint settings:\ninvalid IPv6 address: 10.0.0.2",
        ),
        (
            EndpointSpec("small", ipv4="10.0.1.2", ipv6="fd00::2"),
            "invalid endpoint settings:\n"
            "* no configured subnet or ip-range contain the IP address 10.0.1.2\n"
            "* no configured subnet or ip-range contain the IP address fd00::2",
        ),
        (
            EndpointSpec("small", ipv6="fd00::2%} drop"),
            "invalid endpoint settings:\ninvalid IPv6 address: fd00::2%} drop",
        ),
        (EndpointSpec("small", mac="02:42"), "invalid MAC address: 02:42"),
        (EndpointSpec("small", mac="ff:ff:ff:ff:ff:ff"), "invalid MAC address: ff:ff:ff:ff:ff:ff"),
    ],
)
def test_endpoints_that_cannot_be(wanted: EndpointSpec, complaint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        addresses.check(wanted, SMALL)
    assert caught.value.message == complaint

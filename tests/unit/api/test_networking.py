"""What a create request says of networks and ports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from linwin.api import networking
from linwin.api.fields import Fields
from linwin.errors import InvalidRequest, LinwinError, Unsupported
from linwin.model.network import EndpointSpec, PortRequest

INTERFACES = Path(__file__).parents[3] / "protocol/vectors/interfaces.json"


def parsed(**body: Any) -> networking.Networking:
    return networking.parse(Fields(body, "the request's body"))


def endpoints(mode: str | None, *names: str) -> tuple[EndpointSpec, ...] | None:
    settings = {"EndpointsConfig": {name: {} for name in names}}
    return parsed(HostConfig={"NetworkMode": mode}, NetworkingConfig=settings).endpoints


MINE, YOURS, NAT = EndpointSpec("mine"), EndpointSpec("yours"), EndpointSpec("nat")


@pytest.mark.parametrize(
    ("mode", "names", "understood"),
    [
        (None, [], None),
        ("", [], None),
        ("default", [], None),
        ("bridge", [], None),
        ("nat", ["nat"], None),
        ("default", ["bridge"], None),
        ("none", [], ()),
        ("none", ["none"], ()),
        ("mine", [], (MINE,)),
        ("mine", ["mine"], (MINE,)),
        ("mine", ["yours"], (MINE, YOURS)),
        ("mine", ["yours", "mine"], (MINE, YOURS)),
        ("default", ["mine"], (MINE,)),
        ("nat", ["mine", "nat"], (NAT, MINE)),
        ("none", ["mine"], (EndpointSpec("none"), MINE)),
    ],
)
def test_which_networks(mode: str | None, names: list[str], understood: object) -> None:
    assert endpoints(mode, *names) == understood


def test_what_is_wanted_of_a_network() -> None:
    settings = {
        "IPAMConfig": {"IPv4Address": "10.0.0.5", "IPv6Address": "fd00::5"},
        "Aliases": ["db", "store"],
        "MacAddress": "02-42-AC-11-00-05",
        "GwPriority": 7,
        "Links": None,
        "DriverOpts": {},
    }
    config = {"EndpointsConfig": {"mine": settings}}
    found = parsed(HostConfig={"NetworkMode": "mine"}, NetworkingConfig=config).endpoints
    wanted = EndpointSpec("mine", ("db", "store"), "10.0.0.5", "fd00::5", "02:42:ac:11:00:05", 7)
    assert found == (wanted,)


def test_a_mac_address_of_the_whole_container_is_its_first_networks() -> None:
    mac = "02:42:ac:11:00:05"
    found = parsed(MacAddress=mac, HostConfig={"NetworkMode": "mine"}).endpoints
    assert found == (EndpointSpec("mine", mac=mac),)
    assert parsed(MacAddress=mac).endpoints == (EndpointSpec("nat", mac=mac),)


def test_extra_hosts() -> None:
    said = ["db:10.0.0.7", "v6:fd00:0::7", "in:[::1]", "up:host-gateway", "a.b-c_d:255.255.255.255"]
    assert parsed(HostConfig={"ExtraHosts": said}).extra_hosts == (
        "db:10.0.0.7",
        "v6:fd00::7",
        "in:::1",
        "up:host-gateway",
        "a.b-c_d:255.255.255.255",
    )
    assert parsed(HostConfig={"ExtraHosts": None}).extra_hosts == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("db", 'invalid IP address in add-host: ""'),
        (":10.0.0.7", 'bad format for add-host: ":10.0.0.7"'),
        ("a b:10.0.0.7", 'bad format for add-host: "a b:10.0.0.7"'),
        ("a\n10.0.0.8 b:10.0.0.7", 'bad format for add-host: "a\n10.0.0.8 b:10.0.0.7"'),
        ("db:10.0.0", 'invalid IP address in add-host: "10.0.0"'),
        ("db:fe80::1%eth0", 'invalid IP address in add-host: "fe80::1%eth0"'),
        ("db:gateway", 'invalid IP address in add-host: "gateway"'),
    ],
)
def test_extra_hosts_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsed(HostConfig={"ExtraHosts": [text]})
    assert refused.value.message == message


def test_extra_hosts_have_bounds() -> None:
    with pytest.raises(InvalidRequest, match=r"^ExtraHosts has 257 entries\n"):
        parsed(HostConfig={"ExtraHosts": ["db:10.0.0.7"] * 257})


def test_dns() -> None:
    found = parsed(HostConfig={"Dns": ["10.0.0.1", "fd00::1"], "DnsSearch": ["example.com"]})
    assert (found.dns, found.dns_search) == (("10.0.0.1", "fd00::1"), ("example.com",))
    assert parsed(HostConfig={"DnsSearch": ["."]}).dns_search == ()


def test_dns_that_an_agent_would_refuse_at_the_start_is_refused_before() -> None:
    """The agent's own list of what it takes and refuses decides."""
    taken = 0
    for vector in json.loads(INTERFACES.read_text())["vectors"]:
        interface = vector["interface"]
        body = {"Dns": interface.get("dns", []), "DnsSearch": interface.get("search", [])}
        try:
            parsed(HostConfig=body)
            taken += 1
        except InvalidRequest:
            assert "name server" in vector["message"] or "domain" in vector["message"], vector
        else:
            about = vector["message"] or ""
            assert "name server" not in about, vector
            assert "domain to search" not in about, vector
    assert taken


@pytest.mark.parametrize("server", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "::1", "::ffff:10.0.0.1"])
def test_dns_servers_that_no_container_can_ask(server: str) -> None:
    with pytest.raises(InvalidRequest, match="a container cannot ask a DNS server at"):
        parsed(HostConfig={"Dns": [server]})


def test_a_dns_server_with_a_zone_is_no_address() -> None:
    with pytest.raises(InvalidRequest, match="invalid IP address: fe80::1%eth0"):
        parsed(HostConfig={"Dns": ["fe80::1%eth0"]})


def test_dns_has_bounds() -> None:
    parsed(HostConfig={"Dns": ["10.0.0.1"] * 32, "DnsSearch": ["example.com"] * 32})
    for many in ({"Dns": ["10.0.0.1"] * 33}, {"DnsSearch": ["example.com"] * 33}):
        with pytest.raises(InvalidRequest, match="has 33 entries"):
            parsed(HostConfig=many)


PAIR = {"HostIp": "", "HostPort": ""}


@pytest.mark.parametrize(
    ("bindings", "understood"),
    [
        (None, ()),
        ({"80/tcp": None}, (PortRequest(80, "tcp"),)),
        ({"80": []}, (PortRequest(80, "tcp"),)),
        ({"80/tcp": [PAIR]}, (PortRequest(80, "tcp"),)),
        ({"80/tcp": [{"HostPort": "8080"}]}, (PortRequest(80, "tcp", "", 8080, 8080),)),
        ({"80/tcp": [{"HostPort": "8080-8090"}]}, (PortRequest(80, "tcp", "", 8080, 8090),)),
        ({"53/UDP": [PAIR | {"HostIp": "127.0.0.1"}]}, (PortRequest(53, "udp", "127.0.0.1"),)),
        ({"80/tcp": [PAIR | {"HostIp": "0.0.0.0"}]}, (PortRequest(80, "tcp"),)),
        ({"80/tcp": [PAIR | {"HostIp": "[::1]"}]}, (PortRequest(80, "tcp", "::1"),)),
        ({"80-81/tcp": [PAIR]}, (PortRequest(80, "tcp"), PortRequest(81, "tcp"))),
        (
            {"80/tcp": [{"HostPort": "1"}, {"HostPort": "2"}]},
            (PortRequest(80, "tcp", "", 1, 1), PortRequest(80, "tcp", "", 2, 2)),
        ),
    ],
)
def test_published_ports(bindings: object, understood: object) -> None:
    assert parsed(HostConfig={"PortBindings": bindings}).ports == understood


def test_exposed_ports() -> None:
    body = Fields({"ExposedPorts": {"80": {}, "53/UDP": {}, "8000-8010/tcp": {}}}, "body")
    assert networking.exposed(body) == ("80/tcp", "53/udp", "8000-8010/tcp")


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (
            {"HostConfig": {"NetworkMode": "container:x"}},
            Unsupported,
            "linwin does not support the network mode container:x",
        ),
        (
            {"HostConfig": {"NetworkMode": "host"}},
            Unsupported,
            "linwin does not support the network mode host",
        ),
        (
            {"NetworkingConfig": {"EndpointsConfig": {"a": {"Links": ["b"]}}}},
            Unsupported,
            "linwin does not support links between containers (Links)",
        ),
        (
            {
                "NetworkingConfig": {
                    "EndpointsConfig": {"a": {"IPAMConfig": {"LinkLocalIPs": ["169.254.1.1"]}}}
                }
            },
            Unsupported,
            "linwin does not support link-local addresses (LinkLocalIPs)",
        ),
        (
            {
                "MacAddress": "02:42:ac:11:00:05",
                "HostConfig": {"NetworkMode": "a"},
                "NetworkingConfig": {"EndpointsConfig": {"a": {"MacAddress": "02:42:ac:11:00:06"}}},
            },
            InvalidRequest,
            "the container-wide MAC address must match the endpoint-specific MAC address for the main "
            "network, or should be left empty",
        ),
        ({"HostConfig": {"Dns": ["example.com"]}}, InvalidRequest, "invalid IP address: example.com"),
        (
            {"HostConfig": {"PortBindings": {"http": []}}},
            InvalidRequest,
            "invalid port 'http' in PortBindings",
        ),
        (
            {"HostConfig": {"PortBindings": {"80/sctp": []}}},
            Unsupported,
            "linwin does not publish sctp ports",
        ),
        (
            {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "http"}]}}},
            InvalidRequest,
            'invalid port specification: "http"',
        ),
        (
            {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "90-80"}]}}},
            InvalidRequest,
            'invalid port specification: "90-80"',
        ),
        (
            {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "70000"}]}}},
            InvalidRequest,
            'invalid port specification: "70000"',
        ),
        (
            {"HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "here"}]}}},
            InvalidRequest,
            "invalid IP address: here",
        ),
        (
            {"HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "fe80::1%eth0"}]}}},
            InvalidRequest,
            "invalid IP address: fe80::1%eth0",
        ),
        (
            {"HostConfig": {"PortBindings": {"80/tcp": {}}}},
            InvalidRequest,
            "invalid JSON: 80/tcp must be a list of objects",
        ),
        (
            {"HostConfig": {"PortBindings": {"1-5000/tcp": []}}},
            InvalidRequest,
            "5000 published ports are too many",
        ),
        (
            {"HostConfig": {"PortBindings": {"1-60000/tcp": [{}] * 60000}}},  # none of them is made
            InvalidRequest,
            "3600000000 published ports are too many",
        ),
    ],
)
def test_refusals(body: dict[str, Any], kind: type[LinwinError], message: str) -> None:
    with pytest.raises(kind) as caught:
        parsed(**body)
    assert caught.value.message == message


@pytest.mark.parametrize("text", ["http", "99999/tcp", "0", "90-80/tcp", "80/icmp"])
def test_ports_that_are_none(text: str) -> None:
    with pytest.raises(InvalidRequest, match="in ExposedPorts"):
        networking.exposed(Fields({"ExposedPorts": {text: {}}}, "body"))

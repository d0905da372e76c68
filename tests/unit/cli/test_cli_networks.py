"""network, port, and the options of run about networks and ports."""

from __future__ import annotations

from typing import Any

import pytest

from linwin.cli import ports
from linwin.cli.network import ipam
from linwin.errors import InvalidRequest

NETWORK = {
    "Id": "a1" * 32,
    "Name": "web",
    "Driver": "nat",
    "Scope": "local",
    "Created": "2026-01-02T03:04:05Z",
    "EnableIPv6": False,
    "Internal": True,
    "Labels": {"team": "blue"},
}
NONE = NETWORK | {"Id": "b2" * 32, "Name": "none", "Driver": "null", "Internal": False, "Labels": None}


@pytest.fixture
def networks(daemon: Any) -> Any:
    daemon.on("GET /networks", [NETWORK, NONE])
    return daemon


def test_ls(networks: Any, linwin: Any) -> None:
    assert linwin("network", "ls").out == (
        "NETWORK ID     NAME      DRIVER    SCOPE\n"
        "b2b2b2b2b2b2   none      null      local\n"
        "a1a1a1a1a1a1   web       nat       local\n"
    )
    assert linwin("network", "ls", "-q").out == "b2b2b2b2b2b2\na1a1a1a1a1a1\n"
    form = '{{.Name}} {{.Internal}} {{.IPv6}} {{.Label "team"}}'
    assert linwin("network", "ls", "--format", form).out == "none false false \nweb true false blue\n"
    linwin("network", "ls", "-f", "name=web")
    assert networks.requests[-1].query == {"filters": '{"name": ["web"]}'}


def test_create(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /networks/create", {"Id": "a1" * 32, "Warning": "the network option x is ignored"})
    words = ["--subnet", "10.0.0.0/24", "--subnet", "fd00::/64", "--gateway", "10.0.0.9", "--internal"]
    words += ["--ipv6", "--label", "team=blue", "-o", "x=y", "--aux-address", "router=10.0.0.7"]
    result = linwin("network", "create", *words, "web")
    assert (result.out, result.err) == (
        f"{'a1' * 32}\n",
        "linwin: warning: the network option x is ignored\n",
    )
    assert daemon.asked("POST /networks/create").json == {
        "Name": "web",
        "CheckDuplicate": True,
        "Driver": "nat",
        "Internal": True,
        "EnableIPv6": True,
        "IPAM": {
            "Config": [
                {
                    "Subnet": "10.0.0.0/24",
                    "Gateway": "10.0.0.9",
                    "AuxiliaryAddresses": {"router": "10.0.0.7"},
                },
                {"Subnet": "fd00::/64"},
            ]
        },
        "Labels": {"team": "blue"},
        "Options": {"x": "y"},
    }


@pytest.mark.parametrize(
    ("subnets", "ranges", "gateways", "complaint"),
    [
        ([], ["10.0.0.0/24"], [], "every ip-range or gateway must have a corresponding subnet"),
        (["10.0.0.0/24"], [], ["10.1.0.1"], "no matching subnet for gateway 10.1.0.1"),
        (["10.0.0.0/24"], ["10.1.0.0/24"], [], "no matching subnet for range 10.1.0.0/24"),
        (
            ["10.0.0.0/24"],
            [],
            ["10.0.0.1", "10.0.0.2"],
            "cannot configure multiple gateways (10.0.0.2, 10.0.0.1) on the same subnet (10.0.0.0/24)",
        ),
        (
            ["ten"],
            [],
            ["10.0.0.1"],
            "invalid CIDR address: 'ten' does not appear to be an IPv4 or IPv6 network",
        ),
    ],
)
def test_addresses_without_a_subnet(
    subnets: list[str], ranges: list[str], gateways: list[str], complaint: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ipam(subnets, ranges, gateways, {})
    assert caught.value.message == complaint


def test_connect_and_disconnect(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /networks/web/connect", None)
    daemon.on("POST /networks/web/disconnect", None)
    options = ["--alias", "db", "--alias", "store", "--ip", "10.0.0.5", "--gw-priority", "3"]
    assert linwin("network", "connect", *options, "web", "box").code == 0
    assert daemon.asked("POST /networks/web/connect").json == {
        "Container": "box",
        "EndpointConfig": {
            "IPAMConfig": {"IPv4Address": "10.0.0.5"},
            "Aliases": ["db", "store"],
            "GwPriority": 3,
        },
    }
    assert linwin("network", "disconnect", "-f", "web", "box").code == 0
    assert daemon.asked("POST /networks/web/disconnect").json == {"Container": "box", "Force": True}


def test_port(daemon: Any, linwin: Any) -> None:
    bound = {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::1", "HostPort": "81"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
        "90/tcp": None,
    }
    daemon.on("GET /containers/box/json", {"NetworkSettings": {"Ports": bound}})
    assert linwin("port", "box").out == (
        "53/udp -> 127.0.0.1:53\n80/tcp -> 0.0.0.0:8080\n80/tcp -> [::1]:81\n"
    )
    assert linwin("port", "box", "80").out == "0.0.0.0:8080\n[::1]:81\n"
    assert linwin("port", "box", "53/udp").out == "127.0.0.1:53\n"
    missing = linwin("port", "box", "90")
    assert (missing.code, missing.err) == (1, "linwin: No public port '90' published for box\n")


# What run asks for


def created(daemon: Any, linwin: Any, *options: str) -> Any:
    daemon.on("POST /containers/create", {"Id": "c3" * 32, "Warnings": []})
    result = linwin("create", *options, "image")
    assert result.code == 0, result.err
    return daemon.requests[-1].json


@pytest.mark.parametrize(
    ("options", "mode", "endpoints"),
    [
        ([], None, None),
        (["--network", "none"], "none", {"none": {}}),
        (["--net", "web"], "web", {"web": {}}),
        (["--network", "web", "--network-alias", "db"], "web", {"web": {"Aliases": ["db"]}}),
        (["--ip", "10.0.0.5"], "default", {"default": {"IPAMConfig": {"IPv4Address": "10.0.0.5"}}}),
        (
            ["--network", "name=web,alias=db,alias=store,ip=10.0.0.5,ip6=fd00::5", "--network", "back"],
            "web",
            {
                "web": {
                    "IPAMConfig": {"IPv4Address": "10.0.0.5", "IPv6Address": "fd00::5"},
                    "Aliases": ["db", "store"],
                },
                "back": {},
            },
        ),
        (
            ["--network", "name=web,gw-priority=2,mac-address=02:00:00:00:00:01"],
            "web",
            {"web": {"MacAddress": "02:00:00:00:00:01", "GwPriority": 2}},
        ),
    ],
)
def test_networks_of_a_container(
    daemon: Any, linwin: Any, options: list[str], mode: str | None, endpoints: Any
) -> None:
    body = created(daemon, linwin, *options)
    assert body["HostConfig"].get("NetworkMode") == mode
    assert body.get("NetworkingConfig") == (endpoints and {"EndpointsConfig": endpoints})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--network", "web", "--network", "web"], 'network "web" is specified multiple times'),
        (
            ["--network", "name=web,ip=10.0.0.5", "--ip", "10.0.0.6"],
            "conflicting options: cannot specify both --ip and per-network IPv4 address",
        ),
        (["--network", "name=web,color=blue"], "invalid field key color"),
        (["--network", "alias=db,ip=10.0.0.5"], "network name/id is not specified"),
        (["--network", "name=web,gw-priority=high"], "invalid gw-priority: high"),
        (["-p", "http"], "invalid containerPort: http"),
        (["-p", "http:80"], "invalid hostPort: http"),
        (["-p", "8080:"], "no port specified: 8080:<empty>"),
        (["-p", "80/icmp"], "invalid proto: icmp"),
        (["-p", "here:80:80"], "invalid IP address: here"),
        (["-p", "80-82:80-81"], "invalid ranges specified for container and host Ports: 80-81 and 80-82"),
        (["-p", "70000"], "invalid containerPort: 70000"),
        (["-p", "color=blue,target=80"], "invalid field key color"),
        (["--expose", "80:80"], "invalid port format for --expose: 80:80"),
        (["--expose", "http"], "invalid range format for --expose: http"),
    ],
)
def test_what_run_refuses(place: Any, linwin: Any, options: list[str], complaint: str) -> None:
    result = linwin("run", *options, "image")
    assert result.code == 125
    assert f"linwin: {complaint}\n" in result.err


def bound(port: str, host: str = "", address: str = "") -> dict[str, list[dict[str, str]]]:
    return {port: [{"HostIp": address, "HostPort": host}]}


@pytest.mark.parametrize(
    ("text", "bindings"),
    [
        ("80", bound("80/tcp")),
        ("8080:80", bound("80/tcp", "8080")),
        ("127.0.0.1:8080:80/udp", bound("80/udp", "8080", "127.0.0.1")),
        ("127.0.0.1::80", bound("80/tcp", "", "127.0.0.1")),
        ("[::1]:8080:80", bound("80/tcp", "8080", "::1")),
        ("8080-8081:80-81", bound("80/tcp", "8080") | bound("81/tcp", "8081")),
        ("80-81", bound("80/tcp") | bound("81/tcp")),
        ("8080-8090:80", bound("80/tcp", "8080-8090")),
        ("published=8080,target=80,protocol=udp", bound("80/udp", "8080")),
        ("target=80", None),
    ],
)
def test_published_ports(text: str, bindings: Any) -> None:
    assert ports.published([text]) == (bindings or bound("80/tcp"))


def test_ports_of_a_container(daemon: Any, linwin: Any) -> None:
    body = created(daemon, linwin, "-p", "8080:80", "-p", "8081:80", "-P", "--expose", "90-91/udp")
    assert body["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "", "HostPort": "8081"}]
    }
    assert body["HostConfig"]["PublishAllPorts"] is True
    assert body["ExposedPorts"] == {"90/udp": {}, "91/udp": {}, "80/tcp": {}}


def test_dns_of_a_container(daemon: Any, linwin: Any) -> None:
    body = created(daemon, linwin, "--dns", "10.0.0.53", "--dns-search", "example.com")
    assert (body["HostConfig"]["Dns"], body["HostConfig"]["DnsSearch"]) == (["10.0.0.53"], ["example.com"])


def test_names_of_a_containers_own(daemon: Any, linwin: Any) -> None:
    body = created(daemon, linwin, "--add-host", "db:10.0.0.7", "--add-host", "v6=[fd00::7]")
    assert body["HostConfig"]["ExtraHosts"] == ["db:10.0.0.7", "v6:[fd00::7]"]


def shown(private: int, public: int | None = None, address: str = "", kind: str = "tcp") -> dict[str, Any]:
    port: dict[str, Any] = {"PrivatePort": private, "Type": kind}
    return port if public is None else port | {"PublicPort": public, "IP": address}


@pytest.mark.parametrize(
    ("listed", "text"),
    [
        ([], ""),
        ([shown(80)], "80/tcp"),
        ([shown(81), shown(80), shown(83)], "80-81/tcp, 83/tcp"),
        ([shown(80), shown(81, kind="udp")], "80/tcp, 81/udp"),
        ([shown(80, 80, "0.0.0.0")], "0.0.0.0:80->80/tcp"),
        (
            [shown(80, 80, "0.0.0.0"), shown(81, 81, "0.0.0.0"), shown(82, 82, "0.0.0.0")],
            "0.0.0.0:80-82->80-82/tcp",
        ),
        ([shown(80, 8080, "0.0.0.0"), shown(90)], "90/tcp, 0.0.0.0:8080->80/tcp"),
        ([shown(80, 80, "::"), shown(80, 80, "0.0.0.0")], "0.0.0.0:80->80/tcp, [::]:80->80/tcp"),
    ],
)
def test_the_ports_column(listed: list[dict[str, Any]], text: str) -> None:
    assert ports.displayed(listed) == text

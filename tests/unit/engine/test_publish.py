"""Exposed and published ports."""

from __future__ import annotations

import pytest

from linwin.engine import attach, publish
from linwin.errors import Conflict, InvalidRequest
from linwin.model.container import ContainerSpec
from linwin.model.network import EndpointSpec, PortBinding, PortRequest
from tests.scenario.fakes.network import FakeNetworks


def test_what_an_image_exposes_is_read_strictly() -> None:
    texts = (
        "80",
        "53/UDP",
        "8000-8002/tcp",
        "80/tcp",
        "http",
        "0/tcp",
        "9-8/tcp",
        "70000",
        "1/icmp",
        "7/sctp",
    )
    assert publish.exposed(texts) == ("80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp", "7/sctp")


def test_an_image_that_exposes_everything_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="65535 exposed ports are too many"):
        publish.exposed(["1-65535/tcp"])


async def test_ports_with_numbers_come_before_those_that_take_any() -> None:
    wanted = (PortRequest(80, "tcp"), PortRequest(81, "tcp", "", 49153, 49153))
    found = await publish.bindings(FakeNetworks(), wanted, ())
    assert {(one.container_port, one.host_port) for one in found} == {(80, 49154), (81, 49153)}


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        (PortRequest(80, "tcp", "", 9000, 9009), 9002),
        (PortRequest(80, "udp", "", 9000, 9009), 9000),
        (PortRequest(80, "tcp", "10.0.0.1", 9000, 9009), 9002),
        (PortRequest(80, "tcp"), 49153),
    ],
)
async def test_a_range_is_tried_in_order(wanted: PortRequest, number: int) -> None:
    room = FakeNetworks()
    room.taken = {("tcp", 9001)}
    held = (PortBinding(80, "tcp", "", 9000),)
    (found,) = await publish.bindings(room, (wanted,), held)
    assert found == PortBinding(80, wanted.protocol, wanted.host_ip, number)


@pytest.mark.parametrize(
    ("mine", "other", "address"),
    [("", "", "0.0.0.0"), ("127.0.0.1", "", "127.0.0.1"), ("", "::1", "0.0.0.0"), ("::1", "::1", "[::1]")],
)
async def test_a_port_that_another_container_is_about_to_hold(mine: str, other: str, address: str) -> None:
    wanted = (PortRequest(80, "tcp", mine, 80, 80),)
    with pytest.raises(Conflict) as caught:
        await publish.bindings(FakeNetworks(), wanted, (PortBinding(80, "tcp", other, 80),))
    assert caught.value.message == f"Bind for {address}:80 failed: port is already allocated"


async def test_a_range_that_is_taken() -> None:
    room = FakeNetworks()
    room.taken = {("tcp", 80), ("tcp", 81)}
    with pytest.raises(Conflict, match=r"Bind for 0\.0\.0\.0:81 failed: port is already allocated"):
        await publish.bindings(room, (PortRequest(80, "tcp", "", 80, 81),), ())


def test_records_from_before_there_were_networks() -> None:
    assert attach.endpoints(ContainerSpec("x")) == (EndpointSpec("nat"),)
    assert attach.endpoints(ContainerSpec("x", host_config={"NetworkMode": "none"})) == ()

"""The query of a build, by value."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import make_mocked_request

from linwin.api.build_request import build_request
from linwin.errors import InvalidRequest, LinwinError, Unsupported
from linwin.model.build import BuildRequest


def parsed(*pairs: tuple[str, str], **query: str) -> BuildRequest:
    return build_request(make_mocked_request("POST", f"/build?{urlencode([*pairs, *query.items()])}"))


def test_nothing_is_asked_for() -> None:
    assert parsed() == BuildRequest()


def test_what_dockers_client_sends_of_nothing() -> None:
    """28's query of ``docker build .``, as it was recorded."""
    assert parsed(
        buildargs="{}",
        cachefrom="[]",
        cgroupparent="",
        cpuperiod="0",
        cpuquota="0",
        cpusetcpus="",
        cpusetmems="",
        cpushares="0",
        dockerfile="Dockerfile",
        labels="{}",
        memory="0",
        memswap="0",
        networkmode="default",
        rm="1",
        shmsize="0",
        target="",
        ulimits="null",
        version="1",
    ) == BuildRequest(network="default")


def test_everything() -> None:
    request = parsed(
        ("t", "a:1"),
        ("t", ""),
        ("t", "b"),
        ("extrahosts", "x:1.2.3.4"),
        ("extrahosts", "y:host-gateway"),
        dockerfile="sub/Own",
        buildargs=json.dumps({"A": "1", "EMPTY": "", "NONE": None}),
        labels=json.dumps({"l": "v"}),
        target="tools",
        platform="windows/amd64",
        nocache="1",
        cachefrom=json.dumps(["c:1", "d"]),
        pull="true",
        networkmode="lan",
        memory="1073741824",
        cpuperiod="100000",
        cpuquota="150000",
        timestamp="1700000000",
    )
    assert request == BuildRequest(
        dockerfile="sub/Own",
        tags=("a:1", "b"),
        arguments=(("A", "1"), ("EMPTY", ""), ("NONE", None)),
        labels=(("l", "v"),),
        target="tools",
        platform="windows/amd64",
        cache=False,
        cache_from=("c:1", "d"),
        pull=True,
        network="lan",
        extra_hosts=("x:1.2.3.4", "y:host-gateway"),
        memory=1 << 30,
        cpus=2,
        timestamp=1_700_000_000 * 10**9,
    )


@pytest.mark.parametrize(
    ("query", "keep"),
    [
        ({}, False),
        ({"rm": ""}, False),
        ({"rm": "1"}, False),
        ({"rm": "0"}, True),
        ({"rm": "False"}, True),
        ({"rm": "0", "forcerm": "1"}, False),
    ],
)
def test_what_becomes_of_containers(query: dict[str, str], keep: bool) -> None:
    assert parsed(**query).keep == keep


def epoch(value: Any) -> str:
    return json.dumps({"SOURCE_DATE_EPOCH": value})


@pytest.mark.parametrize(
    ("query", "timestamp"),
    [
        ({"buildargs": epoch("17")}, 17 * 10**9),
        ({"buildargs": epoch("17"), "timestamp": "0"}, 0),
        ({"buildargs": epoch(None)}, None),
        ({"buildargs": epoch("")}, None),
        ({"timestamp": ""}, None),
    ],
)
def test_the_time_of_a_build(query: dict[str, str], timestamp: int | None) -> None:
    assert parsed(**query).timestamp == timestamp


NO_BUILDKIT = "linwin has no BuildKit\nSet DOCKER_BUILDKIT=0: the classic builder is used then."


@pytest.mark.parametrize(
    ("query", "kind", "sentence"),
    [
        ({"version": "2"}, Unsupported, NO_BUILDKIT),
        ({"remote": "client-session"}, Unsupported, NO_BUILDKIT),
        ({"outputs": '[{"Type":"moby"}]'}, Unsupported, NO_BUILDKIT),
        (
            {"squash": "1"},
            Unsupported,
            "linwin does not squash the layers of a build (squash)\nLeave out --squash.",
        ),
        (
            {"securityopt": '["credentialspec=x"]'},
            Unsupported,
            "linwin does not support security options of a build (securityopt)\nLeave out --security-opt.",
        ),
        (
            {"isolation": "process"},
            Unsupported,
            "linwin does not support the isolation process (Isolation)\n"
            "Every container runs in a guest VM of its own, which is what docker calls hyperv.",
        ),
        (
            {"networkmode": "host"},
            Unsupported,
            "linwin does not support the network mode host\n"
            "Every container is a VM of its own: use a network, or none.",
        ),
        (
            {"platform": "linux/amd64"},
            InvalidRequest,
            "the platform linux/amd64 is not supported\nlinwin runs windows/amd64 images.",
        ),
        (
            {"buildargs": "{"},
            InvalidRequest,
            "invalid JSON in the query parameter buildargs\nWrite buildargs as docker's API has it.",
        ),
        (
            {"labels": "[" * 100_000},
            InvalidRequest,
            "invalid JSON in the query parameter labels\nWrite labels as docker's API has it.",
        ),
        ({"buildargs": "[1]"}, InvalidRequest, "invalid JSON: buildargs must be an object"),
        ({"buildargs": '{"A": 1}'}, InvalidRequest, "invalid JSON: A must hold text"),
        ({"labels": '{"l": 1}'}, InvalidRequest, "invalid JSON: labels must hold text"),
        ({"cachefrom": '"x"'}, InvalidRequest, "invalid JSON: cachefrom must be a list of texts"),
        (
            {"memory": "-1"},
            InvalidRequest,
            "memory must not be negative\nLeave it out for the default.",
        ),
        (
            {"memory": "1g"},
            InvalidRequest,
            "invalid value '1g' for the query parameter memory\nUse a whole number.",
        ),
        ({"extrahosts": "x"}, InvalidRequest, 'invalid IP address in add-host: ""'),
        (
            {"timestamp": "-1"},
            InvalidRequest,
            "invalid timestamp: '-1'\nUse whole seconds since 1970.",
        ),
        (
            {"timestamp": "253402300800"},
            InvalidRequest,
            "invalid timestamp: '253402300800'\nUse whole seconds since 1970.",
        ),
        (
            {"buildargs": epoch("now")},
            InvalidRequest,
            "invalid SOURCE_DATE_EPOCH: 'now'\nUse whole seconds since 1970.",
        ),
    ],
)
def test_what_is_refused(query: dict[str, str], kind: type[LinwinError], sentence: str) -> None:
    with pytest.raises(kind) as caught:
        parsed(**query)
    assert str(caught.value).startswith(sentence)

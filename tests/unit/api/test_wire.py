from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linwin.api.fields import Fields
from linwin.api.hostconfig import IGNORED, REFUSED
from linwin.api.shapes import CONTAINER_CONFIG, HOST_CONFIG, Kind
from linwin.api.wire import container_spec
from linwin.errors import InvalidRequest, LinwinError, Unsupported
from linwin.model.container import ContainerSpec
from linwin.model.health import HealthCheck
from linwin.model.mount import Mount
from linwin.model.restart import RestartPolicy
from tests.scenario import api_description


def parsed(**body: Any) -> tuple[ContainerSpec, tuple[str, ...]]:
    return container_spec(Fields({"Image": "x", **body}, "the request's body"))


def spec(**body: Any) -> ContainerSpec:
    return parsed(**body)[0]


def test_an_empty_request() -> None:
    assert parsed() == (ContainerSpec(image="x"), ())


def test_null_is_absent() -> None:
    names = (
        "Entrypoint",
        "Cmd",
        "Env",
        "Labels",
        "HostConfig",
        "Tty",
        "StopTimeout",
        "ExposedPorts",
        "Volumes",
    )
    assert spec(**dict.fromkeys(names)) == ContainerSpec(image="x")


def test_everything_honoured() -> None:
    host = {"AutoRemove": True, "Memory": 1 << 30, "NanoCpus": 1_500_000_000, "ConsoleSize": [24, 80]}
    host |= {"Binds": ["/src:D:"], "Mounts": [], "Tmpfs": {"/t": ""}, "VolumesFrom": ["other:ro"]}
    assert spec(
        Entrypoint=["a"],
        Cmd=["b", "c"],
        Env=["A=b=c", "GONE"],
        WorkingDir="C:\\w",
        User="u",
        Hostname="h",
        Domainname="d",
        Labels={"l": ""},
        ExposedPorts={"80": {}, "53/UDP": {}},
        Volumes={"c:/data": {}},
        OpenStdin=True,
        StdinOnce=True,
        AttachStdin=True,
        AttachStdout=True,
        AttachStderr=True,
        StopSignal="SIGINT",
        StopTimeout=5,
        HostConfig=host,
        Unknown={"ignored": True},
    ) == ContainerSpec(
        image="x",
        entrypoint=("a",),
        cmd=("b", "c"),
        env=("A=b=c", "GONE"),
        working_dir="C:\\w",
        user="u",
        hostname="h",
        domainname="d",
        labels={"l": ""},
        exposed_ports=("80/tcp", "53/udp"),
        volumes=("C:\\data",),
        mounts=(Mount("bind", "D:\\", "/src"), Mount("tmpfs", "C:\\t")),
        volumes_from=("other:ro",),
        open_stdin=True,
        stdin_once=True,
        attach_stdin=True,
        attach_stdout=True,
        attach_stderr=True,
        stop_signal="SIGINT",
        stop_timeout=5,
        auto_remove=True,
        memory=1 << 30,
        cpus=2,
        console_size=(24, 80),
        host_config=host,
    )


@pytest.mark.parametrize(
    ("sent", "understood"), [(None, None), ([], ()), ([""], ("",)), ("", ("",)), ("a b", ("a b",))]
)
def test_entrypoints(sent: object, understood: object) -> None:
    assert spec(Entrypoint=sent).entrypoint == understood


@pytest.mark.parametrize(
    ("sent", "understood"), [(None, None), ([], None), ("a b", ("a b",)), (["a"], ("a",))]
)
def test_commands(sent: object, understood: object) -> None:
    assert spec(Cmd=sent).cmd == understood


@pytest.mark.parametrize(
    ("host", "cpus"),
    [
        ({"NanoCpus": 1}, 1),
        ({"NanoCpus": 2 * 10**9}, 2),
        ({"CpuCount": 3, "NanoCpus": 1}, 3),
        ({"CpuQuota": 150_000}, 2),
        ({"CpuQuota": 50_000, "CpuPeriod": 25_000}, 2),
        ({"CpuQuota": -1, "CpuPeriod": 25_000}, 0),
        ({"CpuPercent": 100}, os.cpu_count()),
        ({"CpuPercent": 1}, 1),
        ({"CpuShares": 512}, 0),
    ],
)
def test_cpus_are_whole(host: dict[str, int], cpus: int) -> None:
    assert spec(HostConfig=host).cpus == cpus


EXAMPLES: dict[Kind, Any] = {
    Fields.text: "x",
    Fields.texts: ["x"],
    Fields.words: "x",
    Fields.flag: True,
    Fields.integer: 7,
    Fields.mapping: {"a": "b"},
    Fields.keys: {"80/tcp": {}},
    Fields.object: {"80/tcp": []},
    Fields.objects: [{"a": 1}],
    Fields.size: [24, 80],
}
WRONG: dict[Kind, tuple[Any, ...]] = {
    Fields.text: (7, [], {}, True, "a\0"),
    Fields.texts: ("x", [7], {"a": 1}, 1.5, [None], [["x"]]),
    Fields.words: (7, [7], {"a": 1}),
    Fields.flag: ("yes", 1, [], {}),
    Fields.integer: ("7", 1.5, True, [7], 2**63),
    Fields.mapping: ({"a": 1}, ["a"], "a", {"a": None, "b": []}),
    Fields.keys: (["80/tcp"], "80", 80),
    Fields.object: ([], "x", 7),
    Fields.objects: (["x"], {"a": 1}, "x", [None]),
    Fields.size: ([1], [1, 2, 3], ["24", "80"], [-1, 80], [24, 70000], "24x80", {}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_change_meaning_is_refused(name: str) -> None:
    with pytest.raises(Unsupported) as caught:
        spec(HostConfig={name: EXAMPLES[HOST_CONFIG[name]]})
    assert caught.value.message == f"linwin does not support {REFUSED[name][0]} ({name})"
    assert caught.value.hint == REFUSED[name][1]


@pytest.mark.parametrize("name", [*REFUSED, *IGNORED])
def test_what_is_empty_is_not_refused(name: str) -> None:
    for empty in (None, type(EXAMPLES[HOST_CONFIG[name]])()):
        assert parsed(HostConfig={name: empty})[1] == ()


@pytest.mark.parametrize("name", IGNORED)
def test_what_is_harmless_is_warned_about(name: str) -> None:
    assert parsed(HostConfig={name: EXAMPLES[HOST_CONFIG[name]]})[1] == (
        f"{name} has no meaning for a Windows container and is ignored",
    )


HONOURED = frozenset(
    {
        "Annotations",
        "AutoRemove",
        "Binds",
        "CgroupnsMode",
        "ConsoleSize",
        "ContainerIDFile",
        "CpuCount",
        "CpuPercent",
        "CpuPeriod",
        "CpuQuota",
        "Dns",
        "DnsSearch",
        "ExtraHosts",
        "IpcMode",
        "Isolation",
        "LogConfig",
        "Memory",
        "Mounts",
        "NanoCpus",
        "NetworkMode",
        "PidMode",
        "PortBindings",
        "PublishAllPorts",
        "RestartPolicy",
        "Runtime",
        "Tmpfs",
        "UTSMode",
        "UsernsMode",
        "VolumeDriver",
        "VolumesFrom",
    }
)
"""What is followed, kept for whoever inspects, or accepted with the values that are true here anyway.

Every field that docker describes is here, in REFUSED or in IGNORED."""


def test_every_field_of_a_host_config_is_classified() -> None:
    path = api_description.find()
    if path is None:
        pytest.skip("docker's API description is not here; set LINWIN_API_SPEC to v1.50.yaml")
    described = api_description.Description(path)
    classified = [*HONOURED, *REFUSED, *IGNORED]
    assert len(classified) == len(set(classified)), "a field is classified twice"
    assert set(classified) == described.fields("HostConfig") | {"KernelMemory"}  # which v1.42 dropped
    assert set(HOST_CONFIG) == set(classified)
    assert set(CONTAINER_CONFIG) == described.fields("ContainerConfig")


@pytest.mark.parametrize("name", HOST_CONFIG)
def test_a_host_setting_of_the_wrong_type_is_refused_by_name(name: str) -> None:
    for value in WRONG[HOST_CONFIG[name]]:
        with pytest.raises(InvalidRequest, match=f"^invalid JSON: {name} (must|holds) "):
            spec(HostConfig={name: value})


@pytest.mark.parametrize("name", CONTAINER_CONFIG)
def test_a_setting_of_the_wrong_type_is_refused_by_name(name: str) -> None:
    for value in WRONG[CONTAINER_CONFIG[name]]:
        with pytest.raises(InvalidRequest, match=f"^invalid JSON: {name} (must|holds) "):
            spec(**{name: value})


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (
            {"NanoCpus": 1, "CpuQuota": 1000},
            "conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (
            {"NanoCpus": 1, "CpuPeriod": 1000},
            "conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        ({"CpuPercent": 101}, "CpuPercent must not be above 100"),
        ({"Runtime": "runc"}, "unknown or invalid runtime name: runc"),
        ({"VolumeDriver": "nfs"}, "linwin does not support the volume driver nfs (VolumeDriver)"),
        ({"Isolation": "process"}, "linwin does not support the isolation process (Isolation)"),
        ({"PidMode": "host"}, "linwin does not support PidMode host"),
    ],
)
def test_values_that_are_refused(host: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidRequest, Unsupported)) as caught:
        spec(HostConfig=host)
    assert caught.value.message == message
    assert caught.value.hint


@pytest.mark.parametrize("isolation", ["", "default", "hyperv", "HyperV"])
def test_isolations(isolation: str) -> None:
    assert parsed(HostConfig={"Isolation": isolation})[1] == ()


def test_a_container_without_a_network_is_asked_for_by_its_mode() -> None:
    with pytest.raises(Unsupported) as caught:
        spec(NetworkDisabled=True)
    assert str(caught.value) == (
        "linwin does not support NetworkDisabled\nSet HostConfig.NetworkMode to none instead."
    )


@pytest.mark.parametrize(
    "host", [{"MemorySwap": -1}, {"Memory": 5, "MemorySwap": 5}, {"PidsLimit": -1}, {"MemorySwappiness": -1}]
)
def test_what_means_no_limit_is_not_warned_about(host: dict[str, int]) -> None:
    assert parsed(HostConfig=host)[1] == ()


def test_other_warnings() -> None:
    assert parsed(Healthcheck={"Test": ["NONE"]})[1] == ()
    assert parsed(Shell=["cmd"], OnBuild=["RUN x"])[1] == (
        "linwin has no use for OnBuild yet; it is ignored",
        "linwin has no use for Shell yet; it is ignored",
    )


def test_mounts_are_shown_without_what_is_absent() -> None:
    sent = {"Type": "tmpfs", "Target": "d:", "Source": None, "TmpfsOptions": {"SizeBytes": 1, "Mode": None}}
    assert spec(HostConfig={"Mounts": [sent]}).host_config == {
        "Mounts": [{"Type": "tmpfs", "Target": "d:", "TmpfsOptions": {"SizeBytes": 1}}]
    }


def test_restart_policies() -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 4}
    assert spec(HostConfig={"RestartPolicy": policy}).restart == RestartPolicy("on-failure", 4)
    assert spec(HostConfig={"RestartPolicy": {"Name": "", "MaximumRetryCount": 4}}).restart == RestartPolicy()


def test_health_checks() -> None:
    sent = {"Test": ["CMD-SHELL", "ver"], "Interval": 2 * 10**9, "StartInterval": 10**6, "Retries": 2}
    assert spec(Healthcheck=sent).health_check == HealthCheck(
        ("CMD-SHELL", "ver"), interval=2 * 10**9, start_interval=10**6, retries=2
    )
    assert spec(Healthcheck={}).health_check is None
    assert spec(Healthcheck={"Retries": 7}).health_check == HealthCheck(retries=7)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"Interval": 1}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"Timeout": -1}, "Timeout in Healthcheck cannot be less than 1ms"),
        ({"StartPeriod": 999_999}, "StartPeriod in Healthcheck cannot be less than 1ms"),
        ({"StartInterval": 1}, "StartInterval in Healthcheck cannot be less than 1ms"),
        ({"Retries": -1}, "Retries in Healthcheck cannot be negative"),
        ({"Test": ["ASK", "x"]}, "invalid health check: ['ASK', 'x']"),
        ({"Test": ["CMD"]}, "invalid health check: ['CMD']"),
        ({"Test": ["NONE", "x"]}, "invalid health check: ['NONE', 'x']"),
    ],
)
def test_bad_health_checks(sent: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        spec(Healthcheck=sent)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (
            {"HostConfig": {"RestartPolicy": {"Name": "often"}}},
            InvalidRequest,
            "invalid restart policy: unknown policy 'often'; use one of "
            "'no', 'always', 'on-failure', or 'unless-stopped'",
        ),
        (
            {"HostConfig": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}}},
            InvalidRequest,
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            {"HostConfig": {"RestartPolicy": {"Name": "no", "MaximumRetryCount": -1}}},
            InvalidRequest,
            "invalid restart policy: maximum retry count can only be used with 'on-failure' "
            "and cannot be negative",
        ),
        (
            {"HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -1}}},
            InvalidRequest,
            "invalid restart policy: maximum retry count cannot be negative",
        ),
        (
            {"HostConfig": {"RestartPolicy": {"Name": "always"}, "AutoRemove": True}},
            InvalidRequest,
            "can't create 'AutoRemove' container with restart policy",
        ),
        (
            {"HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-file": 3}}}},
            InvalidRequest,
            "invalid JSON: Config must hold text",
        ),
        ({"HostConfig": {"PidMode": "host"}}, Unsupported, "linwin does not support PidMode host"),
        (
            {"Volumes": {"data": {}}},
            InvalidRequest,
            "invalid volume specification: 'data': invalid mount path: 'data' mount path must be absolute",
        ),
        ({"HostConfig": {"Binds": ["/a:C:\\x:y"]}}, InvalidRequest, "invalid mode: y"),
        ({"Env": ["A\0=b"]}, InvalidRequest, "invalid JSON: Env holds a zero character"),
        (
            {"HostConfig": {"ConsoleSize": [1]}},
            InvalidRequest,
            "invalid JSON: ConsoleSize must be two whole numbers, height and width",
        ),
        ({"HostConfig": []}, InvalidRequest, "invalid JSON: HostConfig must be an object"),
        ({"StopTimeout": True}, InvalidRequest, "invalid JSON: StopTimeout must be a whole number"),
    ],
)
def test_refusals(body: dict[str, Any], kind: type[LinwinError], message: str) -> None:
    with pytest.raises(kind) as caught:
        spec(**body)
    assert caught.value.message == message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *REFUSED,
        *IGNORED,
        "Image",
        "Cmd",
        "Env",
        "Labels",
        "HostConfig",
        "ExposedPorts",
        "Volumes",
        "Binds",
        "Mounts",
        "Tmpfs",
        "VolumesFrom",
        "NetworkingConfig",
        "EndpointsConfig",
        "PortBindings",
        "NetworkMode",
        "80/tcp",
        "ConsoleSize",
        "Healthcheck",
    ]
)


@given(st.dictionaries(NAMES, JSON, max_size=5), st.dictionaries(NAMES, JSON, max_size=5))
def test_any_json_is_parsed_or_refused(body: dict[str, Any], host: dict[str, Any]) -> None:
    try:
        container_spec(Fields({"HostConfig": host, **body}, "the request's body"))
    except LinwinError:
        return

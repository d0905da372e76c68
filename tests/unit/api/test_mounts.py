"""What a create request says of mounts, and what inspect and ps show of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linwin.api import mount_points, mounts
from linwin.api.fields import Fields
from linwin.errors import InvalidRequest, LinwinError, Unsupported
from linwin.model.mount import Mount
from linwin.paths import Paths
from tests.unit.api.test_filters import container


def parsed(**body: Any) -> mounts.Mounts:
    return mounts.parse(Fields(body, "the request's body"))


def bind(text: str) -> Mount:
    return parsed(HostConfig={"Binds": [text]}).mounts[0]


def mount(**fields: Any) -> Mount:
    return parsed(HostConfig={"Mounts": [{"Type": "volume", "Target": "C:\\x", **fields}]}).mounts[0]


def tmpfs(target: str, options: str = "") -> Mount:
    return parsed(HostConfig={"Tmpfs": {target: options}}).mounts[0]


def refusal(call: Any) -> tuple[type[LinwinError], str]:
    with pytest.raises(LinwinError) as caught:
        call()
    return type(caught.value), caught.value.message


def test_nothing() -> None:
    empty = mounts.Mounts((), (), ())
    assert parsed() == empty
    nothing = {"Binds": None, "Mounts": [], "Tmpfs": {}, "VolumesFrom": None}
    assert parsed(Volumes=None, HostConfig=nothing) == empty


# Binds


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/src:C:\\x", Mount("bind", "C:\\x", "/src")),
        ("/a b/c:d:\\x y", Mount("bind", "D:\\x y", "/a b/c")),
        ("/src:D:", Mount("bind", "D:\\", "/src")),
        ("/src:D::ro", Mount("bind", "D:\\", "/src", read_only=True, mode="ro")),
        ("/src:/x:rw", Mount("bind", "C:\\x", "/src", mode="rw")),
        ("/src:\\x", Mount("bind", "C:\\x", "/src")),
        ("/src:\\\\?\\C:\\x:ro", Mount("bind", "C:\\x", "/src", read_only=True, mode="ro")),
        ("/a/../b//c/:C:\\x", Mount("bind", "C:\\x", "/b/c")),
        ("//a:C:\\x", Mount("bind", "C:\\x", "/a")),
        ("/:C:\\x", Mount("bind", "C:\\x", "/")),
        ("/src:c:/x:RO,Z", Mount("bind", "C:\\x", "/src", read_only=True, mode="RO,Z")),
        ("/src:/x:cached,rw", Mount("bind", "C:\\x", "/src", mode="cached,rw")),
        ("/src:/x:uid=1000,gid=0", Mount("bind", "C:\\x", "/src", mode="uid=1000,gid=0", uid=1000, gid=0)),
        ("data:C:\\x", Mount("volume", "C:\\x", "data")),
        ("data:C:\\x:nocopy", Mount("volume", "C:\\x", "data", mode="nocopy", copy=False)),
        (
            "data:d:/x:ro,nocopy,uid=7",
            Mount("volume", "D:\\x", "data", read_only=True, mode="ro,nocopy,uid=7", copy=False, uid=7),
        ),
        ("C:\\x", Mount("volume", "C:\\x")),
        ("d:", Mount("volume", "D:\\")),
        ("/x", Mount("volume", "C:\\x")),
        ("\\\\?\\C:\\x", Mount("volume", "C:\\x")),
    ],
)
def test_binds(text: str, wanted: Mount) -> None:
    assert bind(text) == wanted


NO_SPECIFICATION = [
    "",
    ":",
    "/src:",
    ":C:\\x",
    "/src::ro",
    "/src:C:\\x:",
    "/src:C:\\x:ro:z",
    "/src:/x:C:\\y",
    "D::ro",
    "C:\\x:ro",
    "C:\\src:C:\\x",
    "c:/src:/x:ro",
    "C:\\src:D:",
    "\\\\?\\C:\\src:C:\\x",
]


@pytest.mark.parametrize("text", NO_SPECIFICATION)
def test_what_is_no_bind(text: str) -> None:
    assert refusal(lambda: bind(text)) == (InvalidRequest, f"invalid volume specification: '{text}'")


def test_a_source_on_windows_is_told_that_the_host_is_linux() -> None:
    for body in (
        {"Binds": ["C:\\src:C:\\x"]},
        {"Mounts": [{"Type": "bind", "Source": "C:\\src", "Target": "C:\\x"}]},
    ):
        with pytest.raises(InvalidRequest) as caught:
            parsed(HostConfig=body)
        assert caught.value.hint == "This host is Linux: name a file or folder of it, as in /data:C:\\data."


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("/src:x", "bind", "invalid mount path: 'x' mount path must be absolute"),
        ("data:c:x", "volume", "invalid mount path: 'c:x' mount path must be absolute"),
        ("/src:C:\\", "bind", "destination path cannot be `c:` or `c:\\`: c:\\"),
        ("/src:C:\\nul", "bind", "invalid mount path: 'C:\\nul': nul is the name of a device"),
        ("/src:C:\\x:nocopy", "bind", "field VolumeOptions must not be specified"),
    ],
)
def test_binds_that_cannot_be(text: str, kind: str, message: str) -> None:
    assert refusal(lambda: bind(text)) == (
        InvalidRequest,
        f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\": {message}",
    )


@pytest.mark.parametrize(
    "mode",
    [
        "x",
        "ro,rw",
        "ro,ro",
        "rw,",
        "cached,delegated",
        "shared",
        "rprivate",
        "ro,rslave",
        "rro",
        "uid=",
        "uid=me",
        "uid=-1",
        "uid=4294967295",
        "uid=99999999999",
        "uid=1,uid=1",
        "z,Z",
    ],
)
def test_modes_that_are_none(mode: str) -> None:
    assert refusal(lambda: bind(f"/src:C:\\x:{mode}")) == (InvalidRequest, f"invalid mode: {mode}")


def test_named_pipes_are_refused_by_name() -> None:
    wanted = (Unsupported, "linwin does not support named pipes (npipe)")
    assert refusal(lambda: bind("\\\\.\\pipe\\x:\\\\.\\pipe\\x")) == wanted
    assert refusal(lambda: bind("//./pipe/x://./pipe/x")) == wanted
    assert refusal(lambda: mount(Type="npipe", Source="\\\\.\\pipe\\x", Target="\\\\.\\pipe\\x")) == wanted


# Mounts


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ({"Type": "bind", "Source": "/a//b/"}, Mount("bind", "C:\\x", "/a/b")),
        (
            {"Type": "bind", "Source": "/a:b", "ReadOnly": True, "Consistency": "cached"},
            Mount("bind", "C:\\x", "/a:b", read_only=True),
        ),
        (
            {
                "Type": "bind",
                "Source": "/a",
                "BindOptions": {
                    "Propagation": "rprivate",
                    "NonRecursive": True,
                    "CreateMountpoint": True,
                    "ReadOnlyNonRecursive": True,
                    "ReadOnlyForceRecursive": True,
                },
            },
            Mount("bind", "C:\\x", "/a"),
        ),
        (
            {"Type": "bind", "Source": "/a", "Linwin": {"Uid": 0, "Gid": 5}},
            Mount("bind", "C:\\x", "/a", uid=0, gid=5),
        ),
        ({"Source": "data", "Target": "d:"}, Mount("volume", "D:\\", "data")),
        ({}, Mount("volume", "C:\\x")),
        (
            {
                "Source": "data",
                "ReadOnly": True,
                "VolumeOptions": {
                    "NoCopy": True,
                    "Labels": {"a": "b"},
                    "DriverConfig": {"Name": "local", "Options": None},
                },
                "Linwin": {"Gid": 7},
            },
            Mount("volume", "C:\\x", "data", read_only=True, copy=False, labels={"a": "b"}, gid=7),
        ),
        ({"VolumeOptions": {"DriverConfig": {}}, "BindOptions": None}, Mount("volume", "C:\\x")),
        ({"Type": "tmpfs"}, Mount("tmpfs", "C:\\x")),
        (
            {"Type": "tmpfs", "ReadOnly": True, "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 511}},
            Mount("tmpfs", "C:\\x", read_only=True, size=1 << 20),
        ),
    ],
)
def test_mounts(sent: dict[str, Any], wanted: Mount) -> None:
    assert mount(**sent) == wanted


ABSOLUTE = "mount path must be absolute"


@pytest.mark.parametrize(
    ("sent", "kind", "message"),
    [
        ({"Target": ""}, "volume", "field Target must not be empty"),
        ({"Target": None, "Type": "odd"}, "odd", "field Target must not be empty"),
        ({"Type": "odd"}, "odd", "mount type unknown"),
        ({"Type": ""}, "", "mount type unknown"),
        ({"Type": "BIND"}, "BIND", "mount type unknown"),
        ({"Target": "x"}, "volume", f"invalid mount path: 'x' {ABSOLUTE}"),
        ({"Target": "c:"}, "volume", "destination path cannot be `c:` or `c:\\`: c:\\"),
        ({"Type": "bind"}, "bind", "field Source must not be empty"),
        ({"Type": "bind", "Source": "a"}, "bind", f"invalid mount path: 'a' {ABSOLUTE}"),
        ({"Type": "bind", "Source": "C:\\a"}, "bind", f"invalid mount path: 'C:\\a' {ABSOLUTE}"),
        (
            {"Type": "bind", "Source": "/a", "BindOptions": {"Propagation": "rshared"}},
            "bind",
            "invalid propagation mode: rshared",
        ),
        (
            {"Type": "bind", "Source": "/a", "VolumeOptions": {}},
            "bind",
            "field VolumeOptions must not be specified",
        ),
        ({"BindOptions": {}}, "volume", "field BindOptions must not be specified"),
        ({"TmpfsOptions": {}}, "volume", "field TmpfsOptions must not be specified"),
        ({"ImageOptions": {}}, "volume", "field ImageOptions must not be specified"),
        ({"ReadOnly": True}, "volume", "must not set ReadOnly mode when using anonymous volumes"),
        ({"Source": "v", "Linwin": {"Uid": -1}}, "volume", "invalid Uid: -1"),
        ({"Type": "bind", "Source": "/a", "Linwin": {"Gid": 2**32 - 1}}, "bind", "invalid Gid: 4294967295"),
        ({"Type": "tmpfs", "Source": "/a"}, "tmpfs", "field Source must not be specified"),
        ({"Type": "tmpfs", "Linwin": {"Uid": 5}}, "tmpfs", "field Linwin must not be specified"),
        ({"Type": "tmpfs", "TmpfsOptions": {"SizeBytes": -1}}, "tmpfs", "SizeBytes must not be negative"),
    ],
)
def test_mounts_that_cannot_be(sent: dict[str, Any], kind: str, message: str) -> None:
    assert refusal(lambda: mount(**sent)) == (
        InvalidRequest,
        f'invalid mount config for type "{kind}": {message}',
    )


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        ({"Type": "npipe"}, "named pipes (npipe)"),
        ({"Type": "cluster"}, "cluster volumes (cluster)"),
        ({"Type": "image", "ImageOptions": {}}, "images as mounts (image)"),
        ({"Source": "v", "VolumeOptions": {"Subpath": "a"}}, "parts of volumes (Subpath)"),
        ({"VolumeOptions": {"DriverConfig": {"Name": "nfs"}}}, "the volume driver nfs (DriverConfig)"),
        (
            {"VolumeOptions": {"DriverConfig": {"Options": {"type": "nfs"}}}},
            "options of a volume's driver (DriverConfig)",
        ),
        ({"Type": "tmpfs", "TmpfsOptions": {"Options": [["noexec"]]}}, "options of a tmpfs (Options)"),
    ],
)
def test_what_linwin_lacks_is_refused_by_name(sent: dict[str, Any], what: str) -> None:
    assert refusal(lambda: mount(**sent)) == (Unsupported, f"linwin does not support {what}")


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"Type": 7}, "Type must hold text"),
        ({"Target": []}, "Target must hold text"),
        ({"ReadOnly": "yes"}, "ReadOnly must be true or false"),
        ({"Consistency": 1}, "Consistency must hold text"),
        ({"BindOptions": []}, "BindOptions must be an object"),
        ({"BindOptions": {"NonRecursive": "x"}}, "NonRecursive must be true or false"),
        ({"VolumeOptions": {"Labels": ["a"]}}, "Labels must be an object"),
        ({"VolumeOptions": {"DriverConfig": {"Options": 1}}}, "Options must be an object"),
        ({"Type": "tmpfs", "TmpfsOptions": {"SizeBytes": "64m"}}, "SizeBytes must be a whole number"),
        ({"Linwin": {"Uid": "me"}}, "Uid must be a whole number"),
    ],
)
def test_mounts_of_the_wrong_type(sent: dict[str, Any], message: str) -> None:
    assert refusal(lambda: mount(**sent)) == (InvalidRequest, f"invalid JSON: {message}")


# Tmpfs


@pytest.mark.parametrize(
    ("target", "options", "wanted"),
    [
        ("C:\\t", "", Mount("tmpfs", "C:\\t")),
        ("/t", "size=64m,mode=1777", Mount("tmpfs", "C:\\t", mode="size=64m,mode=1777", size=64 << 20)),
        ("d:", "ro,noexec", Mount("tmpfs", "D:\\", read_only=True, mode="ro,noexec")),
        ("/t", "rw,nosuid,nodev,uid=5,gid=5", Mount("tmpfs", "C:\\t", mode="rw,nosuid,nodev,uid=5,gid=5")),
        ("/t", "size=4096", Mount("tmpfs", "C:\\t", mode="size=4096", size=4096)),
        ("/t", "size=2K", Mount("tmpfs", "C:\\t", mode="size=2K", size=2048)),
        ("/t", "size=1g", Mount("tmpfs", "C:\\t", mode="size=1g", size=1 << 30)),
        # What docker's client makes of --tmpfs C:\t:size=1k, of D: and of D::ro.
        ("C", "\\t:size=1k", Mount("tmpfs", "C:\\t", mode="size=1k", size=1024)),
        ("C", "\\t", Mount("tmpfs", "C:\\t")),
        ("D", "", Mount("tmpfs", "D:\\")),
        ("D", ":ro", Mount("tmpfs", "D:\\", read_only=True, mode="ro")),
    ],
)
def test_tmpfs(target: str, options: str, wanted: Mount) -> None:
    assert tmpfs(target, options) == wanted


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("tmp", "", "invalid mount path: 'tmp' mount path must be absolute"),
        ("", "", "invalid mount path: '' mount path must be absolute"),
        ("C", "x", "invalid mount path: 'C:x' mount path must be absolute"),
        ("/", "", "destination path cannot be `c:` or `c:\\`: c:\\"),
        ("/t", "big", 'invalid tmpfs option ["big"]'),
        ("/t", "size=50%", 'invalid tmpfs option ["size" "50%"]'),
        ("/t", "size=-1", 'invalid tmpfs option ["size" "-1"]'),
        ("/t", "size", 'invalid tmpfs option ["size"]'),
        ("/t", "a=b=c", 'invalid tmpfs option ["a" "b=c"]'),
        ("/t", "RO", 'invalid tmpfs option ["RO"]'),
    ],
)
def test_tmpfs_that_cannot_be(target: str, options: str, message: str) -> None:
    assert refusal(lambda: tmpfs(target, options)) == (InvalidRequest, message)


# Volumes, and those of others


def test_volumes() -> None:
    sent = {"C:\\data": {}, "c:/data/": {}, "d:": {}, "/x": None}
    assert parsed(Volumes=sent).volumes == ("C:\\data", "D:\\", "C:\\x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data", "invalid mount path: 'data' mount path must be absolute"),
        ("C:\\a:C:\\b", "invalid mount path: 'C:\\a:C:\\b': no name of Windows has the character ':'"),
        ("/", "destination path cannot be `c:` or `c:\\`: c:\\"),
    ],
)
def test_volumes_that_cannot_be(text: str, message: str) -> None:
    assert refusal(lambda: parsed(Volumes={text: {}})) == (
        InvalidRequest,
        f"invalid volume specification: '{text}': {message}",
    )


def test_volumes_of_other_containers() -> None:
    assert parsed(HostConfig={"VolumesFrom": ["a", "b:ro", "c:RW", "d:"]}).volumes_from == (
        "a",
        "b:ro",
        "c:rw",
        "d",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "volumes-from specification cannot be an empty string"),
        (":ro", "volumes-from specification cannot be an empty string"),
        ("a:x", "invalid mode: x"),
        ("a:ro,z", "invalid mode: ro,z"),
        ("a:ro:rw", "invalid mode: ro:rw"),
        ("a:nocopy", "invalid mode: nocopy"),
    ],
)
def test_volumes_of_no_container(text: str, message: str) -> None:
    assert refusal(lambda: parsed(HostConfig={"VolumesFrom": [text]})) == (InvalidRequest, message)


@given(st.text(alphabet="/\\:.?cCnul roz,=1", max_size=20))
def test_any_bind_is_read_or_refused(text: str) -> None:
    try:
        read = bind(text)
    except LinwinError:
        return
    assert read.kind == "volume" or read.source.startswith("/")


# What is shown


def test_mount_points() -> None:
    shown = container(
        1,
        mounts=(
            Mount("bind", "C:\\a", "/src", read_only=True, mode="ro,z"),
            Mount("volume", "D:\\", "data"),
            Mount("tmpfs", "C:\\t", size=5),
        ),
    )
    assert mount_points.listed(shown, Paths(Path("/root"), Path("/socket"))) == [
        {
            "Type": "bind",
            "Source": "/src",
            "Destination": "C:\\a",
            "Mode": "ro,z",
            "RW": False,
            "Propagation": "",
        },
        {
            "Type": "volume",
            "Name": "data",
            "Driver": "local",
            "Source": "/root/volumes/data/_data",
            "Destination": "D:\\",
            "Mode": "",
            "RW": True,
            "Propagation": "",
        },
        {"Type": "tmpfs", "Source": "", "Destination": "C:\\t", "Mode": "", "RW": True, "Propagation": ""},
    ]

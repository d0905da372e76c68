"""-v, --mount, --tmpfs, --volumes-from and --volume-driver of run and create: what they send, and refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from linwin.cli.mount_options import parse


def created(daemon: Any, linwin: Any, *options: str) -> Any:
    daemon.on("POST /containers/create", {"Id": "c3" * 32, "Warnings": []})
    result = linwin("create", *options, "image")
    assert result.code == 0, result.err
    return daemon.requests[-1].json


def test_without_them_nothing_is_sent(daemon: Any, linwin: Any) -> None:
    body = created(daemon, linwin)
    assert "Volumes" not in body
    assert not {"Binds", "Mounts", "Tmpfs", "VolumesFrom", "VolumeDriver"} & set(body["HostConfig"])


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("/src:C:\\x", "/src:C:\\x"),
        ("/src:d:", "/src:d:"),
        ("/src:d::ro,uid=5", "/src:d::ro,uid=5"),
        ("/a b:/x:ro", "/a b:/x:ro"),
        ("data:C:\\x:nocopy", "data:C:\\x:nocopy"),
        ("C:\\src:C:\\x", "C:\\src:C:\\x"),
        (".:C:\\x", "{here}:C:\\x"),
        ("./a/../b:C:\\x:ro", "{here}/b:C:\\x:ro"),
        ("..:/x", "{above}:/x"),
        (".hidden:/x", "{here}/.hidden:/x"),
    ],
)
def test_binds(
    daemon: Any, linwin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sent: str
) -> None:
    monkeypatch.chdir(tmp_path)
    body = created(daemon, linwin, "-v", text)
    assert body["HostConfig"]["Binds"] == [sent.format(here=tmp_path, above=tmp_path.parent)]
    assert "Volumes" not in body


@pytest.mark.parametrize("target", ["C:\\data", "d:", "/data"])
def test_a_target_alone_is_a_volume(daemon: Any, linwin: Any, target: str) -> None:
    body = created(daemon, linwin, "--volume", target, "-v", "/src:C:\\x")
    assert body["Volumes"] == {target: {}}
    assert body["HostConfig"]["Binds"] == ["/src:C:\\x"]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "invalid empty volume spec", "write SOURCE:TARGET"),
        (
            "/a:",
            "invalid spec: /a:: empty section between colons",
            "write SOURCE:TARGET[:MODE]",
        ),
        (
            ":C:\\x",
            "invalid spec: :C:\\x: empty section between colons",
            "write SOURCE:TARGET[:MODE]",
        ),
        ("/a:C:\\x:ro:z", "invalid spec: /a:C:\\x:ro:z: too many colons", "write SOURCE:TARGET[:MODE]"),
    ],
)
@pytest.mark.parametrize("command", ["run", "create"])
def test_volumes_that_are_none(
    daemon: Any, linwin: Any, command: str, text: str, message: str, hint: str
) -> None:
    result = linwin(command, "-v", text, "image")
    assert (result.code, result.err) == (125, f"linwin: {message}\n{hint}\n")
    assert not daemon.requests


def test_tmpfs_and_the_rest(daemon: Any, linwin: Any) -> None:
    options = ["--tmpfs", "C:\\t:size=64m,ro", "--tmpfs", "d:", "--tmpfs", "E::ro", "--tmpfs", "/x:size=1"]
    options += ["--volumes-from", "one", "--volumes-from", "two:ro", "--volume-driver", "local"]
    host = created(daemon, linwin, *options)["HostConfig"]
    assert host["Tmpfs"] == {"C:\\t": "size=64m,ro", "d:": "", "E:": "ro", "/x": "size=1"}
    assert host["VolumesFrom"] == ["one", "two:ro"]
    assert host["VolumeDriver"] == "local"


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("target=C:\\x", {"Type": "volume", "Target": "C:\\x"}),
        (
            "type=bind,source=/a,target=C:\\x,readonly",
            {"Type": "bind", "Source": "/a", "Target": "C:\\x", "ReadOnly": True},
        ),
        (
            "TYPE=BIND,src=/a,dst=d:,ro=0,consistency=Cached",
            {"Type": "bind", "Source": "/a", "Target": "d:", "ReadOnly": False, "Consistency": "cached"},
        ),
        (
            'type=bind,"source=/a,""b""",destination=/x',
            {"Type": "bind", "Source": '/a,"b"', "Target": "/x"},
        ),
        (
            "type=bind,src=/a,dst=/x,bind-propagation=RPrivate,bind-nonrecursive",
            {
                "Type": "bind",
                "Source": "/a",
                "Target": "/x",
                "BindOptions": {"Propagation": "rprivate", "NonRecursive": True},
            },
        ),
        (
            "type=bind,src=/a,dst=/x,ro,bind-propagation=rprivate,bind-recursive=readonly",
            {
                "Type": "bind",
                "Source": "/a",
                "Target": "/x",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rprivate", "ReadOnlyForceRecursive": True},
            },
        ),
        (
            "src=data,dst=/x,volume-nocopy,volume-label=a=b=c,volume-label=d,volume-label==e",
            {
                "Type": "volume",
                "Source": "data",
                "Target": "/x",
                "VolumeOptions": {"NoCopy": True, "Labels": {"a": "b=c", "d": ""}},
            },
        ),
        (
            "dst=/x,volume-driver=local,volume-opt=type=nfs,volume-subpath=a",
            {
                "Type": "volume",
                "Target": "/x",
                "VolumeOptions": {
                    "DriverConfig": {"Name": "local", "Options": {"type": "nfs"}},
                    "Subpath": "a",
                },
            },
        ),
        (
            "type=tmpfs,dst=/x,tmpfs-size=64m,tmpfs-mode=1777",
            {"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": 64 << 20, "Mode": 0o1777}},
        ),
        (
            "type=image,src=a,dst=/x,image-subpath=b",
            {"Type": "image", "Source": "a", "Target": "/x", "ImageOptions": {"Subpath": "b"}},
        ),
        (
            "type=bind,src=/a,dst=/x,uid=1000,gid=0",
            {"Type": "bind", "Source": "/a", "Target": "/x", "Linwin": {"Uid": 1000, "Gid": 0}},
        ),
    ],
)
def test_mounts(text: str, sent: dict[str, Any]) -> None:
    assert parse(text) == sent


def test_mounts_are_sent(daemon: Any, linwin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = ("type=bind,src=.,dst=/a", "type=bind,src=../b,dst=/b", "type=bind,src=.c,dst=/c")
    options = [word for text in texts for word in ("--mount", text)]
    sources = [one["Source"] for one in created(daemon, linwin, *options)["HostConfig"]["Mounts"]]
    assert sources == [str(tmp_path), f"{tmp_path.parent}/b", ".c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "value is empty"),
        ("type=bind", "target is required"),
        ("target=", "target is required"),
        ("type=,target=x", "type is required"),
        ("target=x,bogus", "invalid field 'bogus' must be a key=value pair"),
        ("target=x,BOGUS", "invalid field 'BOGUS' must be a key=value pair"),
        ("target=x,", "invalid field '' must be a key=value pair"),
        ("target=x,source", "invalid field 'source' must be a key=value pair"),
        ("target=x,bogus=1", "unexpected key 'bogus' in 'bogus=1'"),
        ("target=x,BAD=1", "unexpected key 'bad' in 'BAD=1'"),
        ("type=bind, target=x", "unexpected key ' target' in ' target=x'"),
        ("target=x,readonly=", "invalid value for readonly: "),
        ("target=x,ro=yes", "invalid value for ro: yes"),
        ("target=x,volume-nocopy=no", "invalid value for volume-nocopy: no"),
        ("type=bind,target=x,bind-nonrecursive=x", "invalid value for bind-nonrecursive: x"),
        (
            "type=bind,target=x,bind-recursive=x",
            'invalid value for bind-recursive: x (must be "enabled", "disabled", "writable", or "readonly")',
        ),
        (
            "type=bind,target=x,bind-recursive=writable",
            "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
        ),
        (
            "type=bind,target=x,bind-recursive=readonly",
            "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
        ),
        (
            "type=bind,target=x,ro,bind-recursive=readonly",
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in "
            "conjunction",
        ),
        ("type=tmpfs,target=x,tmpfs-size=big", "invalid value for tmpfs-size: big"),
        ("type=tmpfs,target=x,tmpfs-size=-5", "invalid value for tmpfs-size: -5"),
        ("type=tmpfs,target=x,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
        ("target=x,uid=me", "invalid value for uid: me"),
        ("target=x,gid=-1", "invalid value for gid: -1"),
        ("type=bind,target=x,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
        ("target=x,bind-propagation=shared", "cannot mix 'bind-*' options with mount type 'volume'"),
        ("type=bind,target=x,tmpfs-size=1", "cannot mix 'tmpfs-*' options with mount type 'bind'"),
        ("target=x,image-subpath=a", "cannot mix 'image-*' options with mount type 'volume'"),
        ('src=a"b,target=x', 'parse error on line 1, column 6: bare " in non-quoted-field'),
        ('"src=a"b,target=x', 'parse error on line 1, column 7: extraneous or missing " in quoted-field'),
        ('"src=a,target=x', 'parse error on line 1, column 16: extraneous or missing " in quoted-field'),
    ],
)
def test_mounts_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("command", ["run", "create"])
def test_how_a_bad_mount_is_told(daemon: Any, linwin: Any, command: str) -> None:
    result = linwin(command, "--mount", "dst=C:\\x,size=5", "image")
    assert (result.code, result.err) == (
        125,
        'linwin: invalid argument "dst=C:\\\\x,size=5" for "--mount" flag: '
        "unexpected key 'size' in 'size=5'\n"
        f"Run 'linwin {command} --help' for more information.\n",
    )
    assert not daemon.requests

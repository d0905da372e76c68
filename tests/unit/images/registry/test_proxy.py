"""A skopeo that is not the one we know."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from linwin.errors import Internal, LinwinError, Unavailable
from linwin.images import ImageStore
from linwin.paths import Paths
from tests.unit.images.archive_writer import Sample, ignore, layer_tar, template
from tests.unit.images.registry.bad_registry import BadRegistry

SAMPLE = Sample([layer_tar({"one.txt": b"1"})])
FAKE = """#!{python}
import json, os, socket, sys
if "experimental-image-proxy" not in sys.argv:
    os.execv("{skopeo}", sys.argv)
connection = socket.socket(fileno=int(sys.argv[-1]))
replies = iter({replies})
while request := connection.recv(65536):
    reply = next(replies, None)
    if reply is None:
        print('time="1" level=fatal msg="out of luck"', file=sys.stderr)
        sys.exit(1)
    connection.send(reply if isinstance(reply, bytes) else json.dumps(reply).encode())
"""
HELLO = {"success": True, "value": "0.2.9"}
OPENED = {"success": True, "value": 1}


@pytest.mark.parametrize(
    ("replies", "kind", "message"),
    [
        (
            [{"success": True, "value": "0.3.0"}],
            Unavailable,
            "skopeo's image proxy cannot be used: protocol 0.3.0",
        ),
        (
            [{"success": False, "error": "no policy"}],
            Unavailable,
            "skopeo's image proxy cannot be used: no policy",
        ),
        ([b"what?"], Internal, "skopeo's image proxy does not answer in JSON"),
        ([b"[]"], Internal, "skopeo's image proxy does not answer in JSON"),
        (
            [HELLO, OPENED, {"success": True, "value": 3, "pipeid": 7}],
            Internal,
            f"skopeo's image proxy gave 0 pipes for blob {SAMPLE.id}",
        ),
        (
            [HELLO],
            Unavailable,
            f"registry HOST broke off the config of image HOST/app:1 ({SAMPLE.id}) 3 times: "
            "skopeo ended early: out of luck",
        ),
        (
            [HELLO, {"success": False, "error": "pinging: connection refused"}],
            Unavailable,
            f"registry HOST broke off the config of image HOST/app:1 ({SAMPLE.id}) 3 times: "
            "registry HOST cannot be reached: connection refused",
        ),
    ],
)
async def test_a_proxy_of_another_kind(
    bad: BadRegistry,
    paths: Paths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    replies: list[object],
    kind: type[LinwinError],
    message: str,
) -> None:
    bad.add(SAMPLE)
    fake = tmp_path / "bin" / "skopeo"
    fake.parent.mkdir()
    script = FAKE.replace("{python}", sys.executable).replace("{replies}", repr(replies))
    fake.write_text(script.replace("{skopeo}", shutil.which("skopeo") or ""))
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(LinwinError) as caught:
        await ImageStore(paths).pull(bad.name(), [template()], ignore)
    assert (type(caught.value), caught.value.message) == (kind, message.replace("HOST", bad.host))


async def test_no_skopeo_at_all(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(Unavailable) as caught:
        await ImageStore(paths).pull("hub.example/app:1", [template()], ignore)
    assert caught.value.message == "the program skopeo is not installed"
    assert caught.value.hint == "install it with: apt-get install skopeo"

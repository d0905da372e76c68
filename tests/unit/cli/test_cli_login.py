"""login and logout, on docker's own config.json."""

from __future__ import annotations

import base64
import io
import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.fake_daemon import Reply, error
from tests.unit.cli.logins import ACCEPTED, HUB, INSECURE, encoded
from tests.unit.cli.screen import read_terminal


def pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def stored_warning(config: Path) -> str:
    return (
        f"\nWARNING! Your credentials are stored unencrypted in '{config}'.\n"
        'A credential helper keeps them better: name one as "credsStore" in that file.\n\n'
    )


def test_login_to_docker_hub(daemon: Any, linwin: Any, config: Path) -> None:
    daemon.on("POST /auth", ACCEPTED)
    result = linwin("login", "-u", "me", "-p", "secret")
    assert (result.code, result.out) == (0, "Login Succeeded\n")
    assert result.err == INSECURE + stored_warning(config)
    assert daemon.asked("POST /auth").json == {
        "username": "me",
        "password": "secret",
        "serveraddress": HUB,
    }
    assert json.loads(config.read_text()) == {"auths": {HUB: {"auth": encoded("me:secret")}}}
    assert config.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in config.parent.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("server", "key"),
    [
        ("https://host:5000/v1/", "host:5000"),
        ("http://host", "host"),
        ("docker.io", HUB),
        ("index.docker.io", HUB),
        (HUB, HUB),
    ],
)
def test_login_with_a_piped_password(
    daemon: Any, linwin: Any, config: Path, monkeypatch: pytest.MonkeyPatch, server: str, key: str
) -> None:
    daemon.on("POST /auth", ACCEPTED)
    pipe(monkeypatch, "p:w \r\n")
    result = linwin("login", "-u", "me", "--password-stdin", server)
    assert (result.code, result.out, result.err) == (0, "Login Succeeded\n", stored_warning(config))
    assert daemon.asked("POST /auth").json["serveraddress"] == key
    assert json.loads(config.read_text())["auths"] == {key: {"auth": encoded("me:p:w ")}}


def test_login_leaves_the_rest_of_the_file_alone(
    daemon: Any, linwin: Any, config: Path, tmp_path: Path
) -> None:
    real = tmp_path / "elsewhere.json"
    before = {"psFormat": "ä", "auths": {"b.io": {"auth": "x"}}, "proxies": {"default": {}}}
    real.write_text(json.dumps(before))
    config.symlink_to(real)
    daemon.on("POST /auth", ACCEPTED)
    assert linwin("login", "-u", "me", "-p", "pw", "a.io").code == 0
    assert config.is_symlink()
    after = json.loads(real.read_text())
    assert after == {**before, "auths": {"b.io": {"auth": "x"}, "a.io": {"auth": encoded("me:pw")}}}
    assert list(after) == list(before)


def test_login_keeps_a_token_and_no_password(daemon: Any, linwin: Any, config: Path) -> None:
    daemon.on("POST /auth", {"Status": "Login Succeeded", "IdentityToken": "tok"})
    result = linwin("login", "-u", "me", "-p", "secret", "a.io")
    assert (result.code, result.err) == (0, INSECURE)
    assert json.loads(config.read_text())["auths"]["a.io"] == {
        "auth": encoded("me:"),
        "identitytoken": "tok",
    }
    daemon.on("POST /images/create", Reply(lines=[]))
    assert linwin("pull", "a.io/x").code == 0
    sent = json.loads(base64.urlsafe_b64decode(daemon.requests[-1].headers["x-registry-auth"]))
    assert sent == {"username": "me", "serveraddress": "a.io", "identitytoken": "tok"}


def test_a_refused_login_keeps_nothing(daemon: Any, linwin: Any, config: Path) -> None:
    daemon.on("POST /auth", error(401, "unauthorized: incorrect username or password"))
    result = linwin("login", "-u", "me", "-p", "secret")
    assert (result.code, result.out) == (1, "")
    assert result.err == INSECURE + "linwin: unauthorized: incorrect username or password\n"
    assert not config.exists()


@pytest.mark.parametrize(
    ("words", "typed", "message"),
    [
        (["--password-stdin"], "pw", "the --password-stdin option requires --username to be set"),
        (
            ["-u", "a", "-p", "b", "--password-stdin"],
            "pw",
            "conflicting options: cannot specify both --password and --password-stdin",
        ),
        (["-u", "a", "--password-stdin"], "\n", "the password on standard input is empty"),
        (
            ["-u", "a"],
            "",
            "Cannot perform an interactive login from a non TTY device\n"
            "linwin login -u NAME --password-stdin [SERVER]",
        ),
    ],
)
def test_login_with_too_little(
    daemon: Any,
    linwin: Any,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    typed: str,
    message: str,
) -> None:
    pipe(monkeypatch, typed)
    result = linwin("login", *words)
    assert (result.code, result.out) == (1, "")
    assert result.err.removeprefix(INSECURE) == f"linwin: {message}\n"
    assert daemon.requests == []


def test_login_again_uses_what_is_kept(daemon: Any, linwin: Any, config: Path) -> None:
    text = json.dumps({"auths": {"https://a.io/v1/": {"auth": encoded("me:pw")}}})
    config.write_text(text)
    daemon.on("POST /auth", Reply(204))
    result = linwin("login", "a.io")
    assert (result.code, result.out) == (0, "Login Succeeded\n")
    assert result.err == "Authenticating with existing credentials... [Username: me]\n"
    assert daemon.asked("POST /auth").json == {
        "username": "me",
        "password": "pw",
        "serveraddress": "a.io",
    }
    assert config.read_text() == text


def test_login_again_when_what_is_kept_no_longer_works(
    daemon: Any, linwin: Any, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(json.dumps({"auths": {"a.io": {"auth": encoded("me:pw")}}}))
    daemon.on("POST /auth", error(401, "unauthorized: expired"))
    pipe(monkeypatch, "")
    result = linwin("login", "a.io")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "Authenticating with existing credentials... [Username: me]\n"
        "linwin: unauthorized: expired\n"
        "linwin: Cannot perform an interactive login from a non TTY device\n"
        "linwin login -u NAME --password-stdin [SERVER]\n"
    )


def test_login_asks_on_a_terminal_and_does_not_echo(daemon: Any, spawn: Any, config: Path) -> None:
    daemon.on("POST /auth", ACCEPTED)
    ours, theirs = pty.openpty()
    process = spawn("login", "a.io", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    with open(ours, "r+b", buffering=0) as screen:
        shown = b""
        while not shown.endswith(b"Username: "):
            shown += screen.read(1)
        screen.write(b"me\n")
        while not shown.endswith(b"Password: "):
            shown += screen.read(1)
        screen.write(b"hush\n")
        rest = read_terminal(screen)
    assert process.wait(30) == 0
    assert "hush" not in shown.decode() + rest
    assert rest.endswith("Login Succeeded\r\n")
    assert daemon.asked("POST /auth").json["password"] == "hush"


def test_login_whose_file_cannot_be_written(
    daemon: Any, linwin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "file" / "x"))
    daemon.on("POST /auth", ACCEPTED)
    result = linwin("login", "-u", "me", "-p", "pw", "a.io")
    assert (result.code, result.out) == (1, "")
    assert result.err == INSECURE + (
        f"linwin: cannot read {tmp_path}/file/x/config.json: Not a directory\n"
        "repair it, or name another folder with DOCKER_CONFIG\n"
    )


def test_login_where_docker_has_no_folder(daemon: Any, linwin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", "/proc/linwin")  # where not even root can make a folder
    daemon.on("POST /auth", ACCEPTED)
    result = linwin("login", "-u", "me", "-p", "pw", "a.io")
    assert result.code == 1
    assert result.err == INSECURE + (
        "linwin: cannot write /proc/linwin/config.json: No such file or directory\n"
        "repair it, or name another folder with DOCKER_CONFIG\n"
    )
    assert linwin("logout", "a.io").out == "Not logged in to a.io\n"


def test_login_whose_file_is_a_link_to_where_nothing_can_be_written(
    daemon: Any, linwin: Any, config: Path
) -> None:
    config.symlink_to("/proc/linwin")
    daemon.on("POST /auth", ACCEPTED)
    result = linwin("login", "-u", "me", "-p", "pw", "a.io")
    assert (result.code, result.out) == (1, "")
    assert result.err.removeprefix(INSECURE).startswith(f"linwin: cannot write {config}: ")


def test_the_folder_is_made_for_its_owner_alone(daemon: Any, linwin: Any, place: Path) -> None:
    daemon.on("POST /auth", ACCEPTED)
    assert linwin("login", "-u", "me", "-p", "pw", "a.io").code == 0
    assert Path(os.environ["DOCKER_CONFIG"]).stat().st_mode & 0o777 == 0o700


def test_the_usual_place(monkeypatch: pytest.MonkeyPatch, daemon: Any, linwin: Any, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    daemon.on("POST /auth", ACCEPTED)
    assert linwin("login", "-u", "me", "-p", "pw", "a.io").code == 0
    assert (tmp_path / ".docker" / "config.json").exists()


def test_logout(linwin: Any, daemon: Any, config: Path) -> None:
    auths = {name: {"auth": "x"} for name in (HUB, "a.io", "https://a.io/v2/", "b.io")}
    config.write_text(json.dumps({"x": 1, "auths": auths}))
    assert linwin("logout", "http://a.io/").out == "Removing login credentials for a.io\n"
    assert linwin("logout").out == f"Removing login credentials for {HUB}\n"
    result = linwin("logout", "a.io")
    assert (result.code, result.out, result.err) == (0, "Not logged in to a.io\n", "")
    assert json.loads(config.read_text()) == {"x": 1, "auths": {"b.io": {"auth": "x"}}}
    assert daemon.requests == []

"""docker's config.json when it is odd or broken, and credential helpers. No secret is ever shown."""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from linwin.cli import credential_helpers
from linwin.cli.docker_config import edited_config
from tests.unit.cli.fake_daemon import Reply, error
from tests.unit.cli.logins import ACCEPTED, HUB, INSECURE, encoded

HELPER = """#!{python}
import json, sys
from pathlib import Path
place, action, payload = Path(__file__), sys.argv[1], sys.stdin.read()
with open(f"{{place}}.log", "a") as log:
    print(action, payload, file=log)
kept = Path(f"{{place}}.kept")
if action == "store":
    kept.write_text(payload)
elif not kept.exists():
    print("credentials not found in native keychain")
    sys.exit(1)
elif action == "get":
    print(kept.read_text())
else:
    kept.unlink()
"""


class Helper:
    """A credential helper ``vault`` on PATH, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "docker-credential-vault"
        self.write(HELPER.format(python=sys.executable))

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self.path.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        return Path(f"{self.path}.log").read_text().splitlines()


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helper:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return Helper(folder)


BROKEN = [
    ("{bad", "it is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ("[]", "it is not a JSON object"),
    ('{"auths": []}', '"auths" is not a JSON object'),
    ('{"credHelpers": 1}', '"credHelpers" is not a JSON object'),
    ("[" * 100_000, "it is nested too deeply"),
    (b"\xff", "it is not UTF-8"),
]


@pytest.mark.parametrize(("content", "why"), BROKEN)
@pytest.mark.parametrize("words", [["pull", "-q", "a"], ["login", "-u", "x", "-p", "y"], ["logout"]])
def test_a_corrupt_file_is_named_and_never_overwritten(
    daemon: Any, linwin: Any, config: Path, content: str | bytes, why: str, words: list[str]
) -> None:
    daemon.on("POST /auth", ACCEPTED)
    written = content if isinstance(content, bytes) else content.encode()
    config.write_bytes(written)
    result = linwin(*words)
    assert (result.code, result.out) == (1, "")
    assert result.err.removeprefix(INSECURE) == (
        f"linwin: cannot use docker's configuration file {config}: {why}\n"
        "repair it, or name another folder with DOCKER_CONFIG\n"
    )
    assert config.read_bytes() == written


@pytest.mark.parametrize(
    "entry",
    [
        1,
        {"auth": 1},
        {"auth": "!!!"},
        {"auth": encoded("no colon")},
        {"auth": base64.b64encode(b"\xff:x").decode()},
        {"identitytoken": []},
    ],
)
def test_malformed_credentials_are_named_and_not_shown(
    daemon: Any, linwin: Any, config: Path, entry: Any
) -> None:
    config.write_text(json.dumps({"auths": {"a.io": entry}}))
    result = linwin("pull", "-q", "a.io/x")
    assert (result.code, result.out, daemon.requests) == (1, "", [])
    assert result.err == (
        f"linwin: the credentials for a.io in {config} are malformed\nlinwin logout a.io, then linwin login\n"
    )
    assert linwin("logout", "a.io").code == 0


def test_an_empty_file_and_empty_entries_hold_nobodys_credentials(
    daemon: Any, linwin: Any, config: Path
) -> None:
    daemon.on("POST /images/create", Reply(lines=[]))
    for content in ("", "{}", '{"auths": null}', '{"auths": {"a.io": {}}}'):
        config.write_text(content)
        assert linwin("pull", "-q", "a.io/x").code == 0
        assert daemon.requests[-1].headers["x-registry-auth"] == "e30="


@pytest.mark.parametrize("setting", [{"credsStore": "vault"}, {"credHelpers": {"a.io": "vault"}}])
def test_a_helper_keeps_the_secrets(
    daemon: Any, linwin: Any, config: Path, helper: Helper, setting: dict[str, Any]
) -> None:
    config.write_text(json.dumps({**setting, "auths": {"a.io": {"auth": encoded("me:old")}}}))
    daemon.on("POST /auth", ACCEPTED)
    daemon.on("POST /images/create", Reply(lines=[]))
    result = linwin("login", "-u", "me", "-p", "secret", "a.io")
    assert (result.code, result.out, result.err) == (0, "Login Succeeded\n", INSECURE)
    assert json.loads(config.read_text()) == {**setting, "auths": {"a.io": {}}}
    assert linwin("pull", "-q", "a.io/x").code == 0
    sent = json.loads(base64.urlsafe_b64decode(daemon.requests[-1].headers["x-registry-auth"]))
    assert sent == {"username": "me", "password": "secret", "serveraddress": "a.io"}
    assert linwin("logout", "a.io").out == "Removing login credentials for a.io\n"
    assert json.loads(config.read_text()) == {**setting, "auths": {}}
    assert linwin("logout", "a.io").out == "Not logged in to a.io\n"
    assert helper.asked == [
        'store {"ServerURL": "a.io", "Username": "me", "Secret": "secret"}',
        "get a.io",
        "get a.io",
        "erase a.io",
        "get a.io",
    ]


def test_a_helper_keeps_tokens_under_their_own_name(
    daemon: Any, linwin: Any, config: Path, helper: Helper
) -> None:
    config.write_text('{"credsStore": "vault"}')
    daemon.on("POST /auth", {"Status": "Login Succeeded", "IdentityToken": "tok"})
    daemon.on("POST /images/create", Reply(lines=[]))
    assert linwin("login", "-u", "me", "-p", "secret").code == 0
    assert helper.asked == [f'store {{"ServerURL": "{HUB}", "Username": "<token>", "Secret": "tok"}}']
    assert linwin("pull", "-q", "x").code == 0
    sent = json.loads(base64.urlsafe_b64decode(daemon.requests[-1].headers["x-registry-auth"]))
    assert sent == {"serveraddress": HUB, "identitytoken": "tok"}


def test_a_helper_for_one_registry_leaves_the_others_alone(
    daemon: Any, linwin: Any, config: Path, helper: Helper
) -> None:
    auths = {"b.io": {"auth": encoded("me:pw")}}
    config.write_text(json.dumps({"credHelpers": {"a.io": "vault"}, "auths": auths}))
    daemon.on("POST /images/create", Reply(lines=[]))
    assert linwin("pull", "-q", "b.io/x").code == 0
    sent = json.loads(base64.urlsafe_b64decode(daemon.requests[-1].headers["x-registry-auth"]))
    assert sent["password"] == "pw"
    assert linwin("pull", "-q", "a.io/x").code == 0
    assert daemon.requests[-1].headers["x-registry-auth"] == "e30="


def test_a_missing_helper(daemon: Any, linwin: Any, config: Path) -> None:
    config.write_text('{"credsStore": "nowhere"}')
    daemon.on("POST /auth", ACCEPTED)
    sentence = (
        "linwin: cannot run the credential helper docker-credential-nowhere: No such file or directory\n"
        "install it, or take it out of docker's config.json (credsStore, credHelpers)\n"
    )
    for words in (["pull", "-q", "a"], ["logout"], ["login", "-u", "me", "-p", "pw"]):
        result = linwin(*words)
        assert (result.code, result.out) == (1, "")
        assert result.err.removeprefix(INSECURE) == sentence
    assert json.loads(config.read_text()) == {"credsStore": "nowhere"}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo the key ring is locked; echo more; exit 3", "docker-credential-vault get failed: "
         "the key ring is locked"),
        ("printf '\\033[2Jboo'; exit 1", "docker-credential-vault get failed:  [2Jboo"),
        ("exit 7", "docker-credential-vault get failed: exit code 7"),
        ("echo '{\"Secret\": \"hush\"'", "docker-credential-vault gave an answer that cannot be read\n"
         "try: docker-credential-vault get"),
        ("echo '[\"hush\"]'", "docker-credential-vault gave an answer that cannot be read\n"
         "try: docker-credential-vault get"),
        ("echo '{\"Username\": 1, \"Secret\": \"hush\"}'", "docker-credential-vault gave an answer that "
         "cannot be read"),
    ],
)  # fmt: skip
def test_a_helper_that_fails(
    daemon: Any, linwin: Any, config: Path, helper: Helper, script: str, message: str
) -> None:
    config.write_text('{"credsStore": "vault"}')
    helper.write(f"#!/bin/sh\n{script}\n")
    result = linwin("pull", "-q", "a")
    assert (result.code, result.out, result.err) == (1, "", f"linwin: {message}\n")
    assert daemon.requests == []


def test_a_helper_that_says_nothing(
    daemon: Any, linwin: Any, config: Path, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_helpers, "TIMEOUT", 0.2)
    config.write_text('{"credsStore": "vault"}')
    helper.write("#!/bin/sh\nexec tail -f /dev/null\n")
    result = linwin("pull", "-q", "a")
    assert (result.code, result.err) == (
        1,
        "linwin: docker-credential-vault did not answer within 0.2 seconds\n",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"credsStore": "../x"}', "invalid name of a credential helper: '../x'"),
        ('{"credsStore": 1}', f"the credential helper for {HUB} in CONFIG is not named by a string"),
    ],
)
def test_what_is_no_helpers_name(daemon: Any, linwin: Any, config: Path, content: str, message: str) -> None:
    config.write_text(content)
    result = linwin("pull", "-q", "a")
    assert (result.code, result.err) == (1, f"linwin: {message.replace('CONFIG', str(config))}\n")


def test_a_run_that_pulls_reads_credentials_too(daemon: Any, linwin: Any, config: Path) -> None:
    config.write_text('{"credsStore": "nowhere"}')
    daemon.on("POST /containers/create", error(404, "No such image: a:latest"))
    result = linwin("run", "a")
    assert result.code == 125
    assert result.err.startswith(
        "Unable to find image 'a:latest' locally\nlinwin: cannot run the credential helper"
    )


def test_edits_at_the_same_time_lose_nothing(config: Path) -> None:
    def edit(number: int) -> None:
        with edited_config(config) as content:
            content[f"n{number}"] = number

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(json.loads(config.read_text())) == 8


def test_an_edit_that_fails_changes_nothing(config: Path) -> None:
    config.write_text("{}")

    def edit() -> None:
        with edited_config(config) as content:
            content["a"] = 1
            raise KeyError

    with pytest.raises(KeyError):
        edit()
    assert config.read_text() == "{}"

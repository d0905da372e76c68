"""How skopeo is run, and what is made of what it says."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, LinwinError, NotFound, Unauthorized, Unavailable
from linwin.images import references
from linwin.images.registry.skopeo import (
    Subject,
    Verb,
    auth_document,
    complaint,
    credentials_for,
    location,
    one_line,
    registry_host,
    require_host,
    skopeo_session,
    translate,
)
from linwin.model.registry import Credentials
from linwin.paths import Paths

CONF = Path("/root/registries.conf")


def subject(verb: Verb) -> Subject:
    return Subject(verb, references.parse("hub.example/app:1"), "hub.example", CONF)


@pytest.mark.parametrize(
    ("verb", "said", "kind", "message", "hint"),
    [
        (
            "pull",
            "reading manifest 1 in hub.example/app: manifest unknown: OCI index found",
            NotFound,
            "manifest for hub.example/app:1 not found: manifest unknown: manifest unknown",
            None,
        ),
        (
            "pull",
            "reading manifest 1 in hub.example/app: name unknown: repository name not known to registry",
            NotFound,
            "repository hub.example/app not found: name unknown",
            None,
        ),
        (
            "pull",
            "reading manifest 1 in hub.example/app: denied: requested access to the resource is denied",
            NotFound,
            "pull access denied for hub.example/app, repository does not exist or may require 'docker login'",
            "Log in with: linwin login hub.example",
        ),
        (
            "push",
            "checking whether a blob exists in hub.example/app: unauthorized: authentication required",
            Unauthorized,
            "denied: requested access to the resource is denied",
            "Log in with: linwin login hub.example",
        ),
        (
            "login",
            'logging into "hub.example": invalid username/password',
            Unauthorized,
            "login to hub.example failed: unauthorized: incorrect username or password",
            None,
        ),
        (
            "pull",
            'pinging container registry hub.example: Get "https://hub.example/v2/": dial tcp: '
            "lookup hub.example on 192.0.2.1:53: no such host",
            Unavailable,
            "registry hub.example cannot be reached: no such host",
            "Check its name, this host's network, and HTTPS_PROXY and NO_PROXY of the daemon.",
        ),
        (
            "pull",
            'Get "https://hub.example/v2/": net/http: TLS handshake timeout',
            Unavailable,
            "registry hub.example cannot be reached: TLS handshake timeout",
            "Check its name, this host's network, and HTTPS_PROXY and NO_PROXY of the daemon.",
        ),
        (
            "pull",
            "toomanyrequests: You have reached your pull rate limit.",
            Unavailable,
            "registry hub.example takes no more requests for now",
            "Wait, or log in: registries allow more to users whom they know.",
        ),
        (
            "pull",
            "something that nobody foresaw",
            Unavailable,
            "registry hub.example does not answer as one: something that nobody foresaw",
            None,
        ),
    ],
)
def test_what_skopeo_says(
    verb: Verb, said: str, kind: type[LinwinError], message: str, hint: str | None
) -> None:
    error = translate(said, subject(verb))
    assert (type(error), error.message, error.hint) == (kind, message, hint)


@pytest.mark.parametrize(
    ("verb", "reference", "said", "message"),
    [
        (
            "push",
            "hub.example/denied-party/app:1",
            "writing blob: initiating layer upload to /v2/denied-party/app/blobs/uploads/ in hub.example: "
            "received unexpected HTTP status: 500 Internal Server Error",
            "registry hub.example failed: 500 Internal Server Error",
        ),
        (
            "push",
            "hub.example/app:denied",
            "writing manifest: uploading manifest denied to hub.example/app: "
            "received unexpected HTTP status: 500 Internal Server Error",
            "registry hub.example failed: 500 Internal Server Error",
        ),
        (
            "pull",
            "denied.example:5000/app:1",
            'pinging container registry denied.example:5000: Get "https://denied.example:5000/v2/": '
            "dial tcp: lookup denied.example on 192.0.2.1:53: no such host",
            "registry denied.example:5000 cannot be reached: no such host",
        ),
        (
            "pull",
            "hub.example/app:unauthorized",
            "reading manifest unauthorized in hub.example/app: "
            "received unexpected HTTP status: 503 Service Unavailable",
            "registry hub.example failed: 503 Service Unavailable",
        ),
        (
            "pull",
            "hub.example/app:toomanyrequests",
            "reading manifest toomanyrequests in hub.example/app: manifest unknown",
            "manifest for hub.example/app:toomanyrequests not found: manifest unknown: manifest unknown",
        ),
        (
            "pull",
            "Hub/app:1",
            "invalid reference format: repository name must be lowercase",
            "image Hub/app:1 cannot be in a registry: "
            "invalid reference format: repository name must be lowercase",
        ),
    ],
)
def test_a_name_is_no_complaint(verb: Verb, reference: str, said: str, message: str) -> None:
    named = references.parse(reference)
    assert translate(said, Subject(verb, named, named.domain, CONF)).message == message


@pytest.mark.parametrize(
    ("quoted", "said"),
    [
        (rb"it\nsaid \"no\"", 'it said "no"'),
        (rb"it said \x1b[31mno\a", "it said [31mno"),
        (rb"it said \U0001f600", r"it said \U0001f600"),
    ],
)
def test_the_complaint_is_the_last_fatal_line(quoted: bytes, said: str) -> None:
    """Which Go quotes almost as JSON does."""
    prefix = rb"Error parsing image name \"docker://a/b:1\": " if b"U0" not in quoted else b""
    log = b'time="1" level=warning msg="never mind"\ntime="2" level=fatal msg="' + prefix + quoted + b'"\n'
    assert complaint(log) == said


def test_a_complaint_of_another_form() -> None:
    assert complaint(b"panic: out of luck\n\n") == "panic: out of luck"


def test_what_a_registry_makes_skopeo_say_is_bounded_and_printable() -> None:
    assert one_line("a\x1b[2J\n\tb") == "a [2J b"
    assert len(one_line("x" * 10_000)) == 401


def test_the_authfile_is_private_and_short_lived(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/somebody/elses")
    monkeypatch.setenv("DOCKER_CONFIG", "/somebody/elses")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    with skopeo_session(paths, "hub.example", Credentials("ada", "secret")) as session:
        assert stat.S_IMODE(session.authfile.stat().st_mode) == 0o600
        assert stat.S_IMODE(session.folder.stat().st_mode) == 0o700
        auths = json.loads(session.authfile.read_text())["auths"]
        assert auths == {"hub.example": {"auth": base64.b64encode(b"ada:secret").decode()}}
        command = session.command("inspect", "docker://hub.example/app:1")
        assert "secret" not in " ".join([*command, *session.environment.values()])
        assert command[-3:] == ["--authfile", str(session.authfile), "docker://hub.example/app:1"]
        assert "--registries-conf" not in command
        assert session.environment["HTTPS_PROXY"] == "http://proxy.example:3128"
        assert session.environment["HOME"].startswith(str(paths.cache))
        assert session.environment["XDG_RUNTIME_DIR"] == str(session.folder)
        assert not {"REGISTRY_AUTH_FILE", "DOCKER_CONFIG"} & session.environment.keys()
    assert list(paths.scratch.iterdir()) == []
    paths.registries_conf.touch()
    with skopeo_session(paths, "hub.example", None) as session:
        command = session.command("inspect")
        assert command[command.index("--registries-conf") + 1] == os.fspath(paths.registries_conf)
        assert session.authfile.read_bytes() == b"{}"


def test_an_identity_token() -> None:
    document = json.loads(auth_document("hub.example", Credentials(identity_token="token")))
    entry = document["auths"]["hub.example"]
    assert entry["identitytoken"] == "token"
    assert base64.b64decode(entry["auth"]) == b"<token>:"


def test_a_user_name_with_a_colon() -> None:
    with pytest.raises(InvalidRequest) as caught:
        auth_document("hub.example", Credentials("a:b", "c"))
    assert caught.value.message == "a registry's user name cannot contain a colon"


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("https://Hub.Example:5000/v2/", "hub.example:5000"),
        ("hub.example", "hub.example"),
        ("", ""),
    ],
)
def test_the_host_of_a_registry(server: str, host: str) -> None:
    assert registry_host(server) == host


@pytest.mark.parametrize("host", ["hub.example", "localhost", "a-b.c:5000", "127.0.0.1:5000", "[::1]:5000"])
def test_what_can_be_a_registry(host: str) -> None:
    assert require_host(host) == host


@pytest.mark.parametrize(
    "host",
    [
        *("", "--get-login", "a b", "a..b", "a.", "hub.example?x", "hub.example\n", "ada:secret@hub.example"),
        *("h:x", "h:123456", "a" * 64, "a" * 100_000 + "!"),
    ],
)
def test_what_cannot_be_a_registry(host: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        require_host(host)
    assert caught.value.message == f"{one_line(host)} is not the name of a registry"


@pytest.mark.parametrize(
    ("server", "named", "home", "shown"),
    [
        ("", "hub.example/app", "hub.example/app", True),
        ("hub.example", "hub.example/app", "hub.example/app", True),
        ("https://index.docker.io/v1/", "app", "app", True),
        ("", "microsoft/app", "mcr.microsoft.com/app", False),
        ("https://index.docker.io/v1/", "microsoft/app", "mcr.microsoft.com/app", False),
        ("mcr.microsoft.com", "microsoft/app", "mcr.microsoft.com/app", True),
        ("other.example", "hub.example/app", "hub.example/app", False),
    ],
)
def test_who_is_shown_the_credentials(server: str, named: str, home: str, shown: bool) -> None:
    credentials = Credentials("ada", "secret", server=server)
    given = credentials_for(credentials, references.parse(named), references.parse(home))
    assert given == (credentials if shown else None)


def test_a_location_has_a_tag_or_a_digest() -> None:
    digest = "sha256:" + "0" * 64
    reference = references.parse("a.b/c:1")
    assert location(reference) == "docker://a.b/c:1"
    assert location(reference, digest) == f"docker://a.b/c@{digest}"
    assert location(references.parse(f"a.b/c:1@{digest}")) == f"docker://a.b/c@{digest}"

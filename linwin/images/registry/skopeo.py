"""How skopeo is run, and what its complaints mean.

skopeo reads nothing of the user that the daemon runs as: it gets an authfile
with the credentials of this one request, linwin's own ``registries.conf`` where
there is one (else the host's), and folders of linwin's to keep its caches in.
Proxies come from the daemon's environment. Who may be trusted is decided by
digest, not by a signature policy of the host's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from linwin.errors import InvalidRequest, LinwinError, NotFound, Unauthorized, Unavailable
from linwin.host.process import run
from linwin.images.documents import MAXIMUM_BYTES
from linwin.images.durable import storing
from linwin.images.references import DEFAULT_DOMAIN, Reference
from linwin.model.registry import Credentials
from linwin.paths import Paths

Verb = Literal["pull", "push", "login"]

REQUEST_LIMIT = 60.0
"""Seconds that a registry has for one small request, redirects and tokens included."""

# Docker Hub under the names by which docker's clients call it.
_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_QUOTED = re.compile(r'level=(?:fatal|error) msg=("(?:[^"\\]|\\.)*")')
_GO_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|[av])")
_PREFIX = re.compile(r'^Error parsing image name "[^"]*": ')
_LONGEST_REASON = 400
# Variables that lead skopeo to what a user keeps for himself, credentials above all.
_OF_A_USER = ("DOCKER_CONFIG", "REGISTRY_", "XDG_")
_TOKEN_USER = "<token>"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:\[[0-9a-f:.]+\]|{_LABEL}(?:\.{_LABEL})*)(?::[0-9]{{1,5}})?")
# Where a complaint quotes the names of a request, and urls: they may read like any failure.
_NAMES = re.compile(
    r'"[^"]*"|/v2/\S+|\bmanifest \S+ (?:in|to) \S+'
    r"|\b(?:in|lookup|pinging container registry) [^\s:]+(?::\d+)?(?:/\S+)?"
)
_TRUST = re.compile(r"\b(?:x509|tls): .*")
_SERVER_ERROR = re.compile(r"unexpected HTTP status: (5\d\d.*)")
_UNREACHABLE = (
    "connection refused",
    "no such host",
    "server misbehaving",
    "timeout",
    "no route to host",
    "network is unreachable",
    "connection reset by peer",
    "broken pipe",
    "eof",
    "proxyconnect",
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What one run of skopeo is about: the reference as the user wrote it, and where it is looked for."""

    verb: Verb
    reference: Reference | None
    registry: str
    registries_conf: Path

    @property
    def name(self) -> str:
        return self.reference.familiar if self.reference else self.registry


@dataclass(frozen=True, slots=True)
class Session:
    """The surroundings of skopeo runs: its environment, authfile and folder for temporary files."""

    environment: dict[str, str]
    authfile: Path
    folder: Path
    registries_conf: Path | None

    def command(self, name: str, *arguments: str) -> list[str]:
        """The argv of ``skopeo NAME …``. The options of a command come before its operands."""
        options = ["--insecure-policy", "--tmpdir", os.fspath(self.folder)]
        if self.registries_conf is not None:
            options += ["--registries-conf", os.fspath(self.registries_conf)]
        return ["skopeo", *options, name, "--authfile", os.fspath(self.authfile), *arguments]


@contextmanager
def skopeo_session(paths: Paths, registry: str, credentials: Credentials | None) -> Iterator[Session]:
    """Prepare to run skopeo with ``credentials`` for ``registry``; nothing of it is left afterwards."""
    with storing("a registry's credentials"):
        paths.scratch.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix="registry-", dir=paths.scratch)  # for us alone: 0700
    with scratch as name:
        folder = Path(name)
        authfile = folder / "auth.json"
        with storing("a registry's credentials"):
            descriptor = os.open(authfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(auth_document(registry, credentials))
        own = paths.registries_conf if paths.registries_conf.exists() else None
        yield Session(_environment(paths, folder), authfile, folder, own)


async def run_skopeo(
    paths: Paths,
    subject: Subject,
    command: str,
    *arguments: str,
    credentials: Credentials | None = None,
    timeout: float | None = REQUEST_LIMIT,
    input: bytes | None = None,
) -> bytes:
    """Run skopeo once, to its end, and return what it wrote.

    Raises what :func:`translate` makes of its complaint, and Unavailable after
    ``timeout`` seconds.
    """
    with skopeo_session(paths, subject.registry, credentials) as session:
        return await run_in(session, subject, command, *arguments, timeout=timeout, input=input)


async def run_in(
    session: Session,
    subject: Subject,
    command: str,
    *arguments: str,
    timeout: float | None = REQUEST_LIMIT,
    input: bytes | None = None,
) -> bytes:
    """The same, within a session that serves several runs."""
    argv = session.command(command, *arguments)
    try:
        async with asyncio.timeout(timeout):
            done = await run(argv, env=session.environment, cwd=session.folder, input=input)
    except TimeoutError as error:
        raise silent(subject.registry, timeout or 0) from error
    if done.returncode != 0:
        raise translate(complaint(done.stderr), subject)
    return done.stdout


def subject_of(verb: Verb, reference: Reference, registry: str, paths: Paths) -> Subject:
    """The subject of a transfer of ``reference``, which is looked for in ``registry``."""
    return Subject(verb, reference, registry, paths.registries_conf)


def location(reference: Reference, digest: str | None = None) -> str:
    """``docker://…`` for skopeo, which takes a tag or a digest but not both."""
    digest = digest or reference.digest
    return f"docker://{reference.name}" + (f"@{digest}" if digest else f":{reference.tag}")


def credentials_for(credentials: Credentials | None, named: Reference, home: Reference) -> Credentials | None:
    """The credentials to show at ``home``: those that were given for that registry and no other.

    A client sends the credentials of the registry that the user's reference
    names; where an alias leads elsewhere, they stay here.
    """
    if credentials is None:
        return None
    server = registry_host(credentials.server) or named.domain
    return credentials if server == registry_host(home.domain) else None


def registry_host(server: str) -> str:
    """The host that a registry as docker writes it means: ``https://index.docker.io/v1/`` is docker.io."""
    host = server.partition("://")[2] or server
    host = host.partition("/")[0].lower()
    return DEFAULT_DOMAIN if host in _DOCKER_HUB else host


def require_host(registry: str) -> str:
    """The same, where it can be a registry's host and port. Raises InvalidRequest for anything else."""
    if not _HOST.fullmatch(registry):
        raise InvalidRequest(f"{one_line(registry)} is not the name of a registry")
    return registry


def auth_document(registry: str, credentials: Credentials | None) -> bytes:
    """The authfile that gives ``credentials`` to ``registry`` (containers-auth.json(5))."""
    if credentials is None or not (credentials.username or credentials.identity_token):
        return b"{}"
    if ":" in credentials.username:
        raise InvalidRequest("a registry's user name cannot contain a colon")
    user = credentials.username or _TOKEN_USER
    entry = {"auth": base64.b64encode(f"{user}:{credentials.password}".encode()).decode()}
    if credentials.identity_token:
        entry["identitytoken"] = credentials.identity_token
    return json.dumps({"auths": {registry: entry}}).encode()


def translate(said: str, subject: Subject) -> LinwinError:
    """What skopeo's complaint means. The only place that knows its words."""
    lowered = _NAMES.sub(" ", said.lower())

    def has(*signs: str) -> bool:
        return any(sign in lowered for sign in signs)

    if has("loading registries configuration"):
        return InvalidRequest(
            f"the registries' configuration cannot be used: {said}", hint=f"Mend {subject.registries_conf}."
        )
    if has("manifest unknown", "statuscode: 404"):
        return NotFound(f"manifest for {subject.name} not found: manifest unknown: manifest unknown")
    if has("name unknown", "repository name not known"):
        return NotFound(f"repository {_repository(subject)} not found: name unknown")
    if has("invalid username/password", "unauthorized", "denied", "statuscode: 401", "statuscode: 403"):
        return denial(subject)
    if has("exceeded maximum allowed size"):
        return InvalidRequest(f"the manifest of image {subject.name} is larger than {MAXIMUM_BYTES} bytes")
    if has("invalid reference format"):
        return InvalidRequest(f"image {subject.name} cannot be in a registry: {said}")
    return _not_available(said, lowered, subject)


def _not_available(said: str, lowered: str, subject: Subject) -> Unavailable:
    """What keeps a registry from being of use, as far as skopeo tells."""
    registry = subject.registry
    if "server gave http response to https client" in lowered:
        return Unavailable(
            f"registry {registry} speaks plain http, which is not allowed for it",
            hint=f"Set insecure = true for that registry in {subject.registries_conf}.",
        )
    if found := _TRUST.search(said):
        return Unavailable(
            f"registry {registry} cannot be trusted: {found[0]}",
            hint=f"Put its authority's certificate into /etc/containers/certs.d/{registry}/ca.crt.",
        )
    if "toomanyrequests" in lowered or "too many requests" in lowered:
        return Unavailable(
            f"registry {registry} takes no more requests for now",
            hint="Wait, or log in: registries allow more to users whom they know.",
        )
    if found := _SERVER_ERROR.search(said):
        return Unavailable(f"registry {registry} failed: {found[1]}", hint="Try again later.")
    if "redirects" in lowered:
        return Unavailable(f"registry {registry} redirects in circles")
    if any(sign in lowered for sign in _UNREACHABLE):
        return Unavailable(
            f"registry {registry} cannot be reached: {said.rpartition(': ')[2]}",
            hint="Check its name, this host's network, and HTTPS_PROXY and NO_PROXY of the daemon.",
        )
    return Unavailable(f"registry {registry} does not answer as one: {said}")


def denial(subject: Subject) -> LinwinError:
    """What docker says of a registry that does not accept these credentials, or none."""
    if subject.verb == "login":
        return Unauthorized(
            f"login to {subject.registry} failed: unauthorized: incorrect username or password"
        )
    log_in = f"Log in with: linwin login {subject.registry}"
    if subject.verb == "push":
        return Unauthorized("denied: requested access to the resource is denied", hint=log_in)
    return NotFound(
        f"pull access denied for {_repository(subject)}, "
        "repository does not exist or may require 'docker login'",
        hint=log_in,
    )


def silent(registry: str, seconds: float) -> Unavailable:
    """The error for a registry that stalls."""
    return Unavailable(
        f"registry {registry} sent nothing for {seconds:g} s",
        hint="Try again: what arrived whole is kept.",
    )


def complaint(stderr: bytes) -> str:
    """The message of skopeo's last fatal line, as :func:`one_line` makes it."""
    text = stderr.decode(errors="replace")
    found = _QUOTED.findall(text)
    if found:
        try:
            text = str(json.loads(_GO_ESCAPE.sub(" ", found[-1])))
        except ValueError:  # Go has more ways to quote
            text = found[-1].strip('"')
    return one_line(_PREFIX.sub("", text))


def one_line(text: str) -> str:
    """What skopeo says, which may quote what a registry says: printable, on one line, its end when long."""
    line = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    return line if len(line) <= _LONGEST_REASON else "…" + line[-_LONGEST_REASON:]


def _environment(paths: Paths, folder: Path) -> dict[str, str]:
    home = paths.cache / "skopeo"
    with storing("skopeo's cache"):
        home.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_OF_A_USER)}
    return environment | {
        "HOME": os.fspath(home),
        "TMPDIR": os.fspath(folder),
        "XDG_DATA_HOME": os.fspath(home),
        "XDG_RUNTIME_DIR": os.fspath(folder),
        # Or the cache of blobs seen goes to /var/lib/containers when root runs it.
        "_CONTAINERS_ROOTLESS_UID": str(os.geteuid() or 1),
    }


def _repository(subject: Subject) -> str:
    return subject.reference.familiar_name if subject.reference else subject.registry

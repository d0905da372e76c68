"""A real registry for the tests: Debian's docker-registry on loopback, gone when the test is.

In a test module or a conftest::

    from tests.registry_server import registry, serve_registry  # the fixture; the context manager

    def test_plain(registry): registry.host  # "127.0.0.1:43121", plain http, deletion allowed

    def test_private(tmp_path):
        with serve_registry(tmp_path / "r", users={"ada": "secret"}, tls=True) as registry: ...

``registry.configure(paths)`` writes the registries.conf by which linwin reaches
it: plain http allowed, or nothing for one with TLS, whose authority is
``registry.certificate``; ``registry.skopeo(…)`` runs skopeo against it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from linwin.paths import Paths
from tests.debian_programs import debian_program

_ATTEMPTS = 5
_CONTENT = "docker/registry/v2"


@dataclass(frozen=True)
class RegistryServer:
    """A running registry. ``certificate`` is the PEM file that a client must trust, None for plain http."""

    host: str
    folder: Path
    certificate: Path | None = None
    users: Mapping[str, str] = field(default_factory=dict)

    def name(self, repository: str) -> str:
        """``repository`` (with its tag) as a reference in this registry."""
        return f"{self.host}/{repository}"

    def configure(self, paths: Paths) -> None:
        """Let a linwin root reach this registry."""
        if self.certificate is None:
            allow_plain_http(paths, self.host)

    def skopeo(self, *arguments: str) -> bytes:
        """Run skopeo, as any user would, with this registry's first user; return what it printed."""
        environment = dict(os.environ)
        if self.certificate is not None:
            environment["SSL_CERT_FILE"] = str(self.certificate)
        command, *rest = arguments
        options = [] if self.certificate else _PLAIN_HTTP[command]
        for user, password in list(self.users.items())[:1]:
            options = [*options, *(f"{flag}={user}:{password}" for flag in _CREDENTIALS[command])]
        return subprocess.run(
            ["skopeo", "--insecure-policy", command, *options, *rest],
            check=True,
            stdout=subprocess.PIPE,
            env=environment,
        ).stdout

    def push(self, source: str, repository: str, *options: str) -> None:
        """Copy an image here, the same bytes, as in ``push("oci-archive:/tmp/a.tar", "app:1")``."""
        self.skopeo(
            "copy",
            "--quiet",
            "--all",
            "--preserve-digests",
            *options,
            source,
            f"docker://{self.name(repository)}",
        )

    def manifest(self, repository: str) -> bytes:
        """The raw manifest or manifest list that a reference names."""
        return self.skopeo("inspect", "--raw", f"docker://{self.name(repository)}")

    def blob_file(self, digest: str) -> Path:
        """Where the registry keeps a blob, for a test to damage or delete."""
        digits = digest.removeprefix("sha256:")
        return self.folder / "data" / _CONTENT / "blobs/sha256" / digits[:2] / digits / "data"

    def put_manifest(self, repository: str, data: bytes, media_type: str) -> None:
        """Upload a manifest that no tool would write; plain http without users only."""
        name, _, tag = repository.partition(":")
        request = urllib.request.Request(
            f"http://{self.host}/v2/{name}/manifests/{tag}", data, {"Content-Type": media_type}, method="PUT"
        )
        with urllib.request.urlopen(request):
            pass


_PLAIN_HTTP = {
    "copy": ["--dest-tls-verify=false", "--src-tls-verify=false"],
    "inspect": ["--tls-verify=false"],
    "delete": ["--tls-verify=false"],
    "list-tags": ["--tls-verify=false"],
}
_CREDENTIALS = {
    "copy": ["--dest-creds", "--src-creds"],
    "inspect": ["--creds"],
    "delete": ["--creds"],
    "list-tags": ["--creds"],
}


def allow_plain_http(paths: Paths, *hosts: str) -> None:
    """Write a root's registries.conf: plain http for ``hosts`` and nothing else."""
    paths.root.mkdir(parents=True, exist_ok=True)
    tables = [f"[[registry]]\nlocation = {json.dumps(host)}\ninsecure = true\n" for host in hosts]
    (paths.root / "registries.conf").write_text("\n".join(tables))


@contextmanager
def serve_registry(
    folder: Path,
    *,
    users: Mapping[str, str] | None = None,
    tls: bool = False,
    delete: bool = True,
    mirror_of: str | None = None,
) -> Iterator[RegistryServer]:
    """Run a registry whose content lies in ``folder`` for as long as the context lasts.

    ``mirror_of`` makes it a pull-through cache of the registry at that URL.
    """
    folder.mkdir(parents=True, exist_ok=True)
    certificate = make_certificate(folder) if tls else None
    passwords = _write_passwords(folder, users) if users else None
    for attempt in range(_ATTEMPTS):
        address = f"127.0.0.1:{_free_port()}"
        configuration = _configuration(folder, address, certificate, passwords, delete, mirror_of)
        (folder / "config.json").write_text(json.dumps(configuration))  # JSON is YAML
        process = _start(folder)
        try:
            if _listens(process, folder, last=attempt == _ATTEMPTS - 1):
                with _drained(process, folder):
                    yield RegistryServer(address, folder, certificate, dict(users or {}))
                return
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryServer]:
    """A registry of the test's own: plain http, no users, deletion allowed."""
    with serve_registry(tmp_path / "registry") as server:
        yield server


def _configuration(
    folder: Path,
    address: str,
    certificate: Path | None,
    passwords: Path | None,
    delete: bool,
    mirror_of: str | None,
) -> dict[str, object]:
    http: dict[str, object] = {"addr": address, "secret": "for tests"}
    if certificate is not None:
        http["tls"] = {"certificate": str(certificate), "key": str(folder / "key.pem")}
    storage = {
        "filesystem": {"rootdirectory": str(folder / "data")},
        "delete": {"enabled": delete},
        "maintenance": {"uploadpurging": {"enabled": False}},
    }
    # Foreign layers need an allowed place to come from before a manifest may name them.
    validation = {"manifests": {"urls": {"allow": ["^https?://"]}}}
    configuration: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": storage,
        "http": http,
        "validation": validation,
    }
    if passwords is not None:
        configuration["auth"] = {"htpasswd": {"realm": "tests", "path": str(passwords)}}
    if mirror_of is not None:
        configuration["proxy"] = {"remoteurl": mirror_of}
    return configuration


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(folder: Path) -> subprocess.Popen[bytes]:
    # The environment must not reconfigure it: every REGISTRY_* variable would.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")}
    return subprocess.Popen(
        [debian_program("docker-registry", "docker-registry"), "serve", str(folder / "config.json")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )


def _listens(process: subprocess.Popen[bytes], folder: Path, *, last: bool) -> bool:
    """Read the registry's log until it says that it listens; False when its port was taken meanwhile."""
    assert process.stderr is not None
    with (folder / "log").open("ab") as log:
        for line in process.stderr:
            log.write(line)
            if b"listening on" in line:
                return True
            if b"address already in use" in line and not last:
                return False
    raise AssertionError(f"docker-registry did not start: {(folder / 'log').read_text()}")


@contextmanager
def _drained(process: subprocess.Popen[bytes], folder: Path) -> Iterator[None]:
    """Write what the registry logs to a file, so that its pipe never fills."""
    assert process.stderr is not None
    drain = threading.Thread(target=_copy, args=(process.stderr, folder / "log"))
    drain.start()
    try:
        yield
    finally:
        process.kill()
        drain.join()


def _copy(source: IO[bytes], target: Path) -> None:
    with target.open("ab", buffering=0) as log:
        for line in source:
            log.write(line)


def _write_passwords(folder: Path, users: Mapping[str, str]) -> Path:
    path = folder / "htpasswd"
    path.unlink(missing_ok=True)
    path.touch()
    for user, password in users.items():
        # Cost 4 is bcrypt's least: the default would take a quarter of a second a request.
        subprocess.run(
            ["htpasswd", "-iBC4", str(path), user], input=password.encode(), check=True, capture_output=True
        )
    return path


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 and localhost that signs itself; its key is ``key.pem`` beside it."""
    certificate = folder / "certificate.pem"
    kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    files = ("-keyout", str(folder / "key.pem"), "-out", str(certificate))
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    subprocess.run(["openssl", "req", *kind, *files, *names], check=True, capture_output=True)
    return certificate


def missing_programs() -> list[str]:
    """The programs that :func:`serve_registry` needs and this host lacks."""
    return [name for name in ("skopeo", "htpasswd", "openssl") if not shutil.which(name)]

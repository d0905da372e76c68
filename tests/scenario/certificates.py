"""A certificate authority of the tests' own, by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_authority(folder: Path) -> None:
    """``ca.pem`` and ``ca-key.pem``."""
    folder.mkdir()
    files = ["-keyout", folder / "ca-key.pem", "-out", folder / "ca.pem"]
    _openssl("req", "-x509", *_key(), *files, "-subj", "/CN=tests", "-days", "2")


def issue(authority: Path, folder: Path) -> Path:
    """``ca.pem``, ``cert.pem`` and ``key.pem`` of someone at this host, in a folder of their own."""
    folder.mkdir()
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    signer = ["-CA", authority / "ca.pem", "-CAkey", authority / "ca-key.pem"]
    name = ["-subj", f"/CN={folder.name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    _openssl("req", "-x509", *_key(), *files, *signer, *name, "-days", "2")
    (folder / "ca.pem").write_bytes((authority / "ca.pem").read_bytes())
    return folder


def encrypt(key: Path) -> None:
    """Put a passphrase on a key."""
    plain = key.rename(key.with_suffix(".plain"))
    _openssl("pkey", "-in", plain, "-out", key, "-aes256", "-passout", "pass:secret")


def _key() -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)

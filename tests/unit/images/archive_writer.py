"""Writes image archives for the tests: small Windows layers, whole or wrong on purpose."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from linwin.model.progress import Progress
from linwin.model.template import BaseImage, Template

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NANOSERVER = "mcr.microsoft.com/windows/nanoserver:ltsc2022"

Members = dict[str, bytes]


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def hex_of(data: bytes) -> str:
    return sha256(data)[7:]


def compress(data: bytes, how: str | None) -> bytes:
    if how == "gzip":
        return gzip.compress(data, mtime=0)
    if how == "zstd":
        return zstandard.ZstdCompressor().compress(data)
    if how == "xz":
        return lzma.compress(data)
    return data


def layer_tar(files: Mapping[str, bytes]) -> bytes:
    """A Windows layer, as the Windows tools write it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in ("Files", "Hives"):
            header = tarfile.TarInfo(folder)
            header.type = tarfile.DIRTYPE
            header.pax_headers = {"MSWINDOWS.fileattr": "16"}
            tar.addfile(header)
        for name, data in files.items():
            header = tarfile.TarInfo(f"Files/{name}")
            header.size = len(data)
            header.pax_headers = {"MSWINDOWS.fileattr": "32"}
            tar.addfile(header, io.BytesIO(data))
    return buffer.getvalue()


def tar_of(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
    return buffer.getvalue()


def write(path: Path, members: Mapping[str, bytes], compression: str | None = None) -> Path:
    path.write_bytes(compress(tar_of(members), compression))
    return path


def encode(document: object) -> bytes:
    return json.dumps(document).encode()


@dataclass
class Sample:
    """One image to be packed. ``layers`` are uncompressed tars, None for one that the archive lacks.

    ``lacking`` gives the diff ids of those; ``media_types`` overrides what a manifest says.
    """

    layers: Sequence[bytes | None]
    lacking: Sequence[str] = ()
    tags: Sequence[str] = ("example/app:1.0",)
    os: str = "windows"
    architecture: str = "amd64"
    os_version: str = "10.0.20348.1850"
    run: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    created: str = "2024-05-06T07:08:09.123456789Z"
    compression: str | None = None
    media_types: Mapping[int, str] = field(default_factory=dict)

    @property
    def diff_ids(self) -> list[str]:
        lacking = iter(self.lacking)
        return [next(lacking) if layer is None else sha256(layer) for layer in self.layers]

    @property
    def config(self) -> bytes:
        return encode(
            {
                "architecture": self.architecture,
                "os": self.os,
                "os.version": self.os_version,
                "created": self.created,
                "author": "somebody",
                "config": self.run,
                "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
                "history": list(self.history),
            }
        )

    @property
    def id(self) -> str:
        return sha256(self.config)

    def docker_members(self) -> Members:
        """Members of a docker-archive in its old layout, the manifest last."""
        members: Members = {f"{self.id[7:]}.json": self.config}
        paths = []
        for layer, diff_id in zip(self.layers, self.diff_ids, strict=True):
            paths.append(f"{diff_id[7:]}/layer.tar")
            if layer is not None:
                members[paths[-1]] = compress(layer, self.compression)
        members["manifest.json"] = encode([self.docker_entry(paths)])
        return members

    def docker_entry(self, paths: Sequence[str]) -> dict[str, Any]:
        sources = {self.diff_ids[number]: {"mediaType": kind} for number, kind in self.media_types.items()}
        return {
            "Config": f"{self.id[7:]}.json",
            "RepoTags": list(self.tags),
            "Layers": list(paths),
            "LayerSources": sources,
        }

    def manifest(self) -> tuple[bytes, Members]:
        """The image's OCI manifest, and the blobs it needs by digest."""
        blobs: Members = {self.id: self.config}
        layers = []
        for number, (layer, diff_id) in enumerate(zip(self.layers, self.diff_ids, strict=True)):
            suffix = f"+{self.compression}" if self.compression else ""
            kind = self.media_types.get(number, OCI_LAYER + suffix)
            if layer is None:
                layers.append({"mediaType": kind, "digest": diff_id, "size": 1234})
            else:
                blob = compress(layer, self.compression)
                blobs[sha256(blob)] = blob
                layers.append({"mediaType": kind, "digest": sha256(blob), "size": len(blob)})
        config = {"mediaType": OCI_CONFIG, "digest": self.id, "size": len(self.config)}
        manifest = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers})
        return manifest, {**blobs, sha256(manifest): manifest}

    def oci_members(self) -> Members:
        manifest, blobs = self.manifest()
        return oci_layout([descriptor(manifest, name=tag) for tag in self.tags], blobs)


def descriptor(document: bytes, *, name: str | None = None, **more: Any) -> dict[str, Any]:
    kind = OCI_INDEX if b'"manifests"' in document else OCI_MANIFEST
    found: dict[str, Any] = {"mediaType": kind, "digest": sha256(document), "size": len(document), **more}
    if name is not None:
        found["annotations"] = {"io.containerd.image.name": name}
    return found


def oci_layout(entries: Sequence[Mapping[str, Any]], blobs: Members) -> Members:
    members: Members = {f"blobs/sha256/{digest[7:]}": data for digest, data in blobs.items()}
    members["index.json"] = encode({"schemaVersion": 2, "manifests": list(entries)})
    members["oci-layout"] = encode({"imageLayoutVersion": "1.0.0"})
    return members


def template(
    name: str = "wine", *, any_build: bool = True, provides: Sequence[BaseImage] | None = None, size: int = 7
) -> Template:
    """A template that is only described; nothing here boots it."""
    nowhere = Path("/nowhere")
    base = BaseImage((NANOSERVER,), "10.0.20348.2113", "ContainerUser")
    return Template(
        name=name,
        kind=name,
        digest="sha256:" + "1" * 64,
        kernel=nowhere,
        initrd=nowhere,
        cmdline="",
        root_disk=nowhere,
        c_disk=nowhere,
        minimum_memory=384,
        serves_any_build=any_build,
        provides=(base,) if provides is None else tuple(provides),
        size=size,
        created="2025-01-02T03:04:05Z",
    )


def ignore(progress: Progress) -> None:
    """A listener for progress that nobody looks at."""

"""Images as the rooms see them: platform, run configuration, layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from linwin.model.health import HealthCheck


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform of an image config (OCI image spec, "config.md").

    ``os_version`` is ``10.0.BUILD.UBR`` for Windows, or empty when unknown.
    """

    os: str = "windows"
    architecture: str = "amd64"
    os_version: str = ""
    os_features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunConfig:
    """The part of an image config that says how its containers run.

    ``env`` holds ``NAME=value`` strings. ``args_escaped`` is Docker's Windows
    flag: the first word of the command is a verbatim command line.
    ``on_build`` are instructions for whoever builds on the image.
    """

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    shell: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    health_check: HealthCheck | None = None
    args_escaped: bool = False
    on_build: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of an image's history; ``empty_layer`` lines have no layer."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer above the template.

    ``diff_id`` is ``sha256:…`` of the uncompressed tar, ``digest`` that of the
    stored blob at ``blob``; ``size`` is the blob's size in bytes.
    """

    diff_id: str
    digest: str
    media_type: str
    size: int
    blob: Path


@dataclass(frozen=True, slots=True)
class Image:
    """One image in the store.

    ``id`` is ``sha256:…`` of its config. ``diff_ids`` lists all layers of the
    config, base first; the first ``base_layers`` of them are provided by a
    template and the rest are ``layers``. ``references`` are canonical
    (``docker.io/microsoft/nanoserver:latest``), sorted. ``size`` is the sum of
    the layers' blobs in bytes. ``created`` is RFC 3339. ``template`` names the
    template that *is* this image, for the base images templates provide.
    ``digests`` are canonical ``name@sha256:…`` of the manifest it came with,
    docker's RepoDigests; empty for a docker-archive, which has no manifest.
    ``parent`` is the id of the image that it was made from here, and ``step`` what
    :class:`ImageDraft` says; both are empty for images that came from elsewhere.
    """

    id: str
    platform: Platform
    config: RunConfig
    diff_ids: tuple[str, ...]
    base_layers: int
    layers: tuple[Layer, ...]
    references: tuple[str, ...] = ()
    created: str = "1970-01-01T00:00:00Z"
    author: str = ""
    history: tuple[HistoryEntry, ...] = ()
    size: int = 0
    template: str | None = None
    digests: tuple[str, ...] = ()
    parent: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True)
class ImageDraft:
    """What an image that is made here is to say of itself, beside its layers.

    ``entry`` is its own line of history, after those of its parent. ``step`` is empty but for a
    build's: what was done to its parent, in such words that equal words mean an equal image.
    """

    config: RunConfig
    entry: HistoryEntry
    created: str
    author: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """One thing that removing an image did: a reference untagged or an image deleted."""

    untagged: str | None = None
    deleted: str | None = None

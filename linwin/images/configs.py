"""Image configs: the JSON whose sha256 is an image's id.

Source: OCI image specification, "config.md", and Docker image specification
v1.2, which differ only in fields that OCI leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from linwin.errors import InvalidRequest
from linwin.images.documents import Document
from linwin.images.references import is_digest
from linwin.model.health import HealthCheck
from linwin.model.image import HistoryEntry, Platform, RunConfig

EPOCH = "1970-01-01T00:00:00Z"
_MAXIMUM_LAYERS = 512


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image config says, typed. ``diff_ids`` lists all layers, base first."""

    platform: Platform
    run: RunConfig
    diff_ids: tuple[str, ...]
    history: tuple[HistoryEntry, ...]
    created: str
    author: str


def parse_config(data: bytes, what: str) -> ImageConfig:
    """Read an image config. Raises InvalidRequest naming ``what`` and the field."""
    document = Document.parse(data, what)
    return ImageConfig(
        platform=_platform(document),
        run=_run_config(document.object("config")),
        diff_ids=_diff_ids(document.object("rootfs")),
        history=tuple(_history_entry(entry) for entry in document.objects("history")),
        created=_time(document, "created") or EPOCH,
        author=document.text("author"),
    )


def created_at(created: str) -> datetime:
    """The moment that an RFC 3339 string tells, to the microsecond. Raises ValueError."""
    moment = datetime.fromisoformat(created)
    if moment.tzinfo is None:
        raise ValueError(f"{created} has no time zone")
    return moment.astimezone(UTC)


def _platform(document: Document) -> Platform:
    return Platform(
        os=document.text("os").lower(),
        architecture=document.text("architecture").lower(),
        os_version=document.text("os.version"),
        os_features=document.texts("os.features"),
    )


def _run_config(document: Document) -> RunConfig:
    return RunConfig(
        entrypoint=document.texts("Entrypoint"),
        cmd=document.texts("Cmd"),
        env=document.texts("Env"),
        working_dir=document.text("WorkingDir"),
        user=document.text("User"),
        shell=document.texts("Shell"),
        labels=document.text_map("Labels"),
        exposed_ports=document.keys_of("ExposedPorts"),
        volumes=document.keys_of("Volumes"),
        stop_signal=document.text("StopSignal"),
        health_check=_health_check(document.object("Healthcheck")) if "Healthcheck" in document else None,
        args_escaped=document.flag("ArgsEscaped"),
        on_build=document.texts("OnBuild"),
    )


def _health_check(document: Document) -> HealthCheck:
    def count(key: str) -> int:
        return document.size(key) if key in document else 0

    return HealthCheck(
        test=document.texts("Test"),
        interval=count("Interval"),
        timeout=count("Timeout"),
        start_period=count("StartPeriod"),
        start_interval=count("StartInterval"),
        retries=count("Retries"),
    )


def _diff_ids(rootfs: Document) -> tuple[str, ...]:
    diff_ids = rootfs.texts("diff_ids")
    if len(diff_ids) > _MAXIMUM_LAYERS:
        raise InvalidRequest(f"{rootfs.what} lists more than {_MAXIMUM_LAYERS} layers")
    for diff_id in diff_ids:
        if not is_digest(diff_id):
            raise InvalidRequest(f"{rootfs.what} lists {diff_id!r}, which is not a sha256 digest")
    return diff_ids


def _history_entry(document: Document) -> HistoryEntry:
    return HistoryEntry(
        created=_time(document, "created"),
        created_by=document.text("created_by"),
        author=document.text("author"),
        comment=document.text("comment"),
        empty_layer=document.flag("empty_layer"),
    )


def _time(document: Document, key: str) -> str:
    text = document.text(key)
    if text:
        try:
            created_at(text)
        except (ValueError, OverflowError) as error:
            raise InvalidRequest(f'"{key}" of {document.what} is not a time') from error
    return text

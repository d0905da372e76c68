"""``linwin build``: an image from a Dockerfile and the files beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import click

from linwin.cli import failures
from linwin.cli.build_options import build_options
from linwin.cli.build_progress import View, view
from linwin.cli.connect import connect
from linwin.cli.credentials import config_header
from linwin.cli.key_values import labels as labels_of
from linwin.cli.references import split
from linwin.client import Response
from linwin.errors import BuildFailed, Internal, InvalidRequest, LinwinError, Unavailable

STDIN = "-"


class Stream(Protocol):
    """Where a context comes from."""

    def read1(self, size: int = ..., /) -> bytes: ...


@click.command()
@build_options
def build(names: tuple[str, ...], quiet: bool, progress: str, id_path: str | None, **options: Any) -> int:
    """Build an image from a Dockerfile.

    PATH is a folder, whose files COPY and ADD can take, but for those that its
    .dockerignore names. URL is a repository of git, a tar archive or a
    Dockerfile, which the daemon fetches; - is an archive or a Dockerfile on standard input.
    """
    _forget(id_path)
    query = query_of(**options, q=quiet)
    try:
        with _context(names[0], options["dockerfile"]) as (body, about), view(progress, quiet=quiet) as shown:
            identity = _follow(shown, query | about, body)
    except BuildFailed as error:
        failures.show(error)
        return failures.exit_code(error.exit_code)
    if id_path is not None:
        _remember(id_path, identity)
    return 0


def query_of(
    *,
    tags: Sequence[str],
    build_args: Sequence[str],
    labels: Sequence[str],
    cache_from: Sequence[str],
    hosts: tuple[str, ...],
    no_cache: bool,
    remove: bool,
    force_remove: bool,
    dockerfile: str | None,
    **more: Any,
) -> dict[str, Any]:
    """What the options say, as the API takes it. Raises InvalidRequest."""
    for tag in tags:
        split(tag)
    return {
        "t": tuple(tags),
        "buildargs": build_arguments(build_args) or None,
        "labels": labels_of((), labels) or None,
        "cachefrom": list(cache_from) or None,
        "extrahosts": hosts,
        "nocache": no_cache,
        "rm": remove,
        "forcerm": force_remove,
        **more,
    }


def build_arguments(settings: Sequence[str]) -> dict[str, str | None]:
    """``NAME=VALUE``, or a name alone for our own variable's value, None where it has none."""
    found: dict[str, str | None] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not name:
            raise InvalidRequest(f"invalid build argument: {setting!r}", hint="write NAME=VALUE or NAME")
        found[name] = value if equals else os.environ.get(name)
    return found


# ---- the context ------------------------------------------------------------------


@contextmanager
def _context(source: str, dockerfile: str | None) -> Iterator[tuple[Stream | None, dict[str, Any]]]:
    """The body of the request, and what its query says about it."""
    from linwin.cli import build_context  # tarfile takes its time to import

    if source == STDIN:
        if dockerfile == STDIN:
            raise InvalidRequest("can't use stdin for both build context and dockerfile")
        if sys.stdin.isatty():
            raise InvalidRequest(
                "build reads a context from standard input", hint="linwin build PATH, or - < FILE"
            )
        yield os.fdopen(0, "rb", closefd=False), {"dockerfile": dockerfile}
    elif build_context.is_remote(source):
        if dockerfile == STDIN:
            raise InvalidRequest(
                "can't use a Dockerfile on standard input with a context that the daemon fetches",
                hint="Fetch it first: linwin build -f - PATH",
            )
        yield None, {"remote": source, "dockerfile": dockerfile}
    else:
        context = build_context.local_context(source, dockerfile)
        with context.packed() as stream:
            yield stream, {"dockerfile": context.dockerfile}


class Upload:
    """A context that is sent, and seen to be."""

    def __init__(self, source: Stream, shown: View) -> None:
        self._source, self._shown = source, shown
        self.sent = 0

    def read(self, size: int) -> bytes:
        data = self._source.read1(size)
        self.sent += len(data)
        if data:
            self._shown.uploading(self.sent)
        else:
            self._shown.uploaded(self.sent)
        return data


# ---- the build --------------------------------------------------------------------


def _follow(shown: View, query: Mapping[str, Any], body: Stream | None) -> str:
    """Have the daemon build, and show how it gets on; returns the image's id. Raises what ends the build."""
    upload = None if body is None else Upload(body, shown)
    try:
        with connect().request("POST", "/build", query, upload, config_header()) as response:
            return _followed(shown, response)
    except LinwinError as error:
        shown.failed(error.message)
        raise


def _followed(shown: View, response: Response) -> str:
    identity = ""
    for line in response.objects():
        if error := line.get("errorDetail"):
            raise _failure(error)
        shown.show(line)
        identity = str((line.get("aux") or {}).get("ID") or identity)
        if not identity and str(line.get("stream", "")).startswith("sha256:"):
            identity = line["stream"].strip()  # a quiet build's only word
    if not identity:
        raise Internal("the daemon did not say which image was built")
    return identity


def _failure(detail: Mapping[str, Any]) -> LinwinError:
    """The code is that of a command that failed; other failures have none."""
    message, _, hint = str(detail.get("message", "")).partition("\n")
    code = detail.get("code")
    if isinstance(code, int) and code:
        return BuildFailed(message, exit_code=code, hint=hint or None)
    return Internal(message, hint=hint or None)


# ---- --iidfile --------------------------------------------------------------------


def _forget(path: str | None) -> None:
    """The id of an earlier build is not this one's."""
    if path is None:
        return
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _remember(path: str, identity: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(identity)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: str, error: OSError) -> Unavailable:
    return Unavailable(f"cannot write the image ID file {path}: {error.strerror}")

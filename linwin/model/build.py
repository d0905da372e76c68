"""Builds: what a Dockerfile says, and what of a context is copied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Heredoc:
    """Text that follows an instruction, up to a line ``name``.

    Variables are put in with ``expand``: unless its name was quoted.
    """

    name: str
    content: str
    expand: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction as it is written, before variables are put in.

    ``name`` is in upper case, ``line`` counts from 1. ``flags`` are the ``--name=value`` in front
    of its words, without dashes; a bare ``--name`` has an empty value. ``words`` are as docker's
    parser splits them: what a shell is to run is one word, ENV and LABEL alternate names and
    values, and quotes stand where they stood. ``is_json`` says that they came as an array, where
    nothing is quoted. ``original`` is all of it with continued lines joined.
    Of an ONBUILD, ``trigger`` is what it holds, and there are no words.
    """

    name: str
    words: tuple[str, ...]
    original: str
    line: int
    flags: tuple[tuple[str, str], ...] = ()
    is_json: bool = False
    heredocs: tuple[Heredoc, ...] = ()
    trigger: Instruction | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One FROM and what follows it. ``base`` and ``platform`` are before variables are put in.

    ``name`` is in lower case, and empty for a stage that has none.
    """

    base: str
    platform: str
    name: str
    original: str
    line: int
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """``escape`` is the character that its ``escape`` directive names, a backslash by default.

    ``arguments`` are the ARGs before the first FROM.
    """

    escape: str
    arguments: tuple[Instruction, ...]
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Selected:
    """A file or folder of a context that is to be copied.

    ``path`` has slashes, and is empty for the context itself. ``digest`` is ``sha256:…`` over names, bytes
    and kinds of all that is in it, and over no times. ``is_archive`` says that ADD would unpack it.
    """

    path: str
    is_folder: bool
    digest: str
    is_archive: bool = False


@dataclass(frozen=True, slots=True)
class FromContext:
    """A file of the context becomes ``target``; of a folder, what is in it goes into ``target``.

    With ``unpack`` it is an archive, and what is in that goes into the folder ``target``.
    Targets are paths from the root of C:, with slashes.
    """

    source: str
    target: str
    unpack: bool = False


@dataclass(frozen=True, slots=True)
class FromArchive:
    """The first member of a tar that linwin read from a C:, as :class:`FromContext` says."""

    archive: Path
    target: str


@dataclass(frozen=True, slots=True)
class FromFile:
    """A file of the host, with its time, becomes ``target``."""

    path: Path
    target: str


@dataclass(frozen=True, slots=True)
class FromText:
    """A heredoc's text becomes ``target``, a file dated 1970."""

    content: str
    target: str


@dataclass(frozen=True, slots=True)
class NewFolder:
    """A folder that has to be there."""

    target: str


Packed = FromContext | FromArchive | FromFile | FromText | NewFolder


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was fetched. ``name`` is the last part of its address' path, and may be empty."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What a client asks of a build.

    ``dockerfile`` is a path in the context. ``arguments`` without a value (None) take none.
    ``timestamp`` is in nanoseconds since 1970: nothing in the image is younger; None for the clock.
    ``network`` is the one that RUN has. ``memory`` is in bytes and ``cpus`` a count, 0 for the
    defaults. ``keep`` leaves the containers of RUN, also one that failed.
    """

    dockerfile: str = "Dockerfile"
    tags: tuple[str, ...] = ()
    arguments: tuple[tuple[str, str | None], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    target: str = ""
    platform: str = ""
    cache: bool = True
    cache_from: tuple[str, ...] = ()
    pull: bool = False
    keep: bool = False
    network: str = ""
    extra_hosts: tuple[str, ...] = ()
    memory: int = 0
    cpus: int = 0
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """What a client asks of a commit. ``changes`` are lines of a Dockerfile."""

    reference: str = ""
    author: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildOutput:
    """Something that a build says, with its newlines.

    ``stage`` is the name of the stage that it is about, or its number from 0; ``step`` counts the
    build's steps from 1, ``steps`` is their number. All are empty or 0 for what is about no step.
    """

    text: str
    stage: str = ""
    step: int = 0
    steps: int = 0

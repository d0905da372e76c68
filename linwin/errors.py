"""Every error that linwin raises on purpose.

An error has a *kind* (its class), a *message* that says what happened to which
thing, and a *hint* that says what to do next. Foreign exceptions are turned
into one of these once, at the edge of the room that made the foreign call, with
``raise … from``. HTTP status codes are chosen in :mod:`linwin.api.status` and
exit codes in :mod:`linwin.cli`; nothing else knows about either.

    LinwinError
    ├── NotFound          no such container, image, template
    ├── Conflict          the name is taken, the container is running
    ├── InvalidRequest    the request, archive or image is malformed
    │   ├── CommandNotFound      the entrypoint does not exist in the guest
    │   └── CommandNotExecutable the entrypoint exists but cannot be run
    ├── Forbidden         allowed by nobody (a predefined thing)
    ├── Unauthorized      a registry does not accept the credentials
    ├── Unsupported       docker can, linwin cannot (yet)
    ├── BuildFailed       a command of a build ended with another code than 0
    ├── Unavailable       this host or guest cannot serve it now
    │   └── OutOfMemory          the host has no room for one more guest
    └── Internal          a defect of linwin itself
"""

from __future__ import annotations

from collections.abc import Iterable


class LinwinError(Exception):
    """Base of all linwin errors.

    ``message`` is one sentence without a trailing full stop, as docker's are;
    ``hint`` is one sentence of advice, or None.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class NotFound(LinwinError):
    """The named thing does not exist."""


class Conflict(LinwinError):
    """The thing exists in a state that does not allow the request."""


class InvalidRequest(LinwinError):
    """The request, archive or image is malformed."""


class CommandNotFound(InvalidRequest):
    """The entrypoint does not exist in the guest (docker's exit code 127)."""


class CommandNotExecutable(InvalidRequest):
    """The entrypoint exists but the guest cannot run it (exit code 126)."""


class Forbidden(LinwinError):
    """The request is never allowed for this thing."""


class Unauthorized(LinwinError):
    """A registry does not accept the credentials, or wants some."""


class Unsupported(LinwinError):
    """Docker can do this and linwin cannot."""


class BuildFailed(LinwinError):
    """A command of a build failed; ``exit_code`` is its own, 127 for one that is not there."""

    def __init__(self, message: str, *, exit_code: int = 1, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class Unavailable(LinwinError):
    """This host, or a guest on it, cannot serve the request now."""


class OutOfMemory(Unavailable):
    """The host has too little memory for one more guest."""


class Internal(LinwinError):
    """A defect of linwin itself."""


def unserved(image: str, os_version: str, templates: Iterable[str]) -> Unavailable:
    """The error for an image whose Windows build none of ``templates``, by name, runs."""
    build = f"Windows {os_version}" if os_version else "Windows"
    present = ", ".join(sorted(templates)) or "none"
    return Unavailable(
        f"no template serves image {image}, which is for {build} (templates here: {present})",
        hint="Build one that serves every Windows build with: linwin template build wine; or one of that "
        "build, from an ISO of yours (docs/windows.md)",
    )


def unreadable(container: str, why: str) -> Conflict:
    """The error for what a container, by name, cannot do whose record in the state cannot be read."""
    return Conflict(
        f'container "/{container}" is dead: {why}',
        hint="Install the linwin that wrote the record, or restore state.db from a backup; its files are "
        f"kept until it is removed: linwin cp {container}:C:\\ FOLDER copies them",
    )

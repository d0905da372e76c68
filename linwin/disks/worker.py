"""The worker process: applies one layer to one overlay, and ends.

The layer is hostile and libntfs-3g is C: whatever goes wrong here ends here,
and the daemon throws the overlay away. Reads a :class:`~linwin.disks.job.Job`
on stdin, writes messages to stdout, complaints of libraries to stderr.
"""

from __future__ import annotations

import errno
import resource
import socket
import sys
import time
from contextlib import closing
from pathlib import Path

from linwin.disks._ntfs import lib
from linwin.disks.apply import Applier, Refused
from linwin.disks.export import exported
from linwin.disks.failures import no_space
from linwin.disks.job import Advanced, Applied, Job, encode
from linwin.disks.registry import RegistryChanges
from linwin.disks.utility_vm import fill_waiting
from linwin.disks.volume import ExportError, Volume, VolumeError
from linwin.errors import Internal, InvalidRequest, LinwinError, Unavailable
from linwin.layers import DAMAGED, AlternateStream, Entry, HiveDelta, quoted, read_layer, short

MEMORY_LIMIT = 1 << 30
EXPANSION = 4
"""How many times the volume's size a layer may expand to, headers included."""

REPORT_INTERVAL = 0.1


def main() -> int:
    job = Job.decode(sys.stdin.buffer.readline())
    lib.die_with_parent(job.parent)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    try:
        result: Applied | LinwinError = Applied(apply(job))
    except LinwinError as error:
        result = error
    say(result)
    return 0


def say(message: Advanced | Applied | LinwinError) -> None:
    sys.stdout.buffer.write(encode(message))
    sys.stdout.buffer.flush()


def apply(job: Job) -> str:
    """Do the job; return what the layer's registry deltas changed, in words. Raises LinwinError."""
    where = f"layer {short(job.diff_id)}"
    try:
        with (
            exported(Path(job.overlay), Path(job.backing), Path(job.run_dir)) as connection,
            mounted(connection, job.offset) as volume,
        ):
            return apply_layer(volume, job, where)
    except ExportError as error:
        raise export_failure(error) from error
    except VolumeError as error:
        raise volume_failure(error, where) from error
    except MemoryError as error:
        raise Unavailable(f"{where} needs more memory than its writer may use") from error


def mounted(connection: socket.socket, offset: int) -> Volume:
    try:
        return Volume(connection, offset=offset)
    except VolumeError as error:
        raise Internal(
            f"the C: volume below the layer cannot be opened: {error.strerror}",
            hint="build the template again: linwin template build",
        ) from error


def apply_layer(volume: Volume, job: Job, where: str) -> str:
    registry = RegistryChanges(volume, job.kind, Path(job.run_dir), where)
    applier = Applier(volume, registry.keep)
    limit = EXPANSION * volume.size
    entries = read_layer(Path(job.blob), job.diff_id, limit=limit, progress=Reporter())
    with closing(entries):
        for entry in entries:
            try:
                applier.apply(entry)
            except Refused as error:
                raise InvalidRequest(f"{at(where, entry)}: {error}", hint=DAMAGED) from error
            except VolumeError as error:
                raise volume_failure(error, at(where, entry)) from error
    fill_waiting(volume, applier.waiting, [(job.blob, job.diff_id), *job.lower], limit, where)
    return registry.apply()


class Reporter:
    """Says how far the blob has been read, not more often than someone can look."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, used: int) -> None:
        now = time.monotonic()
        if now - self._last >= REPORT_INTERVAL:
            self._last = now
            say(Advanced(used))


def at(where: str, entry: Entry) -> str:
    if isinstance(entry, HiveDelta):
        return f"{where}, entry {quoted('Hives/' + entry.name)}"
    path = f"{entry.path}:{entry.stream}" if isinstance(entry, AlternateStream) else entry.path
    return f"{where}, entry {quoted('Files/' + path)}"


def volume_failure(error: VolumeError, where: str) -> LinwinError:
    """What libntfs-3g's refusal means to a user."""
    if error.errno == errno.ENOSPC:
        return Unavailable(
            f"{where}: no space left on the template's C: volume",
            hint="use a smaller image, or build the template with a larger C:",
        )
    if error.errno in (errno.EINVAL, errno.ENAMETOOLONG):
        return InvalidRequest(f"{where}: NTFS does not accept it ({error.strerror})", hint=DAMAGED)
    return Internal(f"{where}: NTFS cannot be written: {error.strerror}")


def export_failure(error: ExportError) -> LinwinError:
    if error.errno == errno.ENOSPC:
        return no_space()
    return Unavailable(f"the overlay cannot be written: {error.strerror}")


if __name__ == "__main__":
    sys.exit(main())

"""The process that copies files out of a disk that no machine has open, or into one, and ends.

The archive is hostile, so may be the volume, and libntfs-3g is C: whatever goes
wrong here ends here. ``python -m linwin.disks.files_worker`` reads a
:class:`~linwin.disks.files_job.FilesJob` on stdin.
"""

from __future__ import annotations

import errno
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from linwin.disks import files_job, places
from linwin.disks._ntfs import lib
from linwin.disks.changes import changes
from linwin.disks.content import Refused
from linwin.disks.copy_in import CopyIn
from linwin.disks.copy_out import CopyOut, stat
from linwin.disks.export import exported, exported_read_only
from linwin.disks.failures import no_space
from linwin.disks.files_job import FilesJob
from linwin.disks.layer_plan import plan
from linwin.disks.layer_tar import LayerTar
from linwin.disks.plain_copy import write_plain
from linwin.disks.registry_deltas import registry_deltas
from linwin.disks.volume import ExportError, Extent, Node, Volume, VolumeError
from linwin.disks.worker import MEMORY_LIMIT
from linwin.errors import InvalidRequest, LinwinError, NotFound, Unavailable
from linwin.layers import quoted
from linwin.layers.copied import UNUSABLE, read_copy
from linwin.model.layer import WrittenLayer

NOT_CLEAN = "the container's C: was not closed: its guest ended without writing its disk out"
NOT_CLEAN_HINT = "copy out of it what you need, and go on with a new container"
UNREADABLE = "the container's C: cannot be opened"
UNREADABLE_HINT = "its guest may have ended without writing its disk out; go on with a new container"
FULL = "no space left on the container's C: volume"
FULL_HINT = "copy less, or delete something in the container first"


def main() -> int:
    job = FilesJob.decode(sys.stdin.buffer.readline())
    lib.die_with_parent(job.parent)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    try:
        with translated():
            do(job)
        say(files_job.message(files_job.DONE))
    except LinwinError as error:
        say(files_job.of_error(error))
    return 0


def say(encoded: bytes) -> None:
    sys.stdout.buffer.write(encoded)
    sys.stdout.buffer.flush()


def do(job: FilesJob) -> None:
    match job.verb:
        case "flatten":
            write_plain(Path(job.archive), Path(job.output), limit=job.limit)
        case "write":
            write(job)
        case "stat" | "read":
            look(job)
        case "names":
            tell_names(job)
        case "changes":
            compare(job)
        case "layer":
            write_layer(job)


def look(job: FilesJob) -> None:
    """Tell what lies at the path, and for *read* send it."""
    with (
        exported_read_only(Path(job.disk), Path(job.run_dir)) as connection,
        opened(connection, job.offset, writable=False) as volume,
    ):
        place = found(volume, job)
        say(files_job.of_stat(stat(volume, place)))
        if job.verb == "read":
            CopyOut(volume, lambda data: say(files_job.message(files_job.DATA, data))).copy(
                place, job.path.base
            )


def tell_names(job: FilesJob) -> None:
    """Tell what is in the folder at the path, a link there followed."""
    with (
        exported_read_only(Path(job.disk), Path(job.run_dir)) as connection,
        opened(connection, job.offset, writable=False) as volume,
    ):
        folder = places.resolve(volume, job.path.parts, follow_last=True).node
        if not folder.is_folder:
            raise InvalidRequest("it is not a folder", hint="name the folder that the file is in")
        for told in files_job.of_names(names(volume, folder)):
            say(told)


def names(volume: Volume, folder: Node) -> Iterator[tuple[str, bool]]:
    # A listing does not say which names are links; a look-up does.
    for name, _ in sorted(volume.list(folder.number)):
        node = volume.lookup(folder.number, name)
        if node is not None:
            yield name, node.is_folder


def compare(job: FilesJob) -> None:
    """Tell what the disk has that its backing has not, and the reverse."""
    with both(job) as (old, new):
        for told in files_job.of_changes(changes(old, new, written(job))):
            say(told)


def write_layer(job: FilesJob) -> None:
    """Write what the disk has that its backing has not, as a layer."""
    with both(job) as (old, new), Path(job.output).open("wb") as file:
        tar = LayerTar(file, old, new, latest=job.latest)
        deltas = registry_deltas(old, new, job.kind, latest=job.latest)
        is_empty = tar.write(plan(old, new, written(job)), deltas)
        read = old.bytes_read + new.bytes_read
        say(files_job.of_layer(WrittenLayer(tar.digest, tar.size, is_empty, read)))


@contextmanager
def both(job: FilesJob) -> Iterator[tuple[Volume, Volume]]:
    """The volumes of the backing and of the disk."""
    run_dir = Path(job.run_dir)
    with (
        exported_read_only(Path(job.disk), run_dir) as connection,
        exported_read_only(Path(job.backing), run_dir) as backing,
        opened(connection, job.offset, writable=False) as new,
        opened(backing, job.offset, writable=False) as old,
    ):
        yield old, new


def written(job: FilesJob) -> list[Extent]:
    """What the disk holds itself of the volume, in bytes of it."""
    parts = ((start - job.offset, start - job.offset + length) for start, length in job.written)
    return [Extent(max(start, 0), end - max(start, 0)) for start, end in parts if end > 0]


def write(job: FilesJob) -> None:
    with (
        exported(Path(job.disk), Path(job.backing), Path(job.run_dir)) as connection,
        opened(connection, job.offset, writable=True) as volume,
    ):
        place = places.resolve(volume, job.path.parts, follow_last=True)
        if not place.node.is_folder:
            raise InvalidRequest(
                "extraction point is not a directory", hint="name the folder that the archive is unpacked in"
            )
        unpack(volume, job, place.parts)


def unpack(volume: Volume, job: FilesJob, into: tuple[str, ...]) -> None:
    copying = CopyIn(volume, keep_kinds=job.keep_kinds)
    with closing(read_copy(Path(job.archive), into, limit=job.limit)) as entries:
        for entry in entries:
            where = f"the archive, entry {quoted(entry.path)}"
            try:
                copying.apply(entry)
            except Refused as error:
                raise InvalidRequest(f"{where}: {error}", hint=UNUSABLE) from error
            except VolumeError as error:
                if error.errno in (errno.EINVAL, errno.ENAMETOOLONG):
                    raise InvalidRequest(
                        f"{where}: NTFS does not accept it ({error.strerror})", hint=UNUSABLE
                    ) from error
                raise


def found(volume: Volume, job: FilesJob) -> places.Place:
    return places.find(volume, job.path)


@contextmanager
def opened(connection: socket.socket, offset: int, *, writable: bool) -> Iterator[Volume]:
    """The volume, which has to be clean to be written."""
    try:
        volume = Volume(connection, offset=offset, writable=writable, clean=writable)
    except VolumeError as error:
        if writable:
            raise Unavailable(NOT_CLEAN, hint=NOT_CLEAN_HINT) from error
        raise Unavailable(f"{UNREADABLE}: {error.strerror}", hint=UNREADABLE_HINT) from error
    with volume:
        yield volume


@contextmanager
def translated() -> Iterator[None]:
    """Say what the failures of libraries mean to a user."""
    try:
        yield
    except places.Missing as error:
        raise NotFound("no such file") from error
    except ExportError as error:
        if error.errno == errno.ENOSPC:
            raise no_space() from error
        raise Unavailable(f"the container's disk cannot be read or written: {error.strerror}") from error
    except VolumeError as error:
        if error.errno == errno.ENOSPC:
            raise Unavailable(FULL, hint=FULL_HINT) from error
        raise Unavailable(f"the container's C: cannot be read or written: {error.strerror}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_space() from error
        raise Unavailable(f"the files cannot be copied: {error.strerror}") from error
    except MemoryError as error:
        raise Unavailable("copying the files needs more memory than it may use") from error


if __name__ == "__main__":
    sys.exit(main())

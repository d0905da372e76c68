"""``linwin image disk``: what an image's C: holds as one disk, for use elsewhere."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.whole_file import whole_file
from linwin.client import quote
from linwin.errors import Internal, Unavailable

CONVERTER = "qemu-img"
FORMATS = ("qcow2", "raw")

# The header of a qcow2 file: QEMU, docs/interop/qcow2.txt. Numbers are big-endian.
_HEADER_LENGTH = 104
_MAGIC_AND_VERSION = b"QFI\xfb\0\0\0\3"
_BACKING_NAME = slice(8, 16)
_INCOMPATIBLE_FEATURES = slice(72, 80)
_EXTERNAL_DATA = 1 << 2


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="qcow2",
    show_default=True,
    metavar="FORMAT",
    help="qcow2, or raw: the bytes of the disk as they are, in a sparse file.",
)
@click.option("-o", "--output", required=True, metavar="FILE", help="The file to write.")
@arguments(1, 1, "IMAGE")
def disk(form: str, output: str, names: tuple[str, ...]) -> None:
    """Write an image's flattened disk to a file, which is whole or absent."""
    if form == "raw":
        _find_converter()  # before gigabytes are fetched for it
    with whole_file(output) as path:
        if form == "raw":
            with NamedTemporaryFile(prefix=".linwin-disk-", dir=path.parent) as fetched:
                _fetch(names[0], Path(fetched.name))
                _convert(fetched.name, str(path))
        else:
            _fetch(names[0], path)


def _fetch(image: str, path: Path) -> None:
    """The daemon's qcow2. Raises Internal for anything else."""
    with (
        connect().request("GET", f"/linwin/images/{quote(image)}/disk") as response,
        path.open("wb") as file,
    ):
        for piece in iter(response.read1, b""):
            file.write(piece)
    with path.open("rb") as file:
        header = file.read(_HEADER_LENGTH)
    if not _stands_alone(header):
        raise Internal(f"the daemon did not send the disk of {image} as one qcow2 file")


def _stands_alone(header: bytes) -> bool:
    """True for a qcow2 without a backing or data file, which would be read as whoever converts it."""
    return (
        len(header) == _HEADER_LENGTH
        and header.startswith(_MAGIC_AND_VERSION)
        and int.from_bytes(header[_BACKING_NAME], "big") == 0
        and int.from_bytes(header[_INCOMPATIBLE_FEATURES], "big") & _EXTERNAL_DATA == 0
    )


def _find_converter() -> str:
    import shutil

    if found := shutil.which(CONVERTER):
        return found
    raise Unavailable(
        f"{CONVERTER}, which makes raw disks, is not installed here",
        hint="install it (on Debian: qemu-utils), or take --format qcow2",
    )


def _convert(source: str, target: str) -> None:
    import subprocess

    command = [_find_converter(), "convert", "-f", "qcow2", "-O", "raw", source, target]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}"
        raise Unavailable(f"cannot convert the disk: {said}")

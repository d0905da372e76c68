"""The record of a finished build: ``template.json`` beside the template's parts.

JSON of our own, written once and read strictly: a record that another version
of linwin wrote, or that was damaged, is refused and not guessed at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from linwin.errors import Unavailable
from linwin.model.template import BaseImage, Imported, Template, Unserved

FILE = "template.json"
VERSION = 3
"""Of the record, and of what the agent in the template can do: 3 gives a NIC another MAC."""

KERNEL = "vmlinuz"
INITRD = "initrd"
ROOT_DISK = "root.erofs"
C_DISK = "c.qcow2"
DISK = "disk.qcow2"
PARTS = (KERNEL, INITRD, ROOT_DISK, C_DISK)
_PARTS = {"wine": PARTS, "windows": (DISK,)}
_FIRST_C_START = 117 << 20
"""Where C: began on the first Windows disks, whose records do not say it."""

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of a finished build; ``parts`` maps file names to ``sha256:…`` digests.

    ``c_start`` is where on the disk C: begins, in bytes; ``imported`` is of a user's disk alone.
    """

    name: str
    kind: str
    summary: str
    cmdline: str
    minimum_memory: int
    serves_any_build: bool
    provides: tuple[BaseImage, ...]
    left_out: tuple[tuple[str, str], ...]
    unserved: tuple[Unserved, ...]
    parts: tuple[tuple[str, str], ...]
    packages: tuple[str, ...]
    created: str
    c_start: int = 0
    imported: Imported | None = None

    @property
    def digest(self) -> str:
        """``sha256:…`` over the parts' digests and names, in order of the names."""
        lines = "".join(f"{digest} {name}\n" for name, digest in sorted(self.parts))
        return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"

    def to_json(self) -> bytes:
        return json.dumps({"version": VERSION, **asdict(self)}, indent=1).encode() + b"\n"

    def template(self, folder: Path) -> Template:
        """The template whose parts lie in ``folder``. Raises OSError when one is missing."""
        present = {name: folder / name for name, _ in self.parts}
        return Template(
            name=self.name,
            kind=self.kind,
            digest=self.digest,
            kernel=present.get(KERNEL, Path()),
            initrd=present.get(INITRD, Path()),
            cmdline=self.cmdline,
            root_disk=present.get(ROOT_DISK, Path()),
            c_disk=present.get(DISK) or present[C_DISK],
            minimum_memory=self.minimum_memory,
            serves_any_build=self.serves_any_build,
            provides=self.provides,
            left_out=self.left_out,
            unserved=self.unserved,
            summary=self.summary,
            size=sum(part.stat().st_size for part in present.values()),
            created=self.created,
            c_start=self.c_start,
            imported=self.imported,
        )


def read(folder: Path) -> Manifest:
    """Read the record in ``folder``. Raises Unavailable when it is missing or not readable."""
    path = folder / FILE
    try:
        return parse(path.read_bytes())
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Unavailable(
            f"the template's record {path} cannot be used: {error}",
            hint="build the template again: linwin template build NAME",
        ) from error


def parse(data: bytes) -> Manifest:
    """Raises ValueError, TypeError or KeyError for anything but what ``to_json`` wrote."""
    fields: dict[str, Any] = json.loads(data)
    if not isinstance(fields, Mapping) or fields.pop("version", None) != VERSION:
        raise ValueError("it was written by another version of linwin")
    provides = tuple(
        BaseImage(tuple(image["references"]), image["os_version"], image["user"], tuple(image["diff_ids"]))
        for image in fields.pop("provides")
    )
    unserved = tuple(_unserved(dict(product)) for product in fields.pop("unserved"))
    pairs = {key: tuple((str(a), str(b)) for a, b in fields.pop(key)) for key in ("left_out", "parts")}
    if sorted(name for name, _ in pairs["parts"]) != sorted(_PARTS.get(fields["kind"], ())):
        raise ValueError("it does not list the parts of a template")
    packages = tuple(str(package) for package in fields.pop("packages"))
    if fields["kind"] == "windows":
        fields.setdefault("c_start", _FIRST_C_START)
    if not isinstance(fields.get("c_start", 0), int) or fields.get("c_start", 0) < 0:
        raise ValueError("it does not say where C: begins")
    imported = _imported(fields.pop("imported", None))
    left_out, parts = pairs["left_out"], pairs["parts"]
    return Manifest(
        provides=provides,
        left_out=left_out,
        unserved=unserved,
        parts=parts,
        packages=packages,
        imported=imported,
        **fields,
    )


def _imported(fields: dict[str, Any] | None) -> Imported | None:
    if fields is None:
        return None
    drivers = tuple((str(name), str(version)) for name, version in fields.pop("drivers"))
    return Imported(drivers=drivers, added=tuple(map(str, fields.pop("added"))), **fields)


def _unserved(fields: dict[str, Any]) -> Unserved:
    references, commands, variables = (
        tuple(str(text) for text in fields.pop(key)) for key in ("references", "commands", "variables")
    )
    labels = tuple((str(name), str(value)) for name, value in fields.pop("labels"))
    return Unserved(references=references, commands=commands, variables=variables, labels=labels, **fields)


def part_digests(folder: Path, names: Iterable[str] = PARTS) -> tuple[tuple[str, str], ...]:
    """Hash the parts in ``folder``, by default those of a wine template. Raises OSError."""
    return tuple((name, file_digest(folder / name)) for name in names)


def file_digest(path: Path) -> str:
    """``sha256:…`` of a file's content. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"

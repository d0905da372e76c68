"""What a check makes of what it found: a sentence with a remedy, or the repair itself."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from linwin.disks.survey import READ_ONLY, Survey, title
from linwin.host.files import sync_folder
from linwin.model.template import Template
from linwin.model.upkeep import Finding

REPAIR = "linwin system check --repair"
DELETE = f"Delete it with: {REPAIR}; it is built again from its layers when it is needed"
MEND = f"Mend it with: {REPAIR}"
REMOVE_CONTAINERS = f"Remove the containers that stand on it, then delete it with: {REPAIR}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """How far a repair may go.

    ``needed`` are the files that containers' disks stand on, ``busy`` those that
    are being read or built upon; ``bases`` the templates by the name of the file
    that is their C: disk.
    """

    needed: Collection[str]
    busy: Collection[str]
    bases: Mapping[str, Template]
    repair: bool

    def of_files(self, found: Survey) -> list[Finding]:
        """Judge what a survey found; ends first, so that a repair cut short leaves no new problem."""
        findings = [self._damaged(name, found) for name in found.ends_first(found.problems)]
        findings += [self._writable(name, found) for name in found.writable if name not in found.problems]
        findings += [stray(found.folder / name) for name in found.strays]
        if any(finding.repaired for finding in findings):
            sync_folder(found.folder)
        return findings

    def of_leftovers(self, leftovers: Iterable[Path]) -> list[Finding]:
        """Judge folders of work that nobody does any more."""
        return [self._leftover(path) for path in leftovers]

    def _damaged(self, name: str, found: Survey) -> Finding:
        subject, problem, path = title(name), found.problems[name], found.folder / name
        template = self.bases.get(name)
        if template is not None and path.is_file() and same_file(path, template.c_disk):
            return Finding(
                subject, problem, f"Build the template again: linwin template build {template.name}"
            )
        if name in self.needed:
            return Finding(subject, problem, REMOVE_CONTAINERS)
        if not self.repair or name in self.busy:
            return Finding(subject, problem, DELETE)
        path.unlink(missing_ok=True)
        return Finding(subject, problem, DELETE, repaired=True)

    def _writable(self, name: str, found: Survey) -> Finding:
        if self.repair:
            (found.folder / name).chmod(READ_ONLY)
        return Finding(title(name), "can be written to", MEND, repaired=self.repair)

    def _leftover(self, path: Path) -> Finding:
        if self.repair:
            shutil.rmtree(path)
        return Finding(str(path), "is left over from work that was cut short", MEND, repaired=self.repair)


def stray(path: Path) -> Finding:
    return Finding(str(path), "belongs to no chain", f"Delete it if nothing in it is missed: rm -r {path}")


def missing(name: str) -> Finding:
    return Finding(
        title(name), "is missing", "Remove the containers that stand on it: they have lost their disks"
    )


def same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except FileNotFoundError:
        return False

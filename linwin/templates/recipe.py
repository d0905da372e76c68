"""Recipes: what ``vm-templates/NAME/template.yaml``, and beside a wine one ``cut.yaml``, may say.

Read strictly: an unknown, missing or mistyped key is an error that names the
file and the key, since a misspelt one would otherwise change a guest silently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from linwin.errors import InvalidRequest, NotFound
from linwin.model.template import Unserved

_REFERENCE = re.compile(r"[a-z0-9.-]+\.[a-z]+(/[a-z0-9._-]+)+:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_PROGRAM = re.compile(r"[a-z0-9_-]+")
_COMMAND = re.compile(r"[a-z0-9_-]+( [^ A-Z]+)*")
_REPOSITORY = re.compile(r"[a-z0-9.-]+\.[a-z]+(/[a-z0-9._*-]+)+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL = re.compile(r"[^=]+=.*")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_WORD = re.compile(r"[A-Za-z0-9]+")
_WORDS = re.compile(r"[A-Za-z0-9]+( [A-Za-z0-9]+)*")
_VOLUME_LABEL = re.compile(r"[A-Za-z0-9 _-]{1,32}")


@dataclass(frozen=True, slots=True)
class ProvidedImage:
    """A base image that the template stands in for; its os.version is read from the built guest."""

    references: tuple[str, ...]
    user: str


@dataclass(frozen=True, slots=True)
class Cut:
    """Files of Wine that the template goes without (glob patterns), and why."""

    reason: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One template's recipe. ``date`` is in seconds since 1970, ``minimum_memory`` in MiB."""

    name: str
    folder: Path
    kind: str
    summary: str
    serves_any_build: bool
    minimum_memory: int
    suite: str
    date: int
    kernel_package: str
    cmdline: str
    modules: tuple[str, ...]
    packages: tuple[str, ...]
    c_size_gib: int
    c_label: str
    provides: tuple[ProvidedImage, ...]
    left_out: tuple[tuple[str, str], ...]
    unserved: tuple[Unserved, ...]
    cuts: tuple[Cut, ...]


@dataclass(frozen=True, slots=True)
class IsoRecipe:
    """A template that is made from a user's ISO, in one of two ways.

    ``source`` says which ISO, for people. ``image`` is the WIM file in it, and ``build`` the only one that
    its Windows may be of. ``drivers`` and ``systems`` are folders of the ISO with the drivers: each of the
    former has some of the latter, best first. ``minimum_memory`` is in MiB.
    """

    name: str
    folder: Path
    kind: str
    summary: str
    minimum_memory: int
    source: str
    image: str
    build: int
    disk_size_gib: int
    label: str
    systems: tuple[str, ...]
    drivers: tuple[str, ...]
    provides: tuple[ProvidedImage, ...]


@dataclass(frozen=True, slots=True)
class WindowsRecipe(IsoRecipe):
    """One whose Windows is written to a disk offline; ``index`` is that of the image to take."""

    index: int


@dataclass(frozen=True, slots=True)
class SetupRecipe(IsoRecipe):
    """One that Windows' own Setup makes in a machine, with ``setup_memory`` MiB.

    That image is taken which is of the build, of this ``edition`` (or its evaluation) and this kind of
    ``installation``, in the words of the WIM's description.
    """

    edition: str
    installation: str
    setup_memory: int


AnyRecipe = Recipe | WindowsRecipe | SetupRecipe


def load(folder: Path) -> AnyRecipe:
    """Read the recipe in ``folder``. Raises NotFound or InvalidRequest."""
    top = _Table.read(folder / "template.yaml")
    kind = top.text("kind")
    match kind:
        case "wine":
            return _wine(folder, kind, top)
        case "windows":
            return _setup(folder, kind, top) if top.has("setup") else _windows(folder, kind, top)
    raise top.wrong(
        "kind", f"{kind!r} is not a kind of guest that can be built", "the kinds are: wine, windows"
    )


def _windows(folder: Path, kind: str, top: _Table) -> WindowsRecipe:
    image = top.table("image")
    recipe = WindowsRecipe(**_of_iso(folder, kind, top, image), index=image.number("index", 1, 999))
    for table in (top, image):
        table.done()
    return recipe


def _setup(folder: Path, kind: str, top: _Table) -> SetupRecipe:
    setup = top.table("setup")
    recipe = SetupRecipe(
        **_of_iso(folder, kind, top, setup),
        edition=setup.text("edition", _WORD),
        installation=setup.text("installation", _WORDS),
        setup_memory=setup.number("memory", 512, 65536),
    )
    for table in (top, setup):
        table.done()
    return recipe


def _of_iso(folder: Path, kind: str, top: _Table, image: _Table) -> dict[str, Any]:
    """The fields of an :class:`IsoRecipe`; ``image`` is the table that says which Windows."""
    disk, drivers = top.table("disk"), top.table("drivers")
    fields: dict[str, Any] = {
        "name": folder.name,
        "folder": folder,
        "kind": kind,
        "summary": top.text("summary"),
        "minimum_memory": top.number("minimum_memory", 64, 65536),
        "source": image.text("source"),
        "image": image.text("file", _PATH),
        "build": image.number("build", 9200, 99999),
        "disk_size_gib": disk.number("size_gib", 1, 65536),
        "label": disk.text("label", _VOLUME_LABEL),
        "systems": drivers.texts("systems", _PATH),
        "drivers": drivers.texts("names", _PATH),
        "provides": tuple(_provided(table) for table in top.tables("provides")),
    }
    for table in (disk, drivers):
        table.done()
    _check_distinct(top, fields["provides"])
    return fields


def _wine(folder: Path, kind: str, top: _Table) -> Recipe:
    build, kernel, root, c_drive = (top.table(key) for key in ("build", "kernel", "root", "c_drive"))
    recipe = Recipe(
        name=folder.name,
        folder=folder,
        kind=kind,
        summary=top.text("summary"),
        serves_any_build=top.flag("serves_any_build"),
        minimum_memory=top.number("minimum_memory", 64, 65536),
        suite=build.text("suite"),
        date=build.date("date"),
        kernel_package=kernel.text("package", _PACKAGE),
        cmdline=kernel.text("cmdline"),
        modules=kernel.texts("modules"),
        packages=root.texts("packages", _PACKAGE),
        c_size_gib=c_drive.number("size_gib", 1, 65536),
        c_label=c_drive.text("label"),
        provides=tuple(_provided(table) for table in top.tables("provides")),
        left_out=top.sentences("left_out"),
        unserved=tuple(_unserved(table) for table in top.tables("unserved")),
        cuts=_load_cuts(folder / "cut.yaml"),
    )
    for table in (top, build, kernel, root, c_drive):
        table.done()
    _check_distinct(top, recipe.provides)
    return recipe


def _provided(table: _Table) -> ProvidedImage:
    image = ProvidedImage(table.texts("references", _REFERENCE), table.text("user"))
    table.done()
    return image


def _unserved(table: _Table) -> Unserved:
    product = Unserved(
        table.text("name"),
        table.text("sentence"),
        references=table.some("references", _REPOSITORY),
        commands=table.some("commands", _COMMAND),
        variables=table.some("variables", _VARIABLE),
        labels=tuple(_label(text) for text in table.some("labels", _LABEL)),
    )
    table.done()
    if product == Unserved(product.name, product.sentence):
        raise table.wrong("references", "nothing tells an image of this product")
    return product


def _label(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _check_distinct(top: _Table, provides: tuple[ProvidedImage, ...]) -> None:
    seen: set[str] = set()
    for reference in (reference for image in provides for reference in image.references):
        if reference in seen:
            raise top.wrong("provides", f"{reference} is provided twice")
        seen.add(reference)


def _load_cuts(path: Path) -> tuple[Cut, ...]:
    cuts = []
    for index, value in enumerate(_list(path, _read_yaml(path))):
        table = _Table(path, f"[{index}]", value)
        cuts.append(Cut(table.text("reason"), table.texts("files")))
        table.done()
    return tuple(cuts)


def _read_yaml(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFound(f"the recipe {path} does not exist") from error
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InvalidRequest(f"{path} is not YAML: {' '.join(str(error).split())}") from error


def _list(path: Path, value: object) -> list[object]:
    if not isinstance(value, list):
        raise InvalidRequest(f"{path}: must be a list")
    return value


class _Table:
    """One mapping of a recipe; each key is taken once, with its type, and none may be left."""

    def __init__(self, path: Path, place: str, value: object) -> None:
        self._path = path
        self._place = place
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            where = f"{place}: " if place else ""
            raise InvalidRequest(f"{path}: {where}must be a mapping of names")
        self._left: dict[str, Any] = dict(value)

    @classmethod
    def read(cls, path: Path) -> _Table:
        return cls(path, "", _read_yaml(path))

    def has(self, key: str) -> bool:
        return key in self._left

    def text(self, key: str, pattern: re.Pattern[str] | None = None) -> str:
        return self._checked(key, self._take(key), pattern)

    def texts(self, key: str, pattern: re.Pattern[str] | None = None) -> tuple[str, ...]:
        value = self._take(key)
        if not isinstance(value, list) or not value:
            raise self.wrong(key, "must be a list with at least one entry")
        return tuple(self._checked(key, item, pattern) for item in value)

    def some(self, key: str, pattern: re.Pattern[str] | None = None) -> tuple[str, ...]:
        """Like ``texts``, for a key that may be missing."""
        return self.texts(key, pattern) if key in self._left else ()

    def number(self, key: str, low: int, high: int) -> int:
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(key, f"must be a whole number from {low} to {high}")
        return value

    def flag(self, key: str) -> bool:
        value = self._take(key)
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def date(self, key: str) -> int:
        value = self._take(key)
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise self.wrong(key, "must be a date and time in UTC, as 2025-01-01T00:00:00Z")
        return int(value.astimezone(UTC).timestamp())

    def sentences(self, key: str) -> tuple[tuple[str, str], ...]:
        table = self.table(key)
        return tuple((table._checked(name, name, _PROGRAM), table.text(name)) for name in list(table._left))

    def table(self, key: str) -> _Table:
        return _Table(self._path, f"{self._place}.{key}".lstrip("."), self._take(key))

    def tables(self, key: str) -> list[_Table]:
        value = self._take(key)
        if not isinstance(value, list) or not value:
            raise self.wrong(key, "must be a list with at least one entry")
        return [_Table(self._path, f"{key}[{index}]", item) for index, item in enumerate(value)]

    def done(self) -> None:
        """Raise InvalidRequest for keys that nobody asked for."""
        if self._left:
            raise self.wrong(min(self._left), "is not known here")

    def wrong(self, key: str, what: str, hint: str | None = None) -> InvalidRequest:
        return InvalidRequest(f"{self._path}: {f'{self._place}.{key}'.lstrip('.')}: {what}", hint=hint)

    def _take(self, key: str) -> object:
        if key not in self._left:
            raise self.wrong(key, "is missing")
        return self._left.pop(key)

    def _checked(self, key: str, value: object, pattern: re.Pattern[str] | None) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, "must be text")
        if pattern is not None and not pattern.fullmatch(value):
            raise self.wrong(key, f"{value!r} is not well-formed")
        return value

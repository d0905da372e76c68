"""Kernel modules: which are needed, and in which order they load.

A module says so itself, in its ELF section ``.modinfo`` (``depends=`` and
``softdep=``, NUL-separated), so depmod is not needed. Names are compared as
the kernel does, with ``-`` and ``_`` the same.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import InvalidRequest, Unavailable

_DEPENDS = re.compile(rb"(?:^|\0)depends=([^\0]*)(?=\0)")
_SOFTDEP = re.compile(rb"(?:^|\0)softdep=([^\0]*)(?=\0)")


@dataclass(frozen=True, slots=True)
class Module:
    """One uncompressed kernel module; ``before`` are loaded first where they exist as modules."""

    name: str
    data: bytes
    depends: tuple[str, ...]
    before: tuple[str, ...]


def parse(name: str, data: bytes) -> Module:
    """Read what a module says about itself. Raises InvalidRequest when it says nothing."""
    found = _DEPENDS.search(data)
    if not data.startswith(b"\x7fELF") or found is None:
        raise InvalidRequest(f"{name} is not a kernel module")
    depends = tuple(_canonical(word) for word in found[1].decode("ascii").split(",") if word)
    before: list[str] = []
    for soft in _SOFTDEP.findall(data):
        words = soft.decode("ascii")
        # "pre: a b post: c"; what comes after is for udev's drivers and not for us.
        _, _, pre = words.partition("pre:")
        before += (_canonical(word) for word in pre.partition("post:")[0].split())
    return Module(name, data, depends, tuple(before))


def load_order(
    wanted: Iterable[str], builtin: Set[str], available: Callable[[str], Module | None]
) -> list[Module]:
    """The wanted modules with everything they depend on, each after what it needs.

    ``builtin`` are names in the kernel image itself. Raises InvalidRequest for
    a wanted or needed module that is in neither place, and for a cycle.
    """
    order: dict[str, Module] = {}
    open_: list[str] = []

    def add(name: str, *, optional: bool = False) -> None:
        if name in builtin or name in order:
            return
        if name in open_:
            raise InvalidRequest(f"kernel modules need each other: {' -> '.join([*open_, name])}")
        module = available(name)
        if module is None:
            if optional:
                return
            needer = f", which {open_[-1]} needs" if open_ else ""
            raise InvalidRequest(f"the kernel has no module {name}{needer}")
        open_.append(name)
        for soft in module.before:
            add(soft, optional=True)
        for needed in module.depends:
            add(needed)
        open_.pop()
        order[name] = module

    for name in wanted:
        add(_canonical(name))
    return list(order.values())


class ModuleFolder:
    """The modules of one kernel: ``/usr/lib/modules/VERSION``."""

    def __init__(self, folder: Path) -> None:
        self._files = {_canonical(path.name.split(".ko")[0]): path for path in folder.rglob("*.ko*")}
        try:
            lines = (folder / "modules.builtin").read_text().splitlines()
        except OSError as error:
            raise Unavailable(f"the kernel package has no list of built-in modules: {error}") from error
        self.builtin = frozenset(_canonical(Path(line).name.removesuffix(".ko")) for line in lines)

    def read(self, name: str) -> Module | None:
        """The module, uncompressed, or None when this kernel has none of that name."""
        path = self._files.get(name)
        if path is None:
            return None
        data = path.read_bytes()
        if path.suffix == ".xz":
            try:
                data = lzma.decompress(data)
            except lzma.LZMAError as error:
                raise Unavailable(f"the kernel module {path.name} is damaged: {error}") from error
        return parse(name, data)


def _canonical(name: str) -> str:
    return name.replace("-", "_")

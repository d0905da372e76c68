"""The files of a build's context by name, wherever their bytes lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from linwin.errors import InvalidRequest
from linwin.layers import quoted
from linwin.layers.errors import Malformed
from linwin.layers.names import DEEPEST_PATH, LONGEST_PATH
from linwin.model.dockerignore import DockerIgnore
from linwin.model.files import MOST_LINKS

MOST_NODES = 1_000_000
"""Files and folders of one context."""
LEAVE_OUT = "Rename it, or leave it out of the build with a line in .dockerignore."


@dataclass(slots=True)
class Folder:
    """``time`` is a FILETIME, as everywhere here; None for a folder that only its files speak of."""

    time: int | None = None
    children: dict[str, Node] = field(default_factory=dict)


@dataclass(slots=True)
class File:
    """``size`` bytes at ``offset`` of the context's tar. ``digest`` is their SHA-256 once it is known."""

    offset: int
    size: int
    time: int
    digest: bytes = b""


@dataclass(slots=True)
class Link:
    target: str
    time: int


@dataclass(slots=True)
class Unusable:
    """Something that cannot be copied to Windows. ``why`` ends a sentence about it."""

    why: str


Node = Folder | File | Link | Unusable


class Tree:
    """Folders and files from the context on. What is added later takes the place of what was there."""

    def __init__(self) -> None:
        self.root = Folder()
        self._nodes = 0

    def add(self, name: str, node: Node) -> None:
        """Put ``node`` where an entry's name says. Raises Malformed."""
        parts = parts_of(name)
        if not parts:
            if not isinstance(node, Folder):
                raise Malformed("its name is no file's")
            self.root.time = node.time
            return
        folder = self._folder(parts[:-1])
        there = folder.children.get(parts[-1])
        if isinstance(node, Folder) and isinstance(there, Folder):
            there.time = node.time
        else:
            self._count()
            folder.children[parts[-1]] = node

    def linked(self, name: str) -> File | Link:
        """What a hard link to ``name`` is. Raises Malformed where nothing is that can have one."""
        node: Node | None = self.root
        for part in parts_of(name):
            node = node.children.get(part) if isinstance(node, Folder) else None
        if not isinstance(node, File | Link):
            raise Malformed(f"it is a hard link to {quoted(name)}, which is no file before it")
        return node

    def _folder(self, parts: Iterable[str]) -> Folder:
        folder = self.root
        for part in parts:
            child = folder.children.get(part)
            if child is None:
                self._count()
                child = folder.children[part] = Folder()
            elif not isinstance(child, Folder):
                raise Malformed(f"{quoted(part)} on its path is not a folder")
            folder = child
        return folder

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise Malformed(f"there are more than {MOST_NODES} files and folders")


def parts_of(name: str) -> list[str]:
    """The names in an entry's name, from the context on. Raises Malformed for one that leads out of it."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise Malformed("it lies outside of the context")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if len(parts) > DEEPEST_PATH:
        raise Malformed("its path is too deep")
    if len(name) > LONGEST_PATH:
        raise Malformed("its path is too long")
    return parts


def find(root: Folder, path: str) -> Node | None:
    """What lies at ``path``; links are followed, and none leads out of the context."""
    pending = path.split("/")[::-1]
    folders = [root]
    links = 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del folders[max(1, len(folders) - 1) :]
            continue
        node = child_of(folders[-1], part)
        if isinstance(node, Folder):
            folders.append(node)
        elif isinstance(node, Link):
            links += 1
            if links > MOST_LINKS:
                return None
            if node.target.startswith("/"):
                del folders[1:]
            pending.extend(node.target.split("/")[::-1])
        elif node is None or any(name not in ("", ".") for name in pending):
            return None
        else:
            return node
    return folders[-1]


def child_of(folder: Folder, name: str) -> Node | None:
    """The child of that name, in any case of its letters where there is but one, as on Windows."""
    if (child := folder.children.get(name)) is not None:
        return child
    folded = upper(name)
    alike = [child for other, child in folder.children.items() if upper(other) == folded]
    return alike[0] if len(alike) == 1 else None


def upper(name: str) -> str:
    """A name as Windows compares it: each character is one still."""
    if name.isascii():
        return name.upper()
    return "".join(raised if len(raised := letter.upper()) == 1 else letter for letter in name)


def walk(folder: Folder, path: str) -> Iterator[tuple[str, Folder | File | Link]]:
    """All that is in ``folder``, which lies at ``path``, folders before what is in them, in order of names.

    Yields paths from the folder on. Raises InvalidRequest for what cannot lie on a Windows volume.
    """
    pending = [("", children_of(folder, path))]
    while pending:
        above, children = pending[-1]
        found = next(children, None)
        if found is None:
            pending.pop()
            continue
        name, node = found
        below = above + name
        yield below, node
        if isinstance(node, Folder):
            pending.append((below + "/", children_of(node, join(path, below))))


def children_of(folder: Folder, path: str) -> Iterator[tuple[str, Folder | File | Link]]:
    seen: dict[str, str] = {}
    for name, node in sorted(folder.children.items()):
        same = seen.setdefault(upper(name), name)
        if same is not name:
            raise refused(
                join(path, name),
                f"{quoted(same)} differs from it in case alone, and Windows can have only one of them",
            )
        yield name, usable(join(path, name), node)


def usable(path: str, node: Node) -> Folder | File | Link:
    """Raises InvalidRequest for what cannot be copied to Windows."""
    name = path.rpartition("/")[2]
    if "\\" in name:
        raise refused(path, "Windows cannot have a backslash in a name")
    if any("\udc80" <= character <= "\udcff" for character in name):
        raise refused(path, "its name is not UTF-8")
    if isinstance(node, Unusable):
        raise refused(path, node.why)
    return node


def refused(path: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"the build context, entry {quoted(path)}: {why}", hint=LEAVE_OUT)


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def without_ignored(root: Folder, ignore: DockerIgnore) -> Folder:
    """The same without what ``ignore`` leaves out; a folder that something is kept in is there still."""
    if not ignore:
        return root
    kept = Folder(root.time)
    pending = [(root, kept, "", ignore.root)]
    emptied: list[tuple[Folder, str]] = []
    while pending:
        folder, copy, path, verdict = pending.pop()
        for name, node in folder.children.items():
            below = join(path, name)
            judged = ignore.judge(below, verdict)
            if not isinstance(node, Folder):
                if not judged.excluded:
                    copy.children[name] = node
            elif not judged.excluded or ignore.may_keep_in(below):
                child = copy.children[name] = Folder(None if judged.excluded else node.time)
                if judged.excluded:
                    emptied.append((copy, name))
                pending.append((node, child, below, judged))
    drop_empty(emptied)
    return kept


def drop_empty(emptied: list[tuple[Folder, str]]) -> None:
    """Take away the folders of which nothing was kept, inner ones first."""
    for parent, name in reversed(emptied):
        child = parent.children[name]
        if isinstance(child, Folder) and not child.children:
            del parent.children[name]

"""A build's context in the worker: what is in it, what COPY's words name, what is copied."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Sequence
from pathlib import Path

from linwin.errors import InvalidRequest, NotFound
from linwin.layers.decode import EPOCH
from linwin.model.build import Dockerfile, Packed, Selected
from linwin.model.dockerignore import DockerIgnore, glob
from linwin.sources.archives import is_archive
from linwin.sources.contents import View, read_tree
from linwin.sources.packing import Packer
from linwin.sources.parse import parse_dockerfile
from linwin.sources.spool import disk_failures, dockerfile_alone, is_tar, plain_body
from linwin.sources.text import LARGEST_DOCKERFILE, shown, too_large
from linwin.sources.tree import File, Folder, Link, find, join, usable, walk, without_ignored

DOCKERFILE = "Dockerfile"
IGNORE_FILE = ".dockerignore"
PIECE = 1 << 20
NOT_THERE = (
    "COPY failed: file not found in build context or excluded by .dockerignore: stat {}: file does not exist"
)


class Context:
    """What a client sent, or what was fetched for it."""

    def __init__(self, root: Folder, view: View, *, is_dockerfile: bool) -> None:
        self._root = root
        self._view = view
        self._is_dockerfile = is_dockerfile
        self._visible: Folder | None = None
        """What ``.dockerignore`` leaves, once it is known which one counts."""

    @classmethod
    def open(cls, body: Path, spool: Path) -> Context:
        """Look through what came as a request's body. Raises InvalidRequest and Unavailable."""
        with disk_failures("the build context was read"):
            plain = plain_body(body, spool)
            if not plain.stat().st_size:
                raise InvalidRequest("the build context is empty", hint="Send a tar, or a Dockerfile.")
            with plain.open("rb") as file:
                view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if is_tar(view[:512]):
                return cls(read_tree(view).root, view, is_dockerfile=False)
            data = dockerfile_alone(plain)
            return cls(Folder(None, {DOCKERFILE: File(0, len(data), EPOCH)}), data, is_dockerfile=True)

    def dockerfile(self, path: str) -> Dockerfile:
        """Read a Dockerfile; from now on the ``.dockerignore`` counts that belongs to it."""
        if self._is_dockerfile:
            path = DOCKERFILE
        place = clean(path)
        if place is None:
            raise InvalidRequest(f"the Dockerfile ({path}) must be within the build context")
        text = parse_dockerfile(path, self._read(path, place))
        self._visible = without_ignored(self._root, self._ignore(place))
        return text

    def select(self, pattern: str) -> list[Selected]:
        """See :meth:`linwin.engine.source_interface.Source.select`."""
        place = clean(pattern)
        if place is None:
            raise InvalidRequest(
                f"COPY failed: forbidden path outside the build context: {shown(pattern)} ()"
            )
        if not any(character in place for character in "*?["):
            return [self._selected(place)]
        try:
            matching = glob(place)
        except ValueError as error:
            raise InvalidRequest(f"COPY failed: {shown(str(error))}") from error
        found = [self._selected(path) for path in paths(self._files()) if matching.matches(path)]
        if not found:
            raise NotFound("COPY failed: no source files were specified")
        return found

    def pack(self, items: Sequence[Packed], output: Path) -> None:
        """See :meth:`linwin.engine.source_interface.Source.pack`."""
        with disk_failures("the files to copy were packed"):
            Packer(self._files(), self._view, output).pack(items)

    def _files(self) -> Folder:
        if self._visible is None:
            self._visible = without_ignored(self._root, self._ignore(DOCKERFILE))
        return self._visible

    def _read(self, path: str, place: str) -> bytes:
        node = find(self._root, place)
        if node is None:
            raise NotFound(
                f"Cannot locate specified Dockerfile: {path}",
                hint="Name its path in the build context with -f; .dockerignore does not hide it.",
            )
        if not isinstance(usable(place, node), File):
            raise InvalidRequest(f"{path} is a folder, not a Dockerfile")
        assert isinstance(node, File)
        if node.size > LARGEST_DOCKERFILE:
            raise too_large(path)
        return self._view[node.offset : node.offset + node.size]

    def _ignore(self, dockerfile: str) -> DockerIgnore:
        """The rules that belong to a Dockerfile: its own, or else the context's."""
        for name in (dockerfile + IGNORE_FILE, IGNORE_FILE):
            node = find(self._root, name)
            if not isinstance(node, File):
                continue
            if node.size > LARGEST_DOCKERFILE:
                raise too_large(name)
            data = self._view[node.offset : node.offset + node.size]
            try:
                return DockerIgnore(data.decode())
            except UnicodeDecodeError as error:
                raise InvalidRequest(f"{name} is not UTF-8", hint="Save it as UTF-8.") from error
            except ValueError as error:
                raise InvalidRequest(f"{name}: {shown(str(error))}") from error
        return DockerIgnore()

    def _selected(self, path: str) -> Selected:
        node = find(self._files(), path)
        if node is None:
            raise NotFound(NOT_THERE.format(shown(path)))
        node = usable(path, node)
        if isinstance(node, Folder):
            return Selected(path, True, self._digest_of_folder(node, path))
        assert isinstance(node, File), "links are followed"
        packed = is_archive(self._view, node.offset, node.size)
        digest = hashlib.sha256(b"file\0" + self._digest(node)).hexdigest()
        return Selected(path, False, f"sha256:{digest}", packed)

    def _digest_of_folder(self, folder: Folder, path: str) -> str:
        """Over the names, kinds and bytes of what is in it: times are not in it, nor the tar's order."""
        total = hashlib.sha256(b"folder\0")
        for name, node in walk(folder, path):
            total.update(name.encode("utf-8", "surrogatepass") + b"\0")
            if isinstance(node, File):
                total.update(b"file\0" + self._digest(node))
            elif isinstance(node, Link):
                target = node.target.encode("utf-8", "surrogatepass")
                total.update(b"link\0" + hashlib.sha256(target).digest())
            else:
                total.update(b"folder\0")
        return f"sha256:{total.hexdigest()}"

    def _digest(self, node: File) -> bytes:
        if not node.digest:
            found = hashlib.sha256()
            end = node.offset + node.size
            for at in range(node.offset, end, PIECE):
                found.update(self._view[at : min(at + PIECE, end)])
            node.digest = found.digest()
        return node.digest


def clean(path: str) -> str | None:
    """A path as words of a Dockerfile have it, from the context on; None for one that leads out of it.

    Both slashes part names, and one in front is the context's own, as on a Windows daemon.
    """
    parts: list[str] = []
    for part in path.replace("\\", "/").split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def paths(folder: Folder) -> list[str]:
    """All paths in the context, each folder's in order of names, whatever Windows makes of them."""
    found: list[str] = []
    pending = [("", folder)]
    while pending:
        above, folder = pending.pop()
        for name, node in folder.children.items():
            found.append(join(above, name))
            if isinstance(node, Folder):
                pending.append((found[-1], node))
    return sorted(found, key=lambda path: path.split("/"))

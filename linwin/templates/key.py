"""The key of a build: a hash of everything it depends on that is known before it downloads.

That is the recipe, the agent, this room's own code and the versions of the
host's tools. The packages' versions are not: asking for them needs the network,
and an equal recipe should be reusable without one. The finished build's record
names them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from linwin.errors import Unavailable
from linwin.host import process
from linwin.templates.recipe import Recipe
from linwin.templates.wine import GUEST_PROGRAMS

_TOOLS = ("erofs-utils", "faketime", "libntfs-3g89", "libwim15", "ntfs-3g", "qemu-utils", "wimtools")


async def build_key(recipe: Recipe, agents: Path) -> str:
    """64 hex digits. Raises Unavailable when the agent was not built."""
    for name in GUEST_PROGRAMS:
        if not (agents / name).is_file():
            raise Unavailable(
                f"the guest agent {agents / name} does not exist",
                hint="build it with: scripts/build-agent",
            )
    shown = await process.run(["dpkg-query", "--show", *_TOOLS])
    own = Path(__file__).parent
    inputs = {f"recipe/{path.relative_to(recipe.folder)}": path for path in _files(recipe.folder)}
    inputs |= {f"code/{path.name}": path for path in own.glob("*.py")}
    inputs |= {f"agent/{name}": agents / name for name in GUEST_PROGRAMS}
    return combine({name: path.read_bytes() for name, path in inputs.items()}, shown.stdout)


def combine(inputs: dict[str, bytes], tools: bytes) -> str:
    """Hash named inputs, each with its name and length so that no two sets look alike."""
    digest = hashlib.sha256()
    for name, data in sorted({**inputs, "tools": tools}.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]

"""The key of a build: a hash of everything it depends on that is known before it downloads.

That is the recipe, the agent, this room's own code, what the user adds and the versions of the
host's tools. The packages' versions are not: asking for them needs the network,
and an equal recipe should be reusable without one. The finished build's record
names them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from linwin.errors import Unavailable
from linwin.host import process
from linwin.templates import windows
from linwin.templates.recipe import IsoRecipe, Recipe
from linwin.templates.windows.agent_service import PROGRAM
from linwin.templates.wine import GUEST_PROGRAMS

_TOOLS = ("erofs-utils", "faketime", "libntfs-3g89", "libwim15", "ntfs-3g", "qemu-utils", "wimtools")
_WINDOWS_TOOLS = (
    "7zip", "dosfstools", "gdisk", "libhivex-bin", "libhivex0", "libntfs-3g89", "libwim15",
    "libwin-hivex-perl", "mtools", "ntfs-3g", "qemu-utils", "wimtools", "xorriso",
)  # fmt: skip


async def build_key(recipe: Recipe, agents: Path) -> str:
    """64 hex digits. Raises Unavailable when the agent was not built."""
    code = Path(__file__).parent.glob("*.py")
    return await _key(recipe.folder, agents, GUEST_PROGRAMS, code, _TOOLS, {})


async def windows_build_key(recipe: IsoRecipe, agents: Path, given: Mapping[str, str]) -> str:
    """The same of a Windows template; ``given`` names what the user adds, by digest or in words."""
    code = Path(windows.__file__).parent.glob("*.py")
    return await _key(recipe.folder, agents, (PROGRAM,), code, _WINDOWS_TOOLS, given)


async def import_key(agents: Path, given: Mapping[str, str]) -> str:
    """The same of a user's disk, which ``given`` names by digest, with what else the user says."""
    code = Path(windows.__file__).parent.glob("*.py")
    return await _key(None, agents, (PROGRAM,), code, _WINDOWS_TOOLS, given)


async def _key(
    folder: Path | None,
    agents: Path,
    programs: Iterable[str],
    code: Iterable[Path],
    tools: Iterable[str],
    given: Mapping[str, str],
) -> str:
    for name in programs:
        if not (agents / name).is_file():
            raise Unavailable(
                f"the guest agent {agents / name} does not exist",
                hint="build it with: scripts/build-agent",
            )
    shown = await process.run(["dpkg-query", "--show", *tools])
    inputs = {f"recipe/{path.relative_to(folder)}": path for path in _files(folder)} if folder else {}
    inputs |= {f"code/{path.name}": path for path in code}
    inputs |= {f"agent/{name}": agents / name for name in programs}
    contents = {name: path.read_bytes() for name, path in inputs.items()}
    contents |= {f"given/{name}": value.encode() for name, value in given.items()}
    return combine(contents, shown.stdout)


def combine(inputs: dict[str, bytes], tools: bytes) -> str:
    """Hash named inputs, each with its name and length so that no two sets look alike."""
    digest = hashlib.sha256()
    for name, data in sorted({**inputs, "tools": tools}.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]

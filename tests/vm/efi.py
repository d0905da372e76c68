"""Programs of ours that firmware starts, built with mingw."""

from __future__ import annotations

from pathlib import Path

from tests.unit.templates.windows import media

_SOURCES = Path(__file__).parent / "firmware"
_COMPILER = (
    "x86_64-w64-mingw32-gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib",
    "-mno-red-zone", "-fno-stack-protector", "-Wl,--subsystem,10", "-e", "efi_main",
)  # fmt: skip


def compiled(source: str, target: Path, *definitions: str) -> Path:
    """Build ``firmware/SOURCE``, with definitions as ``MODE=RESTART``, to ``target``."""
    defined = [f"-D{definition}" for definition in definitions]
    media.run(*_COMPILER, *defined, "-o", target, _SOURCES / source)
    return target

"""Disks as a user may have them: a Windows that was installed, in every format. No Windows is on them.

C: begins where no disk of ours has it, and what else there is on a disk holds bytes that can be told again.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from linwin.templates.windows import bcd, disk, hive, security
from linwin.templates.windows.hive import Edits
from tests.unit.templates.windows import media
from tests.unit.templates.windows.media import CONFIG, CONTROL_SET, PROGRAM, run

MIB = 1 << 20
ESP_START, ESP_SIZE = 1 * MIB, 64 * MIB
RESERVED_START, RECOVERY_START = 65 * MIB, 81 * MIB
C_START = 97 * MIB + 5 * 4096
"""In bytes; at no multiple of a qcow2's clusters."""
TAIL = 2 * MIB
SIZE = 1280 * MIB
OS_VERSION = "10.0.20348.2113"

_INSTALLED = 1_700_000_000
CURRENT: dict[str, hive.Value] = {
    "ProductName": hive.text("Windows Server 2022 Standard"),
    "EditionID": hive.text("ServerStandard"),
    "InstallationType": hive.text("Server Core"),
    "CurrentBuildNumber": hive.text("20348"),
    "UBR": hive.dword(2113),
    "InstallDate": hive.dword(_INSTALLED),
}
KEY = ("Microsoft", "Windows NT", "CurrentVersion")
STATE = ("Microsoft", "Windows", "CurrentVersion", "Setup", "State")
ENVIRONMENT = (CONTROL_SET, "Control", "Session Manager", "Environment")


@dataclass(frozen=True)
class Installed:
    """What is on a disk. ``current`` replaces values of its version; ``files`` are added to C:."""

    current: dict[str, hive.Value] = field(default_factory=dict)
    state: str = "IMAGE_STATE_COMPLETE"
    architecture: str = "AMD64"
    system: Edits = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    fallback: bool = True
    size: int = SIZE
    boot: Path = PROGRAM


async def windows_disk(folder: Path, made: Installed = Installed()) -> Path:
    """A raw disk in ``folder``."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    ids = {"disk": uuid4(), "esp": uuid4(), "windows": uuid4()}
    c = await volume(folder, made)
    esp = await _esp(folder, made, ids)
    raw = folder / "user.raw"
    raw.write_bytes(b"")
    os.truncate(raw, made.size)
    _partition(raw, made.size, ids)
    for path, start in ((esp, ESP_START), (c, C_START)):
        _place(path, raw, start)
    marked = folder / "recovery"
    marked.write_bytes(b"what recovers" * 10_000)
    _place(marked, raw, RECOVERY_START)
    for path in (c, esp):
        path.unlink()
    return raw


def converted(raw: Path, kind: str, *options: str) -> Path:
    """The same disk in another format, as QEMU makes it."""
    made = raw.with_name(f"user.{kind}{len(options)}")
    words = [word for option in options for word in ("-o", option)]
    run("qemu-img", "convert", "-f", "raw", "-O", kind, *words, raw, made)
    return made


async def volume(folder: Path, made: Installed) -> Path:
    """The C: of a disk of some size, in a file of its own."""
    tree = media.tree(folder / "tree", made.boot, made.without)
    for path, content in made.files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    await _hives(tree / CONFIG, made)
    wim = folder / "c.wim"
    run("wimlib-imagex", "capture", tree, wim, "--compress=none")
    c = folder / "c.ntfs"
    c.write_bytes(b"")
    os.truncate(c, made.size - TAIL - C_START)
    place = ["-p", str(C_START // 512), "-H", "255", "-S", "63", "-s", "512"]
    run("mkntfs", "--quick", "--force", "--quiet", *place, c)
    run("wimlib-imagex", "apply", wim, "1", c)
    restore = folder / "c.acl"
    paths = [*(f"{CONFIG}/{path.name}" for path in (tree / CONFIG).iterdir()), *made.files]
    restore.write_bytes(security.restore_file(dict.fromkeys(paths, media.HIVE_DESCRIPTOR), ()))
    run("ntfssecaudit", "-s", c, restore)
    return c


async def _hives(config: Path, made: Installed) -> None:
    await media.hives(config)
    await hive.merge(
        config / "SOFTWARE", {KEY: CURRENT | made.current, STATE: {"ImageState": hive.text(made.state)}}
    )
    architecture = {ENVIRONMENT: {"PROCESSOR_ARCHITECTURE": hive.text(made.architecture)}}
    await hive.merge(config / "SYSTEM", hive.combined(architecture, made.system))


async def _esp(folder: Path, made: Installed, ids: dict[str, UUID]) -> Path:
    tree = folder / "boot"
    boot = tree / "EFI/Microsoft/Boot"
    boot.mkdir(parents=True)
    (boot / "bootmgfw.efi").write_bytes(made.boot.read_bytes())
    (boot / "BCD").write_bytes(hive.empty("NewStoreRoot"))
    store = bcd.Store(ids["disk"], ids["esp"], ids["windows"], uuid4(), "Windows")
    await hive.merge(boot / "BCD", bcd.edits(store))
    if made.fallback:
        (tree / "EFI/Boot").mkdir()
        (tree / "EFI/Boot/bootx64.efi").write_bytes(made.boot.read_bytes())
    esp = folder / "esp.fat"
    esp.write_bytes(b"")
    os.truncate(esp, ESP_SIZE)
    run("mkfs.fat", "-F", "32", "-s", "1", "-h", str(ESP_START // 512), esp)
    run("mcopy", "-s", "-i", esp, tree / "EFI", "::")
    return esp


def _partition(raw: Path, size: int, ids: dict[str, UUID]) -> None:
    sectors = (
        (1, ESP_START, RESERVED_START, "EF00", ids["esp"]),
        (2, RESERVED_START, RECOVERY_START, "0C01", uuid4()),
        (4, RECOVERY_START, C_START, "2700", uuid4()),
        (3, C_START, size - TAIL, "0700", ids["windows"]),
    )
    words = ["--clear", f"--disk-guid={ids['disk']}", "--set-alignment=1"]
    for number, start, end, kind, identifier in sectors:
        words += [f"--new={number}:{start // 512}:{end // 512 - 1}", f"--typecode={number}:{kind}"]
        words += [f"--partition-guid={number}:{identifier}"]
    run("sgdisk", *words, raw)


def _place(source: Path, raw: Path, start: int) -> None:
    words = [f"if={source}", f"of={raw}", "bs=1M", "conv=notrunc,sparse", "status=none", "oflag=seek_bytes"]
    run("dd", *words, f"seek={start}")


assert disk.C_START != C_START

"""ISOs that stand for Microsoft's and virtio-win's: real formats, real hives and PE files, no Windows.

The WIM is captured from an NTFS volume, so that it carries security descriptors as Microsoft's do.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from linwin.templates.windows import hive, security
from tests.unit.templates.windows.infs import NETKVM, VIOSER, VIOSTOR

REPOSITORY = Path(__file__).parents[4]
AGENTS = REPOSITORY / "linwin/_agent"
PROGRAM = AGENTS / "hostname.exe"
"""A real PE file, in the place of each of Windows' own."""
OS_VERSION = "10.0.14393.2363"
NAME = "Windows Server 2016 SERVERDATACENTERNANO"
CONTROL_SET = "ControlSet001"
CONFIG = "Windows/System32/config"
HIVE_DESCRIPTOR = security.descriptor(secret=True)

PROPERTIES = {
    "WINDOWS/ARCH": "9",
    "WINDOWS/VERSION/MAJOR": "10",
    "WINDOWS/VERSION/MINOR": "0",
    "WINDOWS/VERSION/BUILD": "14393",
    "WINDOWS/VERSION/SPBUILD": "2363",
}


def tree(folder: Path, boot: Path, without: tuple[str, ...]) -> Path:
    """The files of a Windows that a template needs, but for some; ``boot`` is its boot manager."""
    config = folder / CONFIG
    for path in (
        config,
        folder / "Windows/Boot/EFI/en-US",
        folder / "Windows/Boot/Fonts",
        folder / "Windows/inf",
    ):
        path.mkdir(parents=True)
    for path in ("Windows/System32/drivers", "Windows/Panther", "Program Files", "Users"):
        (folder / path).mkdir()
    program = PROGRAM.read_bytes()
    (folder / "Windows/System32/winload.efi").write_bytes(program)
    (folder / "Windows/Boot/EFI/bootmgfw.efi").write_bytes(boot.read_bytes())
    (folder / "Windows/Boot/EFI/en-US/bootmgfw.efi.mui").write_bytes(b"words")
    (folder / "Windows/Boot/Fonts/wgl4_boot.ttf").write_bytes(b"letters")
    (folder / "Windows/inf/oem0.inf").write_bytes(b"one that was there before")
    for name in without:
        (folder / name).unlink()
    return folder


async def hives(config: Path) -> None:
    for name in ("SYSTEM", "SOFTWARE", "DRIVERS"):
        (config / name).write_bytes(hive.empty("ROOT"))
    await hive.merge(
        config / "SYSTEM",
        {
            ("Select",): {"Current": hive.dword(1), "Default": hive.dword(1)},
            (CONTROL_SET, "Services", "disk"): {"Start": hive.dword(0)},
        },
    )
    await hive.merge(
        config / "SYSTEM",
        {
            ("DriverDatabase", "DeviceIds", "PCI", "VEN_1AF4&DEV_1001"): {
                "other.inf": hive.binary(b"\1\xff\0\0")
            }
        },
    )


def run(*words: str | Path, **options: object) -> bytes:
    """A program's output; it must end with 0."""
    done = subprocess.run(words, capture_output=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return bytes(done.stdout)


def make_wim(tree: Path, wim: Path, properties: dict[str, str]) -> None:
    """Capture ``tree``, with descriptors, as the first image of ``wim``; the second is what is described."""
    plain, volume = wim.with_suffix(".plain"), wim.with_suffix(".ntfs")
    run("wimlib-imagex", "capture", tree, plain, "--compress=none")
    volume.write_bytes(b"")
    os.truncate(volume, 128 << 20)
    run("mkntfs", "--quick", "--force", "--quiet", volume)
    run("wimlib-imagex", "apply", plain, "1", volume)
    restore = wim.with_suffix(".acl")
    paths = [f"{CONFIG}/{path.name}" for path in (tree / CONFIG).iterdir()]
    restore.write_bytes(security.restore_file(dict.fromkeys(paths, HIVE_DESCRIPTOR), ()))
    run("ntfssecaudit", "-s", volume, restore)
    run("wimlib-imagex", "capture", volume, wim, "Windows Server 2016 SERVERSTANDARDNANO")
    run("wimlib-imagex", "capture", volume, wim.with_suffix(".second"), NAME)
    run("wimlib-imagex", "export", wim.with_suffix(".second"), "1", wim)
    for index in ("1", "2"):
        words = [f"--image-property={name}={value}" for name, value in properties.items()]
        run("wimlib-imagex", "info", wim, index, *words)


async def windows_iso(
    folder: Path,
    *,
    boot: Path = PROGRAM,
    name: str = "NanoServer.wim",
    without: tuple[str, ...] = (),
    **properties: str,
) -> Path:
    """An ISO of "Windows Server 2016", lacking some files.

    ``properties`` replace what its images are described with, as in ``WINDOWS_ARCH="0"``.
    """
    content = folder / "iso"
    wim = content / "NanoServer" / name
    wim.parent.mkdir(parents=True)
    windows = tree(folder / "tree", boot, without)
    await hives(windows / CONFIG)
    make_wim(
        windows,
        folder / "made.wim",
        PROPERTIES | {key.replace("_", "/"): text for key, text in properties.items()},
    )
    (folder / "made.wim").rename(wim)
    return pack(content, folder / "WS2016.iso")


def virtio_iso(folder: Path, infs: dict[str, str] | None = None, system: str = "2k16") -> Path:
    """An ISO with drivers, by default three."""
    for name, text in (infs or {"viostor": VIOSTOR, "vioserial": VIOSER, "NetKVM": NETKVM}).items():
        stem = {"vioserial": "vioser", "NetKVM": "netkvm", "Balloon": "balloon"}.get(name, name)
        package = folder / "virtio" / name / system / "amd64"
        package.mkdir(parents=True)
        (package / f"{stem}.inf").write_text(text.replace("\n", "\r\n"))
        (package / f"{stem}.sys").write_bytes(PROGRAM.read_bytes() + stem.encode())
        (package / f"{stem}.cat").write_bytes(b"a catalogue of " + stem.encode())
        (package / f"{stem}.pdb").write_bytes(b"symbols")
        for library in re.findall(r"^(\w+\.dll) *=", text, re.MULTILINE):
            (package / library).write_bytes(b"a library called " + library.encode())
    return pack(folder / "virtio", folder / "virtio-win.iso")


def pack(content: Path, iso: Path) -> Path:
    run("genisoimage", "-quiet", "-udf", "-J", "-allow-limited-size", "-V", "TEST", "-o", iso, content)
    return iso

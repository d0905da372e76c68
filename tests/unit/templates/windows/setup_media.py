"""An ISO that stands for one of Windows Server's with Setup, and the disk that its Setup would leave.

The ISO is UDF with El Torito boot images as Microsoft's; what it boots is the caller's program, and its
install.wim describes editions as Microsoft's do. The disk is made by the builder of Nano Server's, from a
tree whose SOFTWARE hive says what a generalized Server Core's says.
"""

from __future__ import annotations

import asyncio
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from linwin.templates.recipe import ProvidedImage, WindowsRecipe
from linwin.templates.windows import hive
from linwin.templates.windows.build import WindowsBuild
from tests.unit.templates.windows import disks, media
from tests.unit.templates.windows.media import run

BUILD = 20348
EDITIONS = (
    ("Windows Server 2022 SERVERSTANDARDCORE", "ServerStandard", "Server Core"),
    ("Windows Server 2022 SERVERDATACENTER", "ServerDatacenter", "Server"),
    ("Windows Server 2022 SERVERDATACENTERCORE", "ServerDatacenter", "Server Core"),
)
_MIB = 1 << 20
_BLOCK = 2048  # of a disc
_FLOPPY = 1440 << 10  # bytes of Microsoft's boot images


@dataclass(frozen=True)
class SetupIso:
    """What an ISO is to be like."""

    build: int = BUILD
    editions: tuple[tuple[str, str, str], ...] = EDITIONS
    language: str = "en-US"
    without: tuple[str, ...] = ()
    asking: bool = True


def boot_image(path: Path, program: Path) -> Path:
    """A FAT volume whose program firmware starts."""
    path.write_bytes(b"")
    with path.open("r+b") as file:
        file.truncate(_FLOPPY)
    run("mkfs.fat", path)
    run("mmd", "-i", path, "::EFI", "::EFI/BOOT")
    run("mcopy", "-i", path, program, "::EFI/BOOT/BOOTX64.EFI")
    return path


def setup_iso(
    folder: Path,
    like: SetupIso | None = None,
    *,
    silent: Path = media.PROGRAM,
    asking: Path = media.PROGRAM,
    disk: Path | None = None,
) -> Path:
    """The ISO, booting the program ``asking`` until its boot image is exchanged for that of ``silent``.

    It holds what is on ``disk``, in the form that tests/vm/firmware/setup.c copies.
    """
    like = like or SetupIso()
    content = folder / "setup-iso"
    boot = content / "efi/microsoft/boot"
    boot.mkdir(parents=True)
    boot_image(boot / "efisys.bin", asking)
    boot_image(boot / "efisys_noprompt.bin", silent)
    # The two are never the same volume.
    run("mattrib", "-i", boot / "efisys_noprompt.bin", "+r", "::EFI/BOOT/BOOTX64.EFI")
    (content / "setup.exe").write_bytes(media.PROGRAM.read_bytes())
    (content / "sources").mkdir()
    if disk is not None:
        _copyable(disk, content / "sources/installed")
    _describe(folder, content / "sources/install.wim", like)
    shown = "efisys.bin" if like.asking else "efisys_noprompt.bin"
    for name in like.without:
        (content / name).unlink()
    words = ["-quiet", "-udf", "-J", "-allow-limited-size", "-V", "SSS_X64FREE_EN-US_DV9", "-b"]
    words += ["setup.exe", "-no-emul-boot", "-boot-load-size", "8", "-eltorito-alt-boot"]
    words += ["-e", f"efi/microsoft/boot/{shown}", "-no-emul-boot"]
    iso = folder / "WS2022.iso"
    run("genisoimage", *words, "-o", iso, content)
    shutil.rmtree(content)
    return iso


def _copyable(disk: Path, path: Path) -> None:
    """A block that says where what follows belongs, and what the disk holds, in stretches of whole MiB."""
    raw = path.with_suffix(".raw")
    run("qemu-img", "convert", "-O", "raw", disk, raw)
    stretches: list[tuple[int, int]] = []
    with raw.open("rb") as read, path.open("wb") as write:
        write.write(bytes(_BLOCK))
        for at, piece in enumerate(iter(lambda: read.read(_MIB), b"")):
            if not any(piece):
                continue
            write.write(piece)
            if stretches and sum(stretches[-1]) == at * _MIB:
                stretches[-1] = (stretches[-1][0], stretches[-1][1] + _MIB)
            else:
                stretches.append((at * _MIB, _MIB))
        head = struct.pack("<16sII", b"LINWIN-INSTALLED", len(stretches), 0)
        head += b"".join(struct.pack("<QQ", *stretch) for stretch in stretches)
        assert len(head) <= _BLOCK
        write.seek(0)
        write.write(head)
    raw.unlink()


def _describe(folder: Path, wim: Path, like: SetupIso) -> None:
    tree = folder / "setup-tree"
    tree.mkdir()
    (tree / "a file").write_bytes(b"of Windows")
    for index, (name, edition, installation) in enumerate(like.editions, 1):
        run("wimlib-imagex", "capture" if index == 1 else "append", tree, wim, name, "--compress=none")
        properties = {
            "WINDOWS/ARCH": "9",
            "WINDOWS/VERSION/MAJOR": "10",
            "WINDOWS/VERSION/MINOR": "0",
            "WINDOWS/VERSION/BUILD": str(like.build),
            "WINDOWS/VERSION/SPBUILD": "169",
            "WINDOWS/EDITIONID": edition,
            "WINDOWS/INSTALLATIONTYPE": installation,
        }
        if like.language:
            properties["WINDOWS/LANGUAGES/DEFAULT"] = like.language
        words = [f"--image-property={key}={value}" for key, value in properties.items()]
        run("wimlib-imagex", "info", wim, str(index), *words)


@dataclass(frozen=True)
class Left:
    """What Setup is to have left on the disk."""

    build: int = BUILD
    installation: str = "Server Core"
    state: str = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"
    without: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ("viostor", "vioserial", "NetKVM")


async def installed(folder: Path, virtio: Path, left: Left | None = None, boot: Path = media.PROGRAM) -> Path:
    """The disk that Setup would leave; ``boot`` is in its boot manager's place."""
    left = left or Left()
    await asyncio.to_thread(folder.mkdir)
    windows = media.tree(folder / "tree", boot, ())
    await media.hives(windows / media.CONFIG)
    current = ("Microsoft", "Windows NT", "CurrentVersion")
    version = {
        "CurrentBuildNumber": hive.text(str(left.build)),
        "InstallationType": hive.text(left.installation),
        "ProductName": hive.text("Windows Server 2022 Datacenter Evaluation"),
        "EditionID": hive.text("ServerDatacenterEval"),
        "UBR": hive.dword(587),
    }
    state = ("Microsoft", "Windows", "CurrentVersion", "Setup", "State")
    edits = {
        current: version,
        (*current, "Below"): {"EditionID": hive.text("another")},
        state: {"ImageState": hive.text(left.state)},
    }
    await hive.merge(windows / media.CONFIG / "SOFTWARE", edits)
    architecture = {disks.ENVIRONMENT: {"PROCESSOR_ARCHITECTURE": hive.text("AMD64")}}
    await hive.merge(windows / media.CONFIG / "SYSTEM", architecture)
    for name in left.without:
        (windows / name).unlink()
    content = folder / "iso/NanoServer"
    content.mkdir(parents=True)
    version_words = {key: value for key, value in media.PROPERTIES.items() if "BUILD" not in key}
    media.make_wim(windows, content / "made.wim", {**version_words, "WINDOWS/VERSION/BUILD": str(left.build)})
    (content / "made.wim").rename(content / "NanoServer.wim")
    iso = media.pack(folder / "iso", folder / "as-installed.iso")
    recipe = WindowsRecipe(
        "as-installed", folder, "windows", "", 512, "an ISO", "NanoServer/NanoServer.wim", left.build,
        2, "Windows", ("2k22",), left.drivers, (ProvidedImage(("a.b/c:d",), "x"),), index=2,
    )  # fmt: skip
    work = folder / "work"
    work.mkdir()
    await WindowsBuild(recipe, media.AGENTS, work, lambda _: None, iso, virtio, 2).run()
    return work / "out/disk.qcow2"

"""Where programs of other packages are, and what they said last.

Apart from :mod:`linwin.host.process`, which needs asyncio: a worker starts for each layer, without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from linwin.errors import Unavailable

# The Debian packages of programs that are not named as their package is.
_PACKAGES = {
    "7zz": "7zip",
    "cpio": "cpio",
    "fsck.erofs": "erofs-utils",
    "hivexregedit": "libwin-hivex-perl",
    "hivexsh": "libhivex-bin",
    "dnsmasq": "dnsmasq-base",
    "losetup": "mount",
    "mcopy": "mtools",
    "mdir": "mtools",
    "mkfs.fat": "dosfstools",
    "mkfs.erofs": "erofs-utils",
    "mkfs.ntfs": "ntfs-3g",
    "mkntfs": "ntfs-3g",
    "mmd": "mtools",
    "mtype": "mtools",
    "nft": "nftables",
    "nsenter": "util-linux",
    "ntfs-3g.probe": "ntfs-3g",
    "ntfscat": "ntfs-3g",
    "ntfscluster": "ntfs-3g",
    "ntfscp": "ntfs-3g",
    "ntfsfix": "ntfs-3g",
    "ntfsinfo": "ntfs-3g",
    "ntfsls": "ntfs-3g",
    "ntfssecaudit": "ntfs-3g",
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "qemu-nbd": "qemu-utils",
    "qemu-storage-daemon": "qemu-system-common",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "sgdisk": "gdisk",
    "smbd": "samba",
    "smbcontrol": "samba-common-bin",
    "smbpasswd": "samba-common-bin",
    "umount": "mount",
    "unshare": "util-linux",
    "wimlib-imagex": "wimtools",
    "x86_64-w64-mingw32-strip": "binutils-mingw-w64-x86-64",
    "xz": "xz-utils",
}

_LAST_WORDS_LINES = 3
_LAST_WORDS_BYTES = 600


def find_program(name: str, env: Mapping[str, str] | None = None) -> str:
    """Return the full path of a program; raise Unavailable naming its Debian package."""
    # sbin is where Debian keeps half of what linwin runs, and not on every user's PATH.
    path = (env or os.environ).get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        package = _PACKAGES.get(Path(name).name, Path(name).name)
        raise Unavailable(
            f"the program {name} is not installed",
            hint=f"install it with: apt-get install {package}",
        )
    return found


def last_words(output: bytes) -> str:
    """The last few lines of a program's output, bounded, joined to one line."""
    text = output[-_LAST_WORDS_BYTES:].decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-_LAST_WORDS_LINES:])

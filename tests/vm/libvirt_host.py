"""A libvirtd of the tests' own, with files, users and devices that nobody else on the host meets.

It runs in a mount namespace, which the daemon that uses it enters too. There is no /dev/kvm in it:
where that opens and does not work, libvirt asks QEMU again at each start what it can.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.vm.conftest import PATIENCE, until

URI = "qemu:///system"

# tini is who waits for QEMUs that libvirtd started: they are its children's, not libvirtd's.
_START = r"""
set -eu
cd "$1"
mkdir dev etc lib run log cache
mount -t tmpfs -o mode=755 none dev
for node in /dev/*; do
  case $node in /dev/kvm) continue;; esac
  if [ -d "$node" ] && [ ! -L "$node" ]; then
    mkdir "dev/${node#/dev/}" && mount --rbind "$node" "dev/${node#/dev/}"
  else
    cp -a "$node" dev/
  fi
done
mount --rbind dev /dev
for pair in etc:/etc/libvirt lib:/var/lib/libvirt run:/run/libvirt log:/var/log/libvirt \
    cache:/var/cache/libvirt; do
  mkdir -p "${pair#*:}" && mount --bind "${pair%%:*}" "${pair#*:}"
done
for name in passwd group; do cp /etc/$name $name; done
grep -q ^libvirt-qemu: passwd || echo libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin >>passwd
grep -q ^libvirt-qemu: group || echo libvirt-qemu:x:64055: >>group
for name in passwd group; do mount --bind $name /etc/$name; done
echo 'stdio_handler = "file"' >etc/qemu.conf   # the default is a virtlogd, one more to start
echo 'auth_unix_rw = "none"' >etc/libvirtd.conf
exec tini -s -- libvirtd --config etc/libvirtd.conf --pid-file libvirtd.pid
"""


@dataclass(frozen=True)
class LibvirtHost:
    """``inside`` are the words before a command that is to meet this libvirtd."""

    folder: Path
    inside: tuple[str, ...]

    def virsh(self, *words: str) -> str:
        done = subprocess.run([*self.inside, "virsh", "-c", URI, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def libvirt_host(folder: Path) -> Iterator[LibvirtHost]:
    """Run a libvirtd whose files are below ``folder``, of pytest's, and end it by its pid."""
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o711)  # QEMUs look for their key below it
    namespace = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _START, "sh", str(folder)]
    with subprocess.Popen(namespace, start_new_session=True) as process:
        try:
            socket = folder / "run" / "libvirt-sock"
            until(lambda: socket.exists() or process.poll() is not None, "libvirtd did not start")
            assert process.poll() is None, (folder / "log").exists()
            yield LibvirtHost(folder, ("nsenter", "--mount", f"--target={process.pid}"))
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Tell tini, which passes it on; what hangs is killed."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()

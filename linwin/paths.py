"""Every name that linwin uses on disk and on the host.

The root of all state is one setting, ``LINWIN_ROOT``. Every host-wide name is
derived from it, so two daemons with different roots share a host without
meeting. ``docs/files.md`` describes the same tree for people.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEFAULT_ROOT = Path("/var/lib/linwin")
DEFAULT_SOCKET = Path("/run/linwin/linwin.sock")

# Names inside one machine's run folder (``Paths.machine``).
AGENT_SOCKET = "agent.sock"
MONITOR_SOCKET = "monitor.sock"
CONSOLE_SOCKET = "console.sock"
CONSOLE_LOG = "console.log"
QEMU_LOG = "qemu.log"
PID_FILE = "pid"
DOMAIN_FILE = "domain"
"""The UUID of the machine, where libvirt runs it."""
VARIABLES = "variables.fd"
"""What firmware remembers of a machine, beside the machine's disk: it outlasts the run folder."""

_LONGEST_SOCKET = 107  # sun_path holds 108 bytes with its terminating zero (unix(7))


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of one ``LINWIN_ROOT`` and the socket of its daemon."""

    root: Path
    socket: Path

    @classmethod
    def from_environment(cls, socket: Path | None = None) -> Paths:
        """Read ``LINWIN_ROOT`` and ``LINWIN_HOST`` (``unix://PATH``), for which ``socket`` stands in."""
        root = Path(os.environ.get("LINWIN_ROOT") or DEFAULT_ROOT)
        host = os.environ.get("LINWIN_HOST") or f"unix://{socket or DEFAULT_SOCKET}"
        return cls(root.absolute(), Path(host.removeprefix("unix://")).absolute())

    @property
    def tag(self) -> str:
        """Eight hex digits naming this root in host-wide names (bridge, table, uid range)."""
        from hashlib import sha256  # which takes a client longer than all else here

        return sha256(os.fsencode(self.root)).hexdigest()[:8]

    @property
    def database(self) -> Path:
        return self.root / "state.db"

    @property
    def daemon_pid(self) -> Path:
        return self.root / "daemon.pid"

    @property
    def daemon_log(self) -> Path:
        return self.root / "daemon.log"

    @property
    def daemon_lock(self) -> Path:
        return self.root / "daemon.lock"

    @property
    def blobs(self) -> Path:
        """Content-addressed blobs: ``blobs/sha256/<hex>``."""
        return self.root / "images" / "blobs"

    @property
    def image_records(self) -> Path:
        """One JSON record an image, ``<hex of its id>.json``."""
        return self.root / "images" / "records"

    @property
    def image_index(self) -> Path:
        """Which images exist and which references point at them; replaced as a whole."""
        return self.root / "images" / "index.json"

    @property
    def aliases(self) -> Path:
        """The user's own lines for the table of names that moved; may be absent."""
        return self.root / "aliases.yaml"

    @property
    def registries_conf(self) -> Path:
        """The user's own containers-registries.conf(5): mirrors, plain http; may be absent."""
        return self.root / "registries.conf"

    @property
    def pulls(self) -> Path:
        """What unfinished pulls keep: ``<hex of the manifest's digest>.json`` names their blobs."""
        return self.root / "images" / "pulls"

    @property
    def images_aside(self) -> Path:
        """What the disk damaged: corrupt blobs by their hex digest, and an index that could not be read."""
        return self.root / "images" / "damaged"

    @property
    def chains(self) -> Path:
        """Immutable overlays: ``<hex of the chain id>.qcow2``."""
        return self.root / "chains"

    @property
    def templates(self) -> Path:
        return self.root / "templates"

    @property
    def installed_disks(self) -> Path:
        """Disks that Windows' Setup has finished with and that are no templates yet."""
        return self.root / "installed"

    @property
    def installing(self) -> Path:
        """Run folder of the machine that Windows' Setup runs in."""
        return self.root / "installing"

    @property
    def reports(self) -> Path:
        """What was seen of the last installation for each template: ``NAME.txt``, ``NAME.png``."""
        return self.root / "reports"

    @property
    def checkpoints(self) -> Path:
        """Frozen guests: one folder each, named by its key."""
        return self.root / "checkpoints"

    @property
    def freezing(self) -> Path:
        """Run folder of the machine that is being made into a checkpoint."""
        return self.checkpoints / "machine"

    @property
    def pool(self) -> Path:
        """Run folders of the guests that wait for a container, one each."""
        return self.root / "pool"

    @property
    def containers(self) -> Path:
        return self.root / "containers"

    @property
    def networks(self) -> Path:
        """What each network's name server reads and writes: one folder each, named by the network's id."""
        return self.root / "networks"

    @property
    def volumes(self) -> Path:
        """Volumes: one folder each, named as the volume, its files in ``_data``."""
        return self.root / "volumes"

    def volume(self, name: str) -> Path:
        """What a volume holds."""
        return self.volumes / name / "_data"

    @property
    def shares(self) -> Path:
        """What the file server reads and writes, and where it finds what it shares."""
        return self.root / "shares"

    @property
    def file_server(self) -> tuple[str, int]:
        """Address and port of this host at which the root's file server listens, for its guests alone."""
        second, third, fourth = (int(self.tag[at : at + 2], 16) for at in (0, 2, 4))
        return f"127.{second or 1}.{third}.{fourth or 1}", 44510

    @property
    def cache(self) -> Path:
        """Answers that can be recomputed at any time, such as the accelerator probe's."""
        return self.root / "cache"

    @property
    def scratch(self) -> Path:
        """Unfinished work; emptied at every daemon start."""
        return self.root / "tmp"

    def container(self, container_id: str) -> Path:
        """Folder of one container: its overlay, its log, its machine's run folder."""
        return self.containers / container_id

    def overlay(self, container_id: str) -> Path:
        return self.container(container_id) / "c.qcow2"

    def unfinished_overlay(self, container_id: str) -> Path:
        """The copy of the overlay that files are being copied into."""
        return self.container(container_id) / "c.qcow2.new"

    def last_screen(self, container_id: str) -> Path:
        """A picture of what a Windows guest showed that did not come up."""
        return self.container(container_id) / "screen.png"

    def log(self, container_id: str) -> Path:
        return self.container(container_id) / "log.json"

    def machine(self, container_id: str) -> Path:
        """Run folder of the container's machine: its sockets and console log."""
        return self.container(container_id) / "machine"


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """An address for ``bind`` and ``connect``, good while the context lasts.

    A path that does not fit into one is reached through its folder. Raises OSError.
    """
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)

"""What the file server reads: a pure function from where things lie to the text of its files.

The configuration never changes while the server runs. A share is a user: what user U may reach is
what is mounted at ``rw/U`` or ``ro/U``, so that to share one thing more takes neither a new
configuration nor a word to the server. Formats: smb.conf(5), smbpasswd(5), passwd(5), group(5).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from linwin.model.mount import Share

CONFIGURATION = "smb.conf"
PASSWD = "passwd"
GROUP = "group"
SECRETS = "private/smbpasswd"
READ_WRITE = "rw"
READ_ONLY = "ro"
SOURCES = "sources"
FILE = "file"
"""What a single file is called on the server, whatever its name is on the host."""
LOG = "log"
FOLDERS = ("private", "lock", "state", "cache", "ncalrpc")
"""What the server wants for itself."""

_NOBODY = "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
_NOGROUP = "nogroup:x:65534:\n"

_TEXT = """\
# Written by linwin, for guests alone: no host of this name is to be found, and nobody is a guest.
[global]
    server role = standalone server
    workgroup = GUESTS
    netbios name = linwin
    disable netbios = yes
    multicast dns register = no
    interfaces = {address}/8
    bind interfaces only = yes
    smb ports = {port}
    private dir = {folder}/private
    passdb backend = smbpasswd:{folder}/{secrets}
    lock directory = {folder}/lock
    pid directory = {folder}/lock
    state directory = {folder}/state
    cache directory = {folder}/cache
    ncalrpc dir = {folder}/ncalrpc
    log file = {folder}/{log}
    max log size = 1024
    log level = 0
    enable core files = no
    load printers = no
    disable spoolss = yes
    printcap name = /dev/null
    # Files and nothing else: no calls of procedures, by which one user would learn of the others and
    # be root where it owns files of root's, and none of the shares that the host's own users offer.
    rpc start on demand helpers = no
    usershare max shares = 0
    # Every packet of Windows 10 and later, and of Linux, is signed; older ones are not spoken to.
    server min protocol = SMB3_11
    # A guest that was killed says nothing, and holds its locks until somebody notices.
    socket options = TCP_NODELAY SO_KEEPALIVE TCP_KEEPIDLE=10 TCP_KEEPINTVL=5 TCP_KEEPCNT=3
    server signing = mandatory
    map to guest = never
    restrict anonymous = 2
    guest account = nobody
    # Nothing of a share leads out of it, whatever links are in it.
    unix extensions = no
    wide links = no
    # The host's files stay as its own programs know them: no attributes, streams or lists of
    # Windows' beside them, and the modes that a umask of 022 gives.
    store dos attributes = no
    map archive = no
    map readonly = no
    ea support = no
    nt acl support = no
    create mask = 0644
    directory mask = 0755
    # A program needs no x to be started by Windows.
    acl allow execute always = yes
    # What somebody on the host changes is seen by guests, and the other way round.
    kernel oplocks = no
    oplocks = no
    level2 oplocks = no
    smb2 leases = no
[{read_write}]
    path = {folder}/{read_write}/%u
    read only = no
[{read_only}]
    path = {folder}/{read_only}/%u
    read only = yes
"""


def smb_conf(folder: Path, address: str, port: int) -> str:
    """The text of the configuration of a server whose files are in ``folder``."""
    return _TEXT.format(
        folder=folder,
        address=address,
        port=port,
        secrets=SECRETS,
        log=LOG,
        read_write=READ_WRITE,
        read_only=READ_ONLY,
    )


def passwd(lines: Iterable[str], shares: Iterable[Share] = ()) -> str:
    """The server's users: ``lines`` of those that there are, and one for each of ``shares``.

    Each is, to the host, the user and group that own what is shared.
    """
    added = [f"{share.id}:x:{share.uid}:{share.gid}:{share.id}:/:/usr/sbin/nologin\n" for share in shares]
    kept = without("".join(lines), ["nobody", *(share.id for share in shares)])
    return "".join([kept, *added, _NOBODY])


def group(passwd_text: str) -> str:
    """A name for each group of the server's users."""
    gids = sorted({line.split(":")[3] for line in passwd_text.splitlines()} - {"65534"}, key=int)
    return "".join(f"g{gid}:x:{gid}:\n" for gid in gids) + _NOGROUP


def users(passwd_text: str) -> list[str]:
    """The shares that there are, by the names of their users."""
    return [line.split(":", 1)[0] for line in passwd_text.splitlines(keepends=True) if line != _NOBODY]


def container_of(share: str) -> str:
    """The short id of the container that a share is for."""
    return share.rpartition("-")[0]


def without(text: str, gone: Iterable[str]) -> str:
    """A file of users, one a line, without some of them."""
    doomed = set(gone)
    return "".join(line for line in text.splitlines(keepends=True) if line.split(":", 1)[0] not in doomed)

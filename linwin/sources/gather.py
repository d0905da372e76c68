"""A checked-out repository → the tar of a context."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from linwin.errors import InvalidRequest
from linwin.sources.spool import disk_failures

GIT = ".git"


def gather(root: str, folder: str, output: str, time: int) -> None:
    """Pack ``folder`` of the repository at ``root``, without what is git's own.

    All of it is dated ``time``, in seconds since 1970: a checkout has no times of its own.
    Raises InvalidRequest for what is no folder in it.
    """
    repository = Path(root).resolve()
    context = (repository / folder.lstrip("/")).resolve()
    if not context.is_relative_to(repository) or GIT in context.relative_to(repository).parts:
        raise InvalidRequest(f"the folder {folder} lies outside of the repository")
    if not context.is_dir():
        raise InvalidRequest(f"the repository has no folder {folder}")

    def undated(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime = time
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with (
        disk_failures("the repository was packed"),
        tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        # Not recursive: how deep folders lie in each other is the repository's choice.
        pending = [context]
        while pending:
            for entry in sorted(os.scandir(pending.pop()), key=lambda entry: entry.name):
                if entry.name == GIT:
                    continue
                path = Path(entry.path)
                tar.add(path, path.relative_to(context), recursive=False, filter=undated)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)

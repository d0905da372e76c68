"""What a create request says of mounts and volumes → values of the model's.

docker's words and rules are those of its daemon for Windows, which spells a bind
``SOURCE:TARGET[:MODE]`` with a Windows path for a target. A source is a path of this host, or
the name of a volume. linwin's own are ``uid=NUMBER`` and ``gid=NUMBER`` in a mode, and
``Linwin: {Uid, Gid}`` in a Mount, for which docker has no words.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from linwin.api import shapes
from linwin.api.fields import Fields
from linwin.errors import InvalidRequest, Unsupported
from linwin.model.mount import VOLUME_DRIVER, Mount, MountKind, parse_target

_BIND = re.compile(
    r"(?:(?P<source>[^:]+):)?(?P<target>(?:[\\/]{2}\?[\\/])?[A-Za-z]:[^:]*|[^:]+)(?::(?P<mode>[^:]+))?"
)
_WINDOWS_PATH = re.compile(r"(?:[\\/]{2}\?[\\/])?[A-Za-z]:(?:[\\/]|\Z)")
_PIPE = re.compile(r"[\\/]{2}\.[\\/]pipe[\\/]", re.IGNORECASE)

_MODES = {
    "ro": "access",
    "rw": "access",
    "nocopy": "copy",
    "z": "label",
    "cached": "consistency",
    "consistent": "consistency",
    "delegated": "consistency",
}
"""The words of a mode by what they are about. Labels, SELinux's, and consistency, a Mac's, have no effect."""
_IDENTITY = re.compile(r"(uid|gid)=(\d{1,10})")
_LARGEST_IDENTITY = 2**32 - 2
_PRIVATE = ("", "private", "rprivate")
"""The propagations that may be asked for: a guest mounts nothing that the host could see."""

_FOREIGN = {
    "npipe": ("named pipes", "This host is Linux and has none; publish a port."),
    "cluster": ("cluster volumes", "Use a volume: linwin is in no swarm."),
    "image": ("images as mounts", "Use a volume, or an image that has the files."),
}
"""What docker has types of mounts for, and linwin has not."""
_OPTIONS = {
    "bind": "BindOptions",
    "volume": "VolumeOptions",
    "tmpfs": "TmpfsOptions",
    "image": "ImageOptions",
    "cluster": "ClusterOptions",
}

_LETTER = re.compile(r"[A-Za-z]")
_ON_A_DRIVE = re.compile(r"([A-Za-z]:[^:]*)(?::(.*))?", re.DOTALL)
_TMPFS_SIZE = re.compile(r"size=(\d{1,15})([kmg]?)", re.IGNORECASE)
_TMPFS_OPTION = re.compile(
    r"|ro|rw|defaults|(no)?(suid|dev|exec|mand|atime|diratime|relatime|strictatime)|sync|async|dirsync"
    r"|(mode|uid|gid|nr_inodes|nr_blocks|mpol)=.*"
)
_SHIFT = {"": 0, "k": 10, "m": 20, "g": 30}

_SPELLING = "Use SOURCE:TARGET[:MODE], as in /data:C:\\data:ro."
_HOST_PATH = "This host is Linux: name a file or folder of it, as in /data:C:\\data."
_TARGET = "Name a path of the container, such as C:\\data."


@dataclass(frozen=True, slots=True)
class Mounts:
    """The fields of a ContainerSpec of the same names."""

    mounts: tuple[Mount, ...]
    volumes: tuple[str, ...]
    volumes_from: tuple[str, ...]


def parse(body: Fields) -> Mounts:
    """Read what a body says. Raises InvalidRequest in docker's words, Unsupported naming the thing."""
    host = body.object("HostConfig")
    return Mounts(
        (
            *map(_bind, host.texts("Binds") or ()),
            *map(_mount, host.objects("Mounts")),
            *(_tmpfs(target, options) for target, options in host.mapping("Tmpfs").items()),
        ),
        tuple(dict.fromkeys(map(_volume, body.keys("Volumes")))),
        tuple(map(_volumes_from, host.texts("VolumesFrom") or ())),
    )


def _volume(text: str) -> str:
    try:
        return parse_target(text)
    except ValueError as error:
        raise InvalidRequest(f"invalid volume specification: '{text}': {error}", hint=_TARGET) from error


def _volumes_from(text: str) -> str:
    name, _, mode = text.partition(":")
    if not name:
        raise InvalidRequest(
            "volumes-from specification cannot be an empty string", hint="Use CONTAINER or CONTAINER:ro."
        )
    if mode.lower() not in ("", "ro", "rw"):
        raise InvalidRequest(f"invalid mode: {mode}", hint="Use ro or rw.")
    return f"{name}:{mode.lower()}" if mode else name


# Binds


def _bind(text: str) -> Mount:
    if _PIPE.match(text):
        raise _unsupported("npipe")
    source, target, mode = _sections(text)
    kind: MountKind = "bind" if source.startswith("/") else "volume"
    words = _mode(mode) if mode else {}
    try:
        if kind == "bind" and "copy" in words:
            raise _refused(kind, "field VolumeOptions must not be specified", hint="Leave out nocopy.")
        return Mount(
            kind,
            _target(kind, target),
            _clean(source) if kind == "bind" else source,
            read_only=words.get("access") == "ro",
            mode=mode,
            copy="copy" not in words,
            uid=int(words["uid"]) if "uid" in words else None,
            gid=int(words["gid"]) if "gid" in words else None,
        )
    except InvalidRequest as error:
        raise InvalidRequest(
            f"invalid volume specification: '{text}': {error.message}", hint=error.hint
        ) from error


def _sections(text: str) -> tuple[str, str, str]:
    """Source, target and mode; what begins with a drive is a target and nothing else."""
    on_a_drive = _WINDOWS_PATH.match(text)
    match = None if on_a_drive else _BIND.fullmatch(text)
    if match and (match["source"] or not match["mode"]):
        return match["source"] or "", match["target"], match["mode"] or ""
    if on_a_drive and ":" not in text[on_a_drive.end() :]:
        return "", text, ""
    raise InvalidRequest(
        f"invalid volume specification: '{text}'", hint=_HOST_PATH if on_a_drive else _SPELLING
    )


def _mode(text: str) -> dict[str, str]:
    """The words of a mode by what they are about."""
    found: dict[str, str] = {}
    for word in text.lower().split(","):
        identity = _IDENTITY.fullmatch(word)
        about = identity[1] if identity else _MODES.get(word)
        is_too_large = identity is not None and int(identity[2]) > _LARGEST_IDENTITY
        if about is None or about in found or is_too_large:
            raise InvalidRequest(
                f"invalid mode: {text}", hint="Use some of ro, rw, nocopy, uid=NUMBER and gid=NUMBER."
            )
        found[about] = identity[2] if identity else word
    return found


# Mounts


def _mount(fields: Fields) -> Mount:
    _check_shape(fields)
    kind, target = fields.text("Type"), fields.text("Target")
    if not target:
        raise _refused(kind, "field Target must not be empty", hint=_TARGET)
    if kind in _FOREIGN:
        raise _unsupported(kind)
    if kind not in _READERS:
        raise _refused(kind, "mount type unknown", hint="Use bind, volume or tmpfs.")
    sent = fields.raw()
    for other, name in _OPTIONS.items():
        if other != kind and name in sent:
            raise _refused(kind, f"field {name} must not be specified")
    return _READERS[kind](fields, _target(kind, target))


def _check_shape(fields: Fields) -> None:
    shapes.check(fields, shapes.MOUNT)
    for name, shape in shapes.MOUNT_OPTIONS.items():
        shapes.check(fields.object(name), shape)
    shapes.check(fields.object("VolumeOptions").object("DriverConfig"), shapes.VOLUME_DRIVER)


def _of_host(fields: Fields, target: str) -> Mount:
    source = fields.text("Source")
    if not source:
        raise _refused("bind", "field Source must not be empty", hint="Name a file or folder of the host.")
    propagation = fields.object("BindOptions").text("Propagation")
    if propagation not in _PRIVATE:
        raise _refused("bind", f"invalid propagation mode: {propagation}", hint="Leave it out.")
    if not source.startswith("/"):
        raise _refused("bind", f"invalid mount path: '{source}' mount path must be absolute", hint=_HOST_PATH)
    mount = Mount("bind", target, _clean(source), read_only=fields.flag("ReadOnly"))
    return _with_identity(mount, fields)


def _of_volume(fields: Fields, target: str) -> Mount:
    options = fields.object("VolumeOptions")
    if options.given("Subpath"):
        raise Unsupported(
            "linwin does not support parts of volumes (Subpath)", hint="Mount the whole volume."
        )
    driver = options.object("DriverConfig")
    if (name := driver.text("Name")) not in ("", VOLUME_DRIVER):
        raise Unsupported(
            f"linwin does not support the volume driver {name} (DriverConfig)", hint=f"Use {VOLUME_DRIVER}."
        )
    if driver.given("Options"):
        raise Unsupported(
            "linwin does not support options of a volume's driver (DriverConfig)", hint="Leave them out."
        )
    source, read_only = fields.text("Source"), fields.flag("ReadOnly")
    if read_only and not source:
        raise _refused("volume", "must not set ReadOnly mode when using anonymous volumes")
    copy, labels = not options.flag("NoCopy"), options.mapping("Labels")
    mount = Mount("volume", target, source, read_only=read_only, copy=copy, labels=labels)
    return _with_identity(mount, fields)


def _of_memory(fields: Fields, target: str) -> Mount:
    for name in ("Source", "Linwin"):
        if fields.given(name):
            raise _refused("tmpfs", f"field {name} must not be specified")
    options = fields.object("TmpfsOptions")
    if options.given("Options"):
        raise Unsupported("linwin does not support options of a tmpfs (Options)", hint="Leave them out.")
    size = options.integer("SizeBytes") or 0
    if size < 0:
        raise _refused("tmpfs", "SizeBytes must not be negative")
    return Mount("tmpfs", target, read_only=fields.flag("ReadOnly"), size=size)


_READERS: Mapping[str, Callable[[Fields, str], Mount]] = {
    "bind": _of_host,
    "volume": _of_volume,
    "tmpfs": _of_memory,
}


def _with_identity(mount: Mount, fields: Fields) -> Mount:
    own = fields.object("Linwin")
    uid, gid = own.integer("Uid"), own.integer("Gid")
    for name, number in (("Uid", uid), ("Gid", gid)):
        if number is not None and not 0 <= number <= _LARGEST_IDENTITY:
            raise _refused(mount.kind, f"invalid {name}: {number}", hint="Use a number of this host's.")
    return replace(mount, uid=uid, gid=gid)


# Tmpfs


def _tmpfs(target: str, options: str) -> Mount:
    """One of ``Tmpfs``. docker's client splits at the first colon, and so behind the letter of a drive."""
    if _LETTER.fullmatch(target) and (match := _ON_A_DRIVE.fullmatch(f"{target}:{options}")):
        target, options = match[1], match[2] or ""
    try:
        target = parse_target(target)
    except ValueError as error:
        raise InvalidRequest(str(error), hint=_TARGET) from error
    size, words = 0, options.split(",")
    for word in words:
        if match := _TMPFS_SIZE.fullmatch(word):
            size = int(match[1]) << _SHIFT[match[2].lower()]
        elif not _TMPFS_OPTION.fullmatch(word):
            parts = " ".join(map(json.dumps, word.split("=", 1)))
            raise InvalidRequest(f"invalid tmpfs option [{parts}]", hint="Use size=64m, ro or rw.")
    return Mount("tmpfs", target, read_only="ro" in words, mode=options, size=size)


# What they share


def _target(kind: str, text: str) -> str:
    try:
        return parse_target(text)
    except ValueError as error:
        raise _refused(kind, str(error), hint=_TARGET) from error


def _clean(source: str) -> str:
    """A path of the host without ``.``, ``..`` and doubled slashes, as docker writes it."""
    return posixpath.normpath("/" + source.lstrip("/"))


def _refused(kind: str, sentence: str, *, hint: str | None = None) -> InvalidRequest:
    return InvalidRequest(f'invalid mount config for type "{kind}": {sentence}', hint=hint)


def _unsupported(kind: str) -> Unsupported:
    what, hint = _FOREIGN[kind]
    return Unsupported(f"linwin does not support {what} ({kind})", hint=hint)

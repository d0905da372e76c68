"""The daemon's settings: ``/etc/linwin/linwin.toml``, and the environment, which wins.

TOML; every setting may be missing, and so may the file. What is not known is
refused, so that a misspelt setting is not silently without effect. ``TABLES`` is
the list of all settings; docs/configuration.md describes them for people.
Options of ``linwin daemon run`` and ``start`` arrive as environment variables.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from linwin.errors import InvalidRequest, Unavailable
from linwin.model import log_config
from linwin.model.address import TcpAddress
from linwin.model.log_config import STANDARD, LogConfig
from linwin.model.pool import PoolPlan

DEFAULT_PATH = Path("/etc/linwin/linwin.toml")
LARGEST_FILE = 1 << 20
MOST_POOLED = 64
MOST_MEMORY = 1 << 20
MOST_CPUS = 64


@dataclass(frozen=True, slots=True)
class DaemonLog:
    """What the daemon says of itself, and in which form."""

    level: str = "info"
    format: str = "text"


@dataclass(frozen=True, slots=True)
class MetricsPlan:
    """Where the metrics are served besides the API, ``HOST:PORT``; empty is nowhere."""

    listen: str = ""


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """What runs machines, and, where that is libvirt, at which address of libvirt's."""

    driver: str = "qemu"
    uri: str = "qemu:///system"


@dataclass(frozen=True, slots=True)
class TlsPlan:
    """Whether TCP clients must show a certificate, and the files in PEM; an empty name is the usual file."""

    verify: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """All settings, each field a table of the file or a setting before the first table.

    ``hosts`` are the addresses that the API is served on: at most one of ``unix://``,
    and one of ``tcp://``.
    """

    hosts: tuple[str, ...] = ()
    pool: PoolPlan = field(default_factory=PoolPlan)
    logs: LogConfig = STANDARD
    log: DaemonLog = field(default_factory=DaemonLog)
    metrics: MetricsPlan = field(default_factory=MetricsPlan)
    tls: TlsPlan = field(default_factory=TlsPlan)
    machine: MachinePlan = field(default_factory=MachinePlan)

    @property
    def socket(self) -> Path | None:
        """The unix socket that the file names."""
        paths = (host.removeprefix("unix://") for host in self.hosts if host.startswith("unix://"))
        return next((Path(path) for path in paths), None)

    @property
    def tcp(self) -> TcpAddress | None:
        """Where TCP clients are served. Raises InvalidRequest unless they must show a certificate."""
        text = next((host for host in self.hosts if not host.startswith("unix://")), None)
        if text is None:
            return None
        if not self.tls.verify:
            raise InvalidRequest(
                f"linwin does not listen on {text} without TLS: whoever reaches it would be root here",
                hint="Give --tlsverify, --tlscacert, --tlscert and --tlskey, or the same in [tls].",
            )
        try:
            return TcpAddress.parse(text)
        except ValueError as error:
            raise InvalidRequest(str(error), hint="Use tcp://HOST:PORT, as tcp://0.0.0.0:2376.") from error

    @property
    def metrics_address(self) -> TcpAddress | None:
        """Where the metrics are served besides the API."""
        return TcpAddress.parse(self.metrics.listen) if self.metrics.listen else None


# What a setting may hold


@dataclass(frozen=True, slots=True)
class Kind:
    """Tells values of one kind from others, and people what would be one."""

    fits: Callable[[Any], bool]
    advice: str
    keep: Callable[[Any], Any] = lambda value: value
    """Makes of the value what the configuration holds."""


def _count(most: int) -> Kind:
    """A whole number; TOML's booleans are none."""
    return Kind(lambda v: type(v) is int and 0 <= v <= most, f"Give a whole number from 0 to {most}.")


def _text(advice: str, fits: Callable[[str], bool] = lambda _: True) -> Kind:
    return Kind(lambda v: isinstance(v, str) and fits(v), advice)


def _one_of(*words: str) -> Kind:
    return _text(f"Give one of {', '.join(words)}.", lambda v: v in words)


def _file(name: str) -> Kind:
    return _text(
        f'Give the absolute name of a file, as in "/etc/linwin/{name}".', lambda v: v.startswith("/")
    )


def _is_address(value: str) -> bool:
    try:
        TcpAddress.parse(value)
    except ValueError:
        return False
    return True


def _is_local_libvirt(value: str) -> bool:
    """Whether it is the address of a libvirtd on this host, whose files are the daemon's."""
    scheme, _, path = value.partition(":///")
    return scheme in ("qemu", "qemu+unix") and path.partition("?")[0] in ("system", "session")


def _is_pairs(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(option, str) for option in value.values())


def _is_hosts(value: Any) -> bool:
    if not isinstance(value, list) or not all(isinstance(host, str) for host in value):
        return False
    unix = [host for host in value if host.startswith("unix:///")]
    tcp = [host for host in value if host.startswith("tcp://") and _is_address(host)]
    return len(unix) <= 1 and len(tcp) <= 1 and len(unix) + len(tcp) == len(value)


SINGLE: dict[str, Kind] = {
    "hosts": Kind(
        _is_hosts,
        'Give one "unix:///PATH" and one "tcp://HOST:PORT" at most, as in ["tcp://0.0.0.0:2376"].',
        keep=tuple,
    )
}
"""Settings that stand before the first table."""

TABLES: dict[str, tuple[Callable[..., Any], dict[str, Kind]]] = {
    "pool": (
        PoolPlan,
        {
            "size": _count(MOST_POOLED),
            "template": _text('Give a template\'s name, as in "wine".'),
            "memory": _count(MOST_MEMORY),
            "cpus": _count(MOST_CPUS),
        },
    ),
    "logs": (
        LogConfig,
        {
            "driver": _text('Give a log driver\'s name, as in "json-file".'),
            "options": Kind(_is_pairs, 'Give names and texts, as in { max-size = "10m" }.'),
        },
    ),
    "log": (
        DaemonLog,
        {"level": _one_of("debug", "info", "warning", "error"), "format": _one_of("text", "json")},
    ),
    "machine": (
        MachinePlan,
        {
            "driver": _one_of("qemu", "libvirt"),
            "uri": _text('Give "qemu:///system" or "qemu:///session".', _is_local_libvirt),
        },
    ),
    "metrics": (MetricsPlan, {"listen": _text('Give HOST:PORT, as in "127.0.0.1:9323".', _is_address)}),
    "tls": (
        TlsPlan,
        {
            "verify": Kind(lambda v: isinstance(v, bool), "Give true or false."),
            "ca": _file("ca.pem"),
            "certificate": _file("cert.pem"),
            "key": _file("key.pem"),
        },
    ),
}
"""Each table of the file: what is made of it, and what its settings may hold."""

VARIABLES = {
    "LINWIN_LOG_LEVEL": ("log", "level"),
    "LINWIN_LOG_FORMAT": ("log", "format"),
    "LINWIN_METRICS_LISTEN": ("metrics", "listen"),
}
"""Environment variables that stand for one setting of a table each."""

ADDRESSES = (
    (
        "LINWIN_HOST",
        "unix",
        "That is a client's: a daemon listens on unix:///PATH, and on LINWIN_LISTEN over TCP.",
    ),
    ("LINWIN_LISTEN", "tcp", "Use tcp://HOST:PORT, as tcp://0.0.0.0:2376."),
)
"""Environment variables that stand for ``hosts``, the scheme of each, and what to do about others."""


# The file


def read(environment: Mapping[str, str] = os.environ) -> Configuration:
    """The settings of the file and the environment.

    The file is the one that ``LINWIN_CONFIG`` names, which must exist, or the usual one,
    which need not. Raises InvalidRequest for what either says, Unavailable for a file that
    cannot be read.
    """
    named = environment.get("LINWIN_CONFIG")
    path = Path(named) if named else DEFAULT_PATH
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        if named:
            raise Unavailable(f"cannot read {path}: it does not exist") from error
        return override(Configuration(), environment)
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from error
    return override(parse(text, str(path)), environment)


def parse(text: bytes, where: str) -> Configuration:
    """The settings that a file holds. Raises InvalidRequest, naming the file ``where``."""
    if len(text) > LARGEST_FILE:
        raise InvalidRequest(f"{where} is larger than {LARGEST_FILE >> 20} MiB")
    try:
        held = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, and of numbers too long for Python
        raise InvalidRequest(f"{where} is not TOML: {error}") from error
    _refuse_unknown(held, (*SINGLE, *TABLES), where, "")
    single = _checked({name: held[name] for name in SINGLE if name in held}, SINGLE, where, "")
    tables = {
        name: make(**_checked(_table(held, name, where), kinds, where, f"{name}."))
        for name, (make, kinds) in TABLES.items()
        if name in held
    }
    configuration = Configuration(**single, **tables)
    return replace(configuration, logs=_resolve(configuration.logs, STANDARD, f"{where}: logs: "))


def _table(held: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    table = held[name]
    if not isinstance(table, dict):
        raise InvalidRequest(f"{where}: {name} is no table", hint=f"Write [{name}] on a line of its own.")
    return table


def _checked(table: Mapping[str, Any], kinds: Mapping[str, Kind], where: str, prefix: str) -> dict[str, Any]:
    _refuse_unknown(table, kinds, where, prefix)
    for name, value in table.items():
        if not kinds[name].fits(value):
            raise InvalidRequest(f"{where}: {prefix}{name} is {value!r}", hint=kinds[name].advice)
    return {name: kinds[name].keep(value) for name, value in table.items()}


def _refuse_unknown(table: Mapping[str, Any], names: Iterable[str], where: str, prefix: str) -> None:
    for name in table:
        if name not in names:
            raise InvalidRequest(
                f"{where}: there is no setting {prefix}{name}",
                hint=f"Known are: {', '.join(prefix + known for known in names)}",
            )


# The environment


def override(below: Configuration, environment: Mapping[str, str]) -> Configuration:
    """``below``, with what the environment says in place of it. Raises InvalidRequest.

    Defaults of logs' options are added to one by one; every other variable replaces its setting.
    """
    variables = {name: value for name, value in environment.items() if value}
    hosts, tls = below.hosts, below.tls
    for variable, scheme, use in ADDRESSES:
        if not _is_of(variables.get(variable, ""), scheme):
            raise InvalidRequest(f"{variable} is {variables[variable]!r}", hint=use)
    if listen := variables.get("LINWIN_LISTEN"):
        hosts = (*(host for host in hosts if host.startswith("unix://")), listen)
    if "LINWIN_TLS_VERIFY" in variables:
        tls = replace(tls, verify=True)
    changed: dict[str, Any] = {}
    for variable, (table, name) in VARIABLES.items():
        if (value := variables.get(variable)) is None:
            continue
        kind = TABLES[table][1][name]
        if not kind.fits(value):
            raise InvalidRequest(f"{variable} is {value!r}", hint=kind.advice)
        changed[table] = replace(changed.get(table, getattr(below, table)), **{name: value})
    logs = _resolve(_asked_logs(variables), below.logs, "")
    return replace(below, hosts=hosts, tls=tls, logs=logs, **changed)


def _is_of(address: str, scheme: str) -> bool:
    """Whether an address has this scheme, or none at all."""
    return "://" not in address or address.startswith(f"{scheme}://")


def _asked_logs(variables: Mapping[str, str]) -> LogConfig:
    """``LINWIN_LOG_DRIVER``, and ``LINWIN_LOG_OPTS`` as a=b,c=d."""
    words = [word for word in variables.get("LINWIN_LOG_OPTS", "").split(",") if word]
    if wrong := [word for word in words if "=" not in word]:
        raise InvalidRequest(
            f"LINWIN_LOG_OPTS holds {wrong[0]!r}", hint="Set it to NAME=VALUE,NAME=VALUE, as in max-size=10m."
        )
    pairs = dict(word.split("=", 1) for word in words)
    return LogConfig(variables.get("LINWIN_LOG_DRIVER", ""), pairs)


def _resolve(asked: LogConfig, default: LogConfig, prefix: str) -> LogConfig:
    try:
        return log_config.resolve(asked, default)
    except log_config.BadOption as bad:
        raise InvalidRequest(prefix + bad.message, hint=bad.hint) from bad

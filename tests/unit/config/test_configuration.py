"""The configuration file: what it may say, and what is said of the rest."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from linwin import config
from linwin.config import Configuration, DaemonLog, MachinePlan, MetricsPlan, TlsPlan, override, parse
from linwin.errors import InvalidRequest, LinwinError, Unavailable
from linwin.model.address import TcpAddress
from linwin.model.log_config import LogConfig
from linwin.model.pool import PoolPlan
from linwin.tls import certificates

COUNT = "Give a whole number from 0 to 64."
HOSTS = 'Give one "unix:///PATH" and one "tcp://HOST:PORT" at most, as in ["tcp://0.0.0.0:2376"].'

LIBVIRT = 'Give "qemu:///system" or "qemu:///session".'

REFUSED = {
    "size = 1": ("x: there is no setting size", "Known are: hosts, pool, logs, log, machine, metrics, tls"),
    "[pool]\nsise = 1": (
        "x: there is no setting pool.sise",
        "Known are: pool.size, pool.template, pool.memory, pool.cpus",
    ),
    "pool = 3": ("x: pool is no table", "Write [pool] on a line of its own."),
    '[pool]\nsize = "two"': ("x: pool.size is 'two'", COUNT),
    "[pool]\nsize = true": ("x: pool.size is True", COUNT),
    "[pool]\nsize = -1": ("x: pool.size is -1", COUNT),
    "[pool]\nsize = 65": ("x: pool.size is 65", COUNT),
    "[pool]\nmemory = 0.5": ("x: pool.memory is 0.5", "Give a whole number from 0 to 1048576."),
    "[pool]\ncpus = 65": ("x: pool.cpus is 65", COUNT),
    "[pool]\ntemplate = 1": ("x: pool.template is 1", 'Give a template\'s name, as in "wine".'),
    'hosts = "tcp://x:1"': ("x: hosts is 'tcp://x:1'", HOSTS),
    "hosts = [1]": ("x: hosts is [1]", HOSTS),
    'hosts = ["tcp://x:1", "tcp://y:1"]': ("x: hosts is ['tcp://x:1', 'tcp://y:1']", HOSTS),
    'hosts = ["tcp://x:99999"]': ("x: hosts is ['tcp://x:99999']", HOSTS),
    'hosts = ["unix://s"]': ("x: hosts is ['unix://s']", HOSTS),
    "[logs]\ndriver = 1": ("x: logs.driver is 1", 'Give a log driver\'s name, as in "json-file".'),
    '[logs]\ndriver = "syslog"': (
        "x: logs: logger: no log driver named 'syslog' is registered",
        "Use json-file, local or none.",
    ),
    "[logs.options]\nmax-file = 2": (
        "x: logs.options is {'max-file': 2}",
        'Give names and texts, as in { max-size = "10m" }.',
    ),
    '[log]\nlevel = "loud"': ("x: log.level is 'loud'", "Give one of debug, info, warning, error."),
    '[log]\nformat = "xml"': ("x: log.format is 'xml'", "Give one of text, json."),
    '[machine]\ndriver = "xen"': ("x: machine.driver is 'xen'", "Give one of qemu, libvirt."),
    '[machine]\nuri = "qemu+ssh://host/system"': ("x: machine.uri is 'qemu+ssh://host/system'", LIBVIRT),
    '[machine]\nuri = "qemu:///embed?root=/x"': ("x: machine.uri is 'qemu:///embed?root=/x'", LIBVIRT),
    "[machine]\nuri = 1": ("x: machine.uri is 1", LIBVIRT),
    '[metrics]\nlisten = ":port"': (
        "x: metrics.listen is ':port'",
        'Give HOST:PORT, as in "127.0.0.1:9323".',
    ),
    "[tls]\nverify = 1": ("x: tls.verify is 1", "Give true or false."),
    '[tls]\nca = "ca.pem"': (
        "x: tls.ca is 'ca.pem'",
        'Give the absolute name of a file, as in "/etc/linwin/ca.pem".',
    ),
}

ALL = b"""
hosts = ["unix:///run/x.sock", "tcp://[::1]:2376"]
[pool]
size = 3
template = "wine"
memory = 700
cpus = 2
[logs]
driver = "local"
options = { max-size = "1m", max-file = "2" }
[log]
level = "debug"
format = "json"
[metrics]
listen = "127.0.0.1:9323"
[tls]
verify = true
ca = "/a/ca.pem"
certificate = "/a/cert.pem"
key = "/a/key.pem"
"""


def test_all_settings() -> None:
    read = parse(ALL, "x")
    assert read == Configuration(
        hosts=("unix:///run/x.sock", "tcp://[::1]:2376"),
        pool=PoolPlan(3, "wine", 700, 2),
        logs=LogConfig("local", {"max-size": "1m", "max-file": "2"}),
        log=DaemonLog("debug", "json"),
        metrics=MetricsPlan("127.0.0.1:9323"),
        tls=TlsPlan(True, "/a/ca.pem", "/a/cert.pem", "/a/key.pem"),
    )
    assert read.socket == Path("/run/x.sock")
    assert read.tcp == TcpAddress("::1", 2376)
    assert read.metrics_address == TcpAddress("127.0.0.1", 9323)


def test_none_of_them() -> None:
    assert parse(b"", "x") == Configuration() == parse(b"[pool]\n[logs]\n[log]\n[metrics]\n[tls]", "x")
    assert (Configuration().socket, Configuration().tcp, Configuration().metrics_address) == (None,) * 3
    assert Configuration().logs == LogConfig("json-file")


def test_every_setting_is_in_the_document() -> None:
    text = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    parse(example.encode(), "the example")
    shown = tomllib.loads(example)
    assert shown.keys() == {*config.SINGLE, *config.TABLES}
    for name, (_, kinds) in config.TABLES.items():
        assert shown[name].keys() == kinds.keys()
    assert [name for name in config.VARIABLES if name not in text] == []


def test_tcp_without_tls_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        _ = parse(b'hosts = ["tcp://0.0.0.0:2376"]', "x").tcp
    assert str(refused.value) == (
        "linwin does not listen on tcp://0.0.0.0:2376 without TLS: whoever reaches it would be root here\n"
        "Give --tlsverify, --tlscacert, --tlscert and --tlskey, or the same in [tls]."
    )


def test_the_environment_wins() -> None:
    below = parse(ALL, "x")
    assert override(below, {"LINWIN_LISTEN": "", "PATH": "/bin"}) == below
    above = override(
        below,
        {
            "LINWIN_LISTEN": "tcp://127.0.0.1:1",
            "LINWIN_LOG_LEVEL": "error",
            "LINWIN_LOG_FORMAT": "text",
            "LINWIN_METRICS_LISTEN": "[::]:2",
            "LINWIN_LOG_OPTS": "max-file=7",
        },
    )
    assert above.hosts == ("unix:///run/x.sock", "tcp://127.0.0.1:1")
    assert above.log == DaemonLog("error", "text")
    assert above.metrics_address == TcpAddress("::", 2)
    assert above.logs == LogConfig("local", {"max-size": "1m", "max-file": "7"})
    assert above.pool == below.pool
    other = override(below, {"LINWIN_LOG_DRIVER": "json-file"})
    assert other.logs == LogConfig("json-file")  # the file's options are for the file's driver
    assert override(Configuration(), {"LINWIN_TLS_VERIFY": "1"}).tls.verify


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LINWIN_LOG_LEVEL", "loud", "LINWIN_LOG_LEVEL is 'loud'\nGive one of debug, info, warning, error."),
        (
            "LINWIN_METRICS_LISTEN",
            "here",
            "LINWIN_METRICS_LISTEN is 'here'\nGive HOST:PORT, as in \"127.0.0.1:9323\".",
        ),
        (
            "LINWIN_LOG_OPTS",
            "max-size",
            "LINWIN_LOG_OPTS holds 'max-size'\nSet it to NAME=VALUE,NAME=VALUE, as in max-size=10m.",
        ),
    ],
)
def test_a_variable_that_is_refused(variable: str, value: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        override(Configuration(), {variable: value})
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LINWIN_HOST", "ssh://builder@ci.example"),
        ("LINWIN_HOST", "tcp://ci.example:2376"),
        ("LINWIN_LISTEN", "unix:///run/linwin.sock"),
    ],
)
def test_an_address_of_the_wrong_kind_in_the_environment(variable: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{variable} is '{value}'"):
        override(Configuration(), {variable: value})


def test_an_invalid_address_in_the_environment() -> None:
    with pytest.raises(InvalidRequest) as refused:
        _ = override(Configuration(), {"LINWIN_LISTEN": "tcp://x", "LINWIN_TLS_VERIFY": "1"}).tcp
    assert str(refused.value) == "invalid address 'tcp://x'\nUse tcp://HOST:PORT, as tcp://0.0.0.0:2376."


def test_which_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CERT_PATH", "TLS_CACERT", "TLS_CERT", "TLS_KEY"):
        monkeypatch.delenv(f"LINWIN_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert certificates(("/f/ca", "", "")) == (
        "/f/ca",
        f"{tmp_path}/.docker/cert.pem",
        f"{tmp_path}/.docker/key.pem",
    )
    monkeypatch.setenv("LINWIN_CERT_PATH", "/folder")
    monkeypatch.setenv("LINWIN_TLS_KEY", "k")
    assert certificates(("/f/ca", "/f/cert", "/f/key")) == ("/folder/ca.pem", "/folder/cert.pem", "k")


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text: str) -> None:
    message, hint = REFUSED[text]
    with pytest.raises(InvalidRequest) as raised:
        parse(text.encode(), "x")
    assert (raised.value.message, raised.value.hint) == (message, hint)


@pytest.mark.parametrize("text", [b"[pool", b"\xff", b"a = " + b"[" * 100_000, b"a = " + b"9" * 5000])
def test_what_is_not_toml(text: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^x is not TOML: "):
        parse(text, "x")


def test_a_huge_file_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^x is larger than 1 MiB$"):
        parse(b"#" * ((1 << 20) + 1), "x")


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, named = tmp_path / "usual.toml", tmp_path / "named.toml"
    monkeypatch.setattr(config, "DEFAULT_PATH", usual)
    assert config.read({}) == Configuration()
    usual.write_text("[pool]\nsize = 1\n")
    assert config.read({}).pool.size == 1
    with pytest.raises(Unavailable) as missing:
        config.read({"LINWIN_CONFIG": str(named)})
    assert str(missing.value) == f"cannot read {named}: it does not exist"
    named.mkdir()
    with pytest.raises(LinwinError, match=r"cannot read .*: Is a directory"):
        config.read({"LINWIN_CONFIG": str(named)})
    named.rmdir()
    named.write_text("[pool]\nsize = 2\n")
    assert config.read({"LINWIN_CONFIG": str(named)}).pool.size == 2


@pytest.mark.parametrize("uri", ["qemu:///session", "qemu+unix:///system?socket=/run/mine/libvirt-sock"])
def test_machines_are_qemus_own_or_a_local_libvirts(uri: str) -> None:
    assert Configuration().machine == MachinePlan("qemu", "qemu:///system")
    text = f'[machine]\ndriver = "libvirt"\nuri = "{uri}"'
    assert parse(text.encode(), "x").machine == MachinePlan("libvirt", uri)

"""A package's life in a fresh Debian: installed, used, removed, purged."""

from __future__ import annotations

import filecmp
import subprocess
import tomllib
from pathlib import Path

import pytest

from linwin import config
from tests.package.conftest import REPOSITORY, System

pytestmark = [pytest.mark.root, pytest.mark.slow]

UNITS = REPOSITORY / "packaging" / "systemd"
SETTINGS = REPOSITORY / "packaging" / "linwin.toml"
HOME = "usr/lib/linwin"


def test_the_life_of_the_package(system: System, package: Path) -> None:
    installed(system)
    used(system)
    removed(system)
    purged(system, package)


def installed(system: System) -> None:
    (site,) = system.root.glob(f"{HOME}/lib/python3.*/site-packages/linwin")
    compare(REPOSITORY / "vm-templates", site / "_recipes")
    compare(REPOSITORY / "linwin" / "_agent", site / "_agent")
    assert system.sh("getent group linwin").startswith("linwin:x:")
    assert system.sh("dpkg --verify linwin") == ""
    share = system.root / "usr/share"
    assert len(list((share / "man/man1").glob("linwin-*.1.gz"))) > 50
    for name in (
        "bash-completion/completions/linwin",
        "zsh/vendor-completions/_linwin",
        "fish/vendor_completions.d/linwin.fish",
    ):
        assert "_LINWIN_COMPLETE" in (share / name).read_text()
    wanted = system.root / "etc/systemd/system/sockets.target.wants/linwin.socket"
    assert wanted.is_symlink(), "the socket is there after a boot"


def compare(ours: Path, theirs: Path) -> None:
    names = [str(path.relative_to(ours)) for path in ours.rglob("[!.]*") if path.is_file()]
    assert names
    assert filecmp.cmpfiles(ours, theirs, names, shallow=False) == (names, [], [])


def used(system: System) -> None:
    said = system.sh(
        """
        mkfifo /tmp/ready
        LINWIN_READY_FD=3 linwin daemon run 3>/tmp/ready &
        read -r ready </tmp/ready
        linwin version
        linwin ps --all
        linwin template ls
        linwin template build nothing || echo "code $?"
        linwin daemon stop
        wait $!
        rm /tmp/ready
        """
    )
    assert "Server: linwin" in said
    assert "CONTAINER ID   IMAGE" in said
    assert "No recipe for a template named nothing" in said
    assert "recipes at hand: wine" in said
    assert not (system.root / "run/linwin/linwin.sock").exists()
    assert (system.root / "var/lib/linwin/state.db").exists()
    assert system.sh("dpkg --verify linwin") == "", "use must not write into the package's own folders"


def removed(system: System) -> None:
    # A daemon that runs is stopped first; it, its name server, its bridge and its two tables are gone.
    said = system.sh(
        """
        mkdir -p /dev/net
        mknod /dev/net/tun c 10 200
        left() {
            grep -ls 'linwin[.]daemon\\|dnsmas[q]' /proc/[0-9]*/cmdline || true
            ls /proc/sys/net/ipv4/conf | grep '^lwb' || true
            nft list tables
        }
        linwin network create web >/dev/null
        test "$(left | wc -l)" -ge 5
        apt-get -qy remove linwin
        left=$(left)
        echo "left: $left"
        test -z "$left"
        """
    )
    assert "linwin: containers and images stay in /var/lib/linwin; apt purge linwin deletes them." in said
    assert not (system.root / HOME).exists()
    assert not (system.root / "usr/bin/linwin").is_symlink()
    assert (system.root / "var/lib/linwin/state.db").exists()
    assert (system.root / "etc/linwin/linwin.toml").exists()


def purged(system: System, package: Path) -> None:
    said = system.sh("mkdir -p /var/cache/linwin/templates; apt-get -qy purge linwin")
    assert "linwin: deleted what was in /var/lib/linwin; users' own roots" in said
    # The file itself was mounted there while it was installed.
    assert system.named() - {package} == set()
    assert system.run("getent", "group", "linwin").returncode == 2


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        # This host has no linwin of the package.
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/linwin", "/bin/true"))
    units = [tmp_path / unit.name for unit in UNITS.iterdir()]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_settings_that_are_installed_are_the_defaults() -> None:
    assert config.parse(SETTINGS.read_bytes(), "linwin.toml") == config.Configuration()


def test_the_settings_that_are_installed_can_be_uncommented() -> None:
    lines = SETTINGS.read_text().splitlines()
    set_ones = "\n".join(line[1:] if line.startswith("#") and "=" in line[:20] else line for line in lines)
    assert tomllib.loads(set_ones)["pool"].keys() == {"size", "template", "memory", "cpus"}
    assert config.parse(set_ones.encode(), "linwin.toml") == config.Configuration()

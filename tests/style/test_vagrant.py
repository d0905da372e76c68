"""The Vagrantfile, as Vagrant and each provider's own plugin read it. No box is booted here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PROVISION = "scripts/vagrant-provision"
PROVIDERS = {
    "libvirt": {"LIBVIRT_DEFAULT_URI": "test:///default"},  # libvirt's own mock driver
    "virtualbox": {},
}
"""What each provider takes for a host on which it could be used."""

Validate = Callable[[str, Path], subprocess.CompletedProcess[str]]


@pytest.fixture
def validate(tmp_path: Path) -> Validate:
    """``vagrant validate`` with a provider, in a folder; what Vagrant keeps goes away."""
    if shutil.which("vagrant") is None:
        pytest.skip("vagrant is not installed: scripts/setup --test")
    # VirtualBox is in no Debian; its plugin asks for the version only.
    stand_in = tmp_path / "bin" / "VBoxManage"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\necho 7.0.6r155176\n")
    stand_in.chmod(0o755)

    def run(provider: str, folder: Path) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{stand_in.parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "VAGRANT_HOME": str(tmp_path / "home"),
            "VAGRANT_DOTFILE_PATH": str(tmp_path / "state"),
            "VAGRANT_DEFAULT_PROVIDER": provider,
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            **PROVIDERS[provider],
        }
        return subprocess.run(
            ["vagrant", "validate"], cwd=folder, env=environment, capture_output=True, text=True
        )

    return run


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_box_is_one_that_vagrant_accepts(validate: Validate, provider: str) -> None:
    done = validate(provider, REPOSITORY)
    assert (done.returncode, done.stdout) == (0, "Vagrantfile validated successfully.\n"), done.stderr


@pytest.mark.parametrize(
    ("provider", "right", "wrong", "told"),
    [
        ("libvirt", "libvirt.nested", "libvirt.nestled", "shouldn't exist: nestled"),
        ("virtualbox", "virtualbox.cpus", "virtualbox.cpu", "shouldn't exist: cpu"),
        ("libvirt", PROVISION, "scripts/none", "does not exist on the host system"),
    ],
)
def test_a_mistake_would_be_found(
    validate: Validate, tmp_path: Path, provider: str, right: str, wrong: str, told: str
) -> None:
    folder = tmp_path / "box"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(REPOSITORY / PROVISION, folder / PROVISION)
    text = (REPOSITORY / "Vagrantfile").read_text()
    assert right in text
    (folder / "Vagrantfile").write_text(text.replace(right, wrong))
    done = validate(provider, folder)
    assert done.returncode == 1
    assert told in done.stdout + done.stderr


def test_the_box_is_given_the_hosts_virtualisation() -> None:
    text = (REPOSITORY / "Vagrantfile").read_text()
    assert "libvirt.nested = true" in text
    assert 'libvirt.cpu_mode = "host-passthrough"' in text
    assert '["modifyvm", :id, "--nested-hw-virt", "on"]' in text


def test_the_checkout_is_copied_without_what_was_built_in_it(tmp_path: Path) -> None:
    """The filter of the provision script, on a tree with everything that a checkout may hold."""
    wanted = ["linwin/cli/main.py", "scripts/setup", "vm-templates/wine/template.yaml", "agent/main.go"]
    left = [".git/HEAD", ".venv/bin/linwin", "linwin/_agent/linwin-agent", "linwin/disks/_ntfs.abi3.so"]
    left += ["build/lib/x.py", "dist/linwin.whl", "linwin/cli/__pycache__/main.pyc", ".vagrant/machines/x"]
    for name in wanted + left:
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    shutil.copy(REPOSITORY / ".gitignore", tmp_path / "checkout")
    (line,) = [line for line in (REPOSITORY / PROVISION).read_text().splitlines() if line.startswith("rsync")]
    script = f'checkout={tmp_path}/checkout home={tmp_path}/home\nmkdir "$home"\n{line}'
    subprocess.run(["bash", "-euc", script.replace("--chown=root:root ", "")], check=True)
    copied = {str(path.relative_to(tmp_path / "home")) for path in (tmp_path / "home").rglob("*")}
    assert set(wanted) <= copied
    assert copied & set(left) == set()


def test_the_provision_script_is_sound() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed: scripts/setup --test")
    done = subprocess.run(["shellcheck", REPOSITORY / PROVISION], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert os.access(REPOSITORY / PROVISION, os.X_OK)

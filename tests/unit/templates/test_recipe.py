"""Reading recipes strictly."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, NotFound
from linwin.model.template import Unserved
from linwin.templates import recipe

_RECIPES = Path(__file__).parents[3] / "vm-templates"

_TEMPLATE = """\
kind: wine
summary: a test
serves_any_build: true
minimum_memory: 384
build: {suite: trixie, date: 2025-01-01T00:00:00Z}
kernel: {package: linux-image-cloud-amd64, cmdline: quiet, modules: [erofs]}
root: {packages: [wine64]}
c_drive: {size_gib: 40, label: Windows}
provides:
  - {references: ["docker.io/microsoft/nanoserver:latest"], user: ContainerUser}
left_out: {powershell: "not here"}
unserved:
  - {name: IIS, sentence: "not here", references: [mcr.microsoft.com/iis*], commands: [servicemonitor w3svc],
     labels: [product=IIS 10]}
"""
_CUT = "- {reason: no screen, files: [notepad.exe]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "wine"
    folder.mkdir()
    (folder / "template.yaml").write_text(_TEMPLATE)
    (folder / "cut.yaml").write_text(_CUT)
    return folder


def refused(folder: Path, old: str, new: str) -> str:
    """The message with which a template.yaml is refused, without the path before it."""
    assert old in _TEMPLATE
    (folder / "template.yaml").write_text(_TEMPLATE.replace(old, new))
    with pytest.raises(InvalidRequest) as caught:
        recipe.load(folder)
    path = f"{folder}/template.yaml"
    assert caught.value.message.startswith(path)
    return caught.value.message.removeprefix(path)


def test_a_recipe_is_read(folder: Path) -> None:
    read = recipe.load(folder)
    assert (read.name, read.kind, read.minimum_memory, read.date) == ("wine", "wine", 384, 1735689600)
    assert read.provides == (
        recipe.ProvidedImage(("docker.io/microsoft/nanoserver:latest",), "ContainerUser"),
    )
    assert read.left_out == (("powershell", "not here"),)
    assert read.unserved == (
        Unserved(
            "IIS",
            "not here",
            references=("mcr.microsoft.com/iis*",),
            commands=("servicemonitor w3svc",),
            labels=(("product", "IIS 10"),),
        ),
    )
    assert read.cuts == (recipe.Cut("no screen", ("notepad.exe",)),)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: wine", "kind: vax", ": kind: 'vax' is not a kind of guest that can be built"),
        ("summary: a test", "", ": summary: is missing"),
        ("summary: a test", "sumary: a\nsummary: b", ": sumary: is not known here"),
        ("summary: a test", "summary: 5", ": summary: must be text"),
        (
            "minimum_memory: 384",
            "minimum_memory: lots",
            ": minimum_memory: must be a whole number from 64 to 65536",
        ),
        (
            "minimum_memory: 384",
            "minimum_memory: 1",
            ": minimum_memory: must be a whole number from 64 to 65536",
        ),
        ("serves_any_build: true", "serves_any_build: 1", ": serves_any_build: must be true or false"),
        (
            "2025-01-01T00:00:00Z",
            "yesterday",
            ": build.date: must be a date and time in UTC, as 2025-01-01T00:00:00Z",
        ),
        ("{packages: [wine64]}", "{packages: []}", ": root.packages: must be a list with at least one entry"),
        ("{packages: [wine64]}", "{packages: ['-o x']}", ": root.packages: '-o x' is not well-formed"),
        ("{packages: [wine64]}", "[wine64]", ": root: must be a mapping of names"),
        (
            "docker.io/microsoft/nanoserver:latest",
            "nanoserver",
            ": provides[0].references: 'nanoserver' is not well-formed",
        ),
        (
            '["docker.io/microsoft/nanoserver:latest"]',
            "[docker.io/a/b:c, docker.io/a/b:c]",
            ": provides: docker.io/a/b:c is provided twice",
        ),
        (
            "[servicemonitor w3svc]",
            "[ServiceMonitor.exe]",
            ": unserved[0].commands: 'ServiceMonitor.exe' is not well-formed",
        ),
        ("mcr.microsoft.com/iis*", "iis", ": unserved[0].references: 'iis' is not well-formed"),
        ("product=IIS 10", "product", ": unserved[0].labels: 'product' is not well-formed"),
        ("name: IIS", "nam: IIS", ": unserved[0].name: is missing"),
        ("labels:", "labls:", ": unserved[0].labls: is not known here"),
        ("powershell:", "PowerShell.exe:", ": left_out.PowerShell.exe: 'PowerShell.exe' is not well-formed"),
        ("size_gib: 40,", "", ": c_drive.size_gib: is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(folder: Path, old: str, new: str, said: str) -> None:
    assert refused(folder, old, new) == said


def test_broken_yaml_is_told_on_one_line(folder: Path) -> None:
    said = refused(folder, "kind: wine", "kind: [")
    assert said.startswith(" is not YAML: ")
    assert "\n" not in said


def test_a_missing_file_is_not_found(folder: Path) -> None:
    (folder / "cut.yaml").unlink()
    with pytest.raises(NotFound) as caught:
        recipe.load(folder)
    assert caught.value.message == f"the recipe {folder}/cut.yaml does not exist"


def test_a_cut_says_why(folder: Path) -> None:
    (folder / "cut.yaml").write_text("- {files: [x]}\n")
    with pytest.raises(InvalidRequest) as caught:
        recipe.load(folder)
    assert caught.value.message == f"{folder}/cut.yaml: [0].reason: is missing"


def test_a_product_must_be_recognisable(folder: Path) -> None:
    known = _TEMPLATE[
        _TEMPLATE.index(", references: [mcr") : _TEMPLATE.index("}", _TEMPLATE.index("product=IIS"))
    ]
    said = refused(folder, known, "")
    assert said == ": unserved[0].references: nothing tells an image of this product"


def test_the_wine_template_is_in_order() -> None:
    wine = recipe.load(_RECIPES / "wine")
    references = {reference for image in wine.provides for reference in image.references}
    assert {
        "docker.io/microsoft/nanoserver:latest",
        "docker.io/microsoft/windowsservercore:latest",
        "mcr.microsoft.com/windows/nanoserver:ltsc2022",
        "mcr.microsoft.com/windows/servercore:1809",
    } <= references
    assert wine.serves_any_build
    assert dict(wine.left_out)["powershell"] == (
        "PowerShell is not part of the wine template: Wine's powershell.exe only pretends and would report "
        "success without running anything; use a windows template"
    )
    assert all(sentence.lower().startswith(name) for name, sentence in wine.left_out)
    assert "setx" not in dict(wine.left_out), "linwin has one of its own"
    for product in wine.unserved:
        assert product.sentence.startswith(product.name)
        assert "use a windows template" in product.sentence


def test_the_folder_may_be_anywhere(tmp_path: Path) -> None:
    shutil.copytree(_RECIPES / "wine", tmp_path / "mine")
    assert recipe.load(tmp_path / "mine").name == "mine"

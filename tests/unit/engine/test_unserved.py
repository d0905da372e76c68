"""Images that the wine template cannot serve, as its own data recognises them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from linwin.engine.unserved import warnings
from linwin.model.image import Image, Platform, RunConfig
from linwin.model.template import Template
from linwin.templates import recipe

_WINE = recipe.load(Path(__file__).parents[3] / "vm-templates/wine")
_NOTHING = Path("nothing")
TEMPLATE = Template(
    "wine", "wine", "sha256:1", _NOTHING, _NOTHING, "", _NOTHING, _NOTHING, 384, True, (),
    left_out=_WINE.left_out, unserved=_WINE.unserved,
)  # fmt: skip
SENTENCES = {product.name: product.sentence for product in _WINE.unserved}


def image(*references: str, config: RunConfig | None = None, digests: tuple[str, ...] = ()) -> Image:
    return Image(
        "sha256:2", Platform(), config or RunConfig(), (), 0, (), references=references, digests=digests
    )


def products(of: Image, *argv: str) -> set[str]:
    """The names of the products that are warned of."""
    said = warnings(TEMPLATE, of, "it", argv or ("cmd",))
    return {
        name for name, sentence in SENTENCES.items() if f"image it: {sentence}; its files can be used" in said
    }


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        ("mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022", {"IIS"}),
        ("docker.io/microsoft/iis:latest", {"IIS"}),
        ("mcr.microsoft.com/dotnet/framework/aspnet:4.8", {"IIS", ".NET Framework"}),
        ("mcr.microsoft.com/dotnet/framework/sdk:4.8", {".NET Framework"}),
        ("docker.io/microsoft/mssql-server-windows-developer:latest", {"SQL Server"}),
        ("mcr.microsoft.com/powershell:lts-nanoserver-1809", {"PowerShell"}),
        ("mcr.microsoft.com/windows/servercore:ltsc2022", set()),
        ("mcr.microsoft.com/dotnet/runtime:8.0-nanoserver", set()),
        ("docker.io/somebody/iis:latest", set()),
        ("localhost:5000/microsoft/iis:latest", set()),
    ],
)
def test_by_its_name(reference: str, named: set[str]) -> None:
    assert products(image(reference)) == named


def test_by_the_digest_it_was_pulled_with() -> None:
    assert products(image(digests=("mcr.microsoft.com/windows/servercore/iis@sha256:3",))) == {"IIS"}


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (RunConfig(entrypoint=("C:\\ServiceMonitor.exe", "w3svc")), {"IIS"}),
        (RunConfig(entrypoint=("C:\\ServiceMonitor.exe", "mine")), set()),
        (RunConfig(cmd=("C:/Program Files/Binn/SQLSERVR.EXE", "-s")), {"SQL Server"}),
        (RunConfig(labels={"com.microsoft.product": "Microsoft SQL Server"}), {"SQL Server"}),
        (RunConfig(labels={"com.microsoft.product": "another"}), set()),
        (RunConfig(env=("COMPLUS_RUNNING_IN_CONTAINER=1",)), {".NET Framework"}),
        (RunConfig(env=("PowerShell_Distribution_Channel=x",)), {"PowerShell"}),
    ],
)
def test_by_what_it_is_made_of(config: RunConfig, named: set[str]) -> None:
    assert products(image("example.test/mine:latest", config=config)) == named


@pytest.mark.parametrize(
    ("argv", "program"),
    [
        (("powershell", "-c", "1"), "powershell"),
        (("C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\PowerShell.exe",), "powershell"),
        (("cmd", "/S", "/C", "powershell -Command Get-Date"), "powershell"),
        (("cmd.exe", "/c", '"robocopy" a b'), "robocopy"),
        (("cmd", "/c", "echo powershell"), None),
        (("cmd", "/c"), None),
        (("cmd", "/c", ""), None),
        (("node", "/c", "powershell"), None),
        ((), None),
    ],
)
def test_a_program_that_is_left_out(argv: tuple[str, ...], program: str | None) -> None:
    left_out = dict(_WINE.left_out)
    assert warnings(TEMPLATE, image(), "it", argv) == ((left_out[program],) if program else ())


def test_a_template_that_serves_everything_warns_of_nothing() -> None:
    windows = dataclasses.replace(TEMPLATE, left_out=(), unserved=())
    assert warnings(windows, image("docker.io/microsoft/iis:latest"), "it", ("powershell",)) == ()

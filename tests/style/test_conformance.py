"""What the conformance suite leaves out, and what it ran under Wine, is in docs/windows-agent.md."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conformance.machines import OF_THE_LAUNCHER
from tests.conformance.targets import UNDER_NEWER_WINE

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = (REPOSITORY / "docs" / "windows-agent.md").read_text()
TESTS = ast.parse((REPOSITORY / "tests" / "conformance" / "test_windows.py").read_text())


def named_apis(test: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The arguments of a test's ``wine_api`` marker."""
    return [
        argument.value
        for mark in test.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.wine_api"
        for argument in mark.args
        if isinstance(argument, ast.Constant)
    ]


WINDOWS_TESTS = [
    node
    for node in TESTS.body
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
]


@pytest.mark.parametrize("test", WINDOWS_TESTS, ids=lambda test: test.name)
def test_a_test_of_windows_alone_names_the_apis_that_the_document_lists(
    test: ast.FunctionDef | ast.AsyncFunctionDef,
) -> None:
    apis = named_apis(test)
    assert apis != []
    assert [api for api in apis if f"`{api}`" not in DOCUMENT] == []


@pytest.mark.parametrize("reason", sorted({*UNDER_NEWER_WINE.values(), *OF_THE_LAUNCHER.values()}))
def test_what_wine_lacks_is_in_the_document(reason: str) -> None:
    assert f"- {reason}\n" in DOCUMENT

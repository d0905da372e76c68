"""docs/api-coverage.md, and that no path of docker's API is unknown here by accident."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from linwin.api.coverage import coverage, rows
from tests.scenario import api_description, proofs

DOCUMENT = Path(__file__).parents[3] / "docs" / "api-coverage.md"


def test_the_document_is_what_the_routes_say() -> None:
    command = "python -m linwin.api.coverage tests/scenario/proofs.tsv > docs/api-coverage.md"
    assert DOCUMENT.read_text() == coverage(proofs.load()), f"run: {command}"


def test_every_route_has_a_test() -> None:
    routes = {(method, path) for path, method, _, _ in rows() if not path.startswith("/linwin/")}
    assert routes - proofs.load().keys() == {("GET", "/metrics")}  # tests/scenario/test_metrics.py


def test_every_route_says_what_it_answers() -> None:
    assert [path for path, _, _, what in rows() if not what] == []


def test_every_path_of_dockers_description_is_answered() -> None:
    path = api_description.find()
    if path is None:
        pytest.skip("docker's API description is not here; set LINWIN_API_SPEC to v1.50.yaml")
    described = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["paths"]
    asked = {(method.upper(), path) for path, verbs in described.items() for method in verbs}
    answered = {(method, path) for path, method, _, _ in rows()}
    assert asked - answered == set()

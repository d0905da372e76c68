"""A reference's two halves, as docker's queries carry them."""

from __future__ import annotations

import pytest

from linwin.api.references import joined, repository, tag_of

DIGEST = "sha256:" + "d" * 64


@pytest.mark.parametrize(
    ("name", "tag", "reference"),
    [
        ("x", "1", "x:1"),
        ("x", DIGEST, f"x@{DIGEST}"),
        ("x:1", "", "x:1"),
        ("x:1", "2", "x:2"),
        (f"x@{DIGEST}", "", f"x@{DIGEST}"),
        (f"x:1@{DIGEST}", "2", f"x:1@{DIGEST}"),
        ("host:5000/x", "", None),
        ("host:5000/x", "1", "host:5000/x:1"),
        ("host:5000/x:1", "", "host:5000/x:1"),
        ("x", "", None),
    ],
)
def test_name_and_tag_become_one(name: str, tag: str, reference: str | None) -> None:
    assert joined(name, tag) == reference


@pytest.mark.parametrize(
    ("reference", "name", "tag"),
    [
        ("x", "x", ""),
        ("host:5000/team/x:1", "host:5000/team/x", "1"),
        ("host:5000/team/x", "host:5000/team/x", ""),
        (f"x@{DIGEST}", "x", DIGEST),
        (f"x:1@{DIGEST}", "x", "1"),
    ],
)
def test_a_reference_comes_apart(reference: str, name: str, tag: str) -> None:
    assert (repository(reference), tag_of(reference)) == (name, tag)

"""References, taken apart as docker's client takes them apart."""

from __future__ import annotations

import pytest

from linwin.cli.references import is_image_id, split
from linwin.errors import InvalidRequest

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "name", "label", "canonical", "familiar"),
    [
        ("x", "docker.io/library/x", "latest", "docker.io/library/x:latest", "x:latest"),
        ("x:1", "docker.io/library/x", "1", "docker.io/library/x:1", "x:1"),
        ("a/x", "docker.io/a/x", "latest", "docker.io/a/x:latest", "a/x:latest"),
        ("library/x", "docker.io/library/x", "latest", "docker.io/library/x:latest", "x:latest"),
        ("library/a/x", "docker.io/library/a/x", "latest", "docker.io/library/a/x:latest",
         "library/a/x:latest"),
        ("docker.io/x", "docker.io/library/x", "latest", "docker.io/library/x:latest", "x:latest"),
        ("index.docker.io/x", "docker.io/library/x", "latest", "docker.io/library/x:latest", "x:latest"),
        ("docker.io/a.b/x", "docker.io/a.b/x", "latest", "docker.io/a.b/x:latest", "docker.io/a.b/x:latest"),
        ("host:5000/x", "host:5000/x", "latest", "host:5000/x:latest", "host:5000/x:latest"),
        ("host:5000/x/y:1", "host:5000/x/y", "1", "host:5000/x/y:1", "host:5000/x/y:1"),
        ("localhost/x", "localhost/x", "latest", "localhost/x:latest", "localhost/x:latest"),
        ("Host/x", "Host/x", "latest", "Host/x:latest", "Host/x:latest"),
        (f"x@{DIGEST}", "docker.io/library/x", DIGEST, f"docker.io/library/x@{DIGEST}", f"x@{DIGEST}"),
        (f"x:1@{DIGEST}", "docker.io/library/x", DIGEST, f"docker.io/library/x:1@{DIGEST}", f"x:1@{DIGEST}"),
    ],
)  # fmt: skip
def test_split(text: str, name: str, label: str, canonical: str, familiar: str) -> None:
    reference = split(text)
    assert (reference.name, reference.label) == (name, label)
    assert (str(reference), reference.familiar) == (canonical, familiar)


@pytest.mark.parametrize("text", ["", "x:", "x@", "a/", "host:5000/", ":1"])
def test_what_is_cut_is_not_taken_for_latest(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        split(text)
    assert caught.value.message == "invalid reference format"
    assert caught.value.hint == "write [REGISTRY/]NAME[:TAG][@DIGEST]"


def test_ids() -> None:
    assert is_image_id(DIGEST)
    assert is_image_id("ab" * 32)
    assert not is_image_id("ab" * 6)
    assert not is_image_id("x" * 64)

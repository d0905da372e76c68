"""References: docker's grammar, defaults and words."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linwin.errors import InvalidRequest
from linwin.images import references

DIGEST = "sha256:" + "0123456789abcdef" * 4

NORMALISED = [
    ("nanoserver", "docker.io/library/nanoserver:latest", "nanoserver:latest"),
    ("microsoft/nanoserver", "docker.io/microsoft/nanoserver:latest", "microsoft/nanoserver:latest"),
    ("index.docker.io/nanoserver:1809", "docker.io/library/nanoserver:1809", "nanoserver:1809"),
    ("docker.io/library/x", "docker.io/library/x:latest", "x:latest"),
    ("docker.io/x", "docker.io/library/x:latest", "x:latest"),
    (
        "mcr.microsoft.com/windows/nanoserver:ltsc2022",
        "mcr.microsoft.com/windows/nanoserver:ltsc2022",
        "mcr.microsoft.com/windows/nanoserver:ltsc2022",
    ),
    ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
    ("localhost:5000/a/b:Tag_1.x-y", "localhost:5000/a/b:Tag_1.x-y", "localhost:5000/a/b:Tag_1.x-y"),
    ("localhost", "docker.io/library/localhost:latest", "localhost:latest"),
    ("Registry/x", "Registry/x:latest", "Registry/x:latest"),
    ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
    ("a__b/c-d---e/f_g.h", "docker.io/a__b/c-d---e/f_g.h:latest", "a__b/c-d---e/f_g.h:latest"),
    (f"x@{DIGEST}", f"docker.io/library/x@{DIGEST}", f"x@{DIGEST}"),
    (f"x:1@{DIGEST}", f"docker.io/library/x:1@{DIGEST}", f"x:1@{DIGEST}"),
    ("docker.io/foo.bar/x", "docker.io/foo.bar/x:latest", "docker.io/foo.bar/x:latest"),
]

INVALID = [
    "",
    ":tag",
    "x:",
    "x:-tag",
    "x:" + "t" * 129,
    "-x",
    "x-",
    "x..y",
    "x___y",
    "x//y",
    "/x",
    "x/",
    "x\n",
    "x y",
    "b\xfccher",
    "x@sha256:abc",
    "x@",
    "a_b.c:5000/x",
    "[::1/x",
    "host:port/x",
]


@pytest.mark.parametrize(("text", "canonical", "familiar"), NORMALISED)
def test_normalises_as_docker_does(text: str, canonical: str, familiar: str) -> None:
    reference = references.parse(text).with_default_tag()
    assert str(reference) == canonical
    assert reference.familiar == familiar
    assert references.parse(canonical) == reference


@pytest.mark.parametrize("text", INVALID)
def test_refuses_in_dockers_words(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        references.parse(text)
    assert caught.value.message == "invalid reference format"
    assert caught.value.hint == (
        "A reference is written [REGISTRY/]NAME[:TAG][@DIGEST], with NAME in lower case."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("a/Foo:x", "invalid reference format: repository name (a/Foo) must be lowercase"),
        ("0" * 64, f"invalid repository name ({'0' * 64}), cannot specify 64-byte hexadecimal strings"),
        ("a" * 256, "repository name must not be more than 255 characters"),
        ("x@md5:" + "0" * 32, "unsupported digest algorithm"),
        ("x@sha256:" + "0" * 63, "invalid checksum digest length"),
        ("x@sha256:" + "A" * 64, "invalid checksum digest format"),
    ],
)
def test_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        references.parse(text)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"x@{DIGEST}", "refusing to create a tag with a digest reference"),
        ("sha256:abc", "refusing to create an ambiguous tag using digest algorithm as name"),
        ("x:y:z", "invalid reference format"),
    ],
)
def test_a_tags_target_is_a_name_and_a_tag(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        references.parse_target(text)
    assert caught.value.message == message


def test_knows_full_ids_with_and_without_their_algorithm() -> None:
    assert references.as_id(DIGEST) == DIGEST
    assert references.as_id(DIGEST[7:]) == DIGEST
    assert references.as_id(DIGEST[:-1]) is None
    assert references.as_id(DIGEST.upper()) is None


@given(st.text(alphabet=string.ascii_letters + string.digits + "._-/:@[]\n é", max_size=40))
def test_every_text_is_refused_or_survives_both_forms(text: str) -> None:
    try:
        reference = references.parse(text)
    except InvalidRequest:
        return
    assert references.parse(str(reference)) == reference
    assert references.parse(reference.familiar) == reference

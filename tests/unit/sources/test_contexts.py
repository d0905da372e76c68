"""Contexts: what is in them, what COPY names of them, what counts in a digest."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from linwin.errors import InvalidRequest, LinwinError, NotFound
from linwin.model.build import Selected
from linwin.sources.context import Context
from tests.unit.sources.tars import context_of, copied, member, opened, tar_of

SITE = {
    "Dockerfile": "FROM base\n",
    "app.py": "print()",
    "docs": None,
    "docs/index.md": "# docs",
    "docs/api": None,
    "docs/api/a.md": "a",
    "docs/api/b.md": "b",
    "src/lib.py": "",
}


def names(context: Context, pattern: str) -> list[str]:
    return [selected.path for selected in context.select(pattern)]


def refusal_of(context: Context, pattern: str) -> LinwinError:
    with pytest.raises(LinwinError) as refusal:
        context.select(pattern)
    return refusal.value


# ---- what comes as a context ---------------------------------------------------


@pytest.mark.parametrize(
    "compress",
    [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress],
    ids=["plain", "gzip", "bzip2", "xz", "zstd"],
)
def test_a_context_is_a_tar_of_any_compression(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    context = opened(tmp_path, compress(tar_of(SITE)))
    assert context.dockerfile("Dockerfile").stages[0].base == "base"
    assert copied(context, tmp_path)["docs/api/a.md"].what == b"a"
    assert (tmp_path / "spool").exists() == (compress is not bytes)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_what_is_no_tar_may_be_a_dockerfile(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    context = opened(tmp_path, compress(b"FROM base\nCOPY a b\n"))
    assert context.dockerfile("whatever").stages[0].base == "base"
    assert isinstance(refusal_of(context, "a"), NotFound)


@pytest.mark.parametrize("body", [b"\x7fELF" + bytes(4096), b"\0", b" \n ", b"\xff" * 2000, b"a" * (1 << 21)])
def test_what_is_neither_is_refused(body: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        opened(tmp_path, body)
    assert refusal.value.message == "the build context is neither a tar archive nor a Dockerfile"
    assert (
        refusal.value.hint
        == "Send the context again; linwin takes what docker's clients pack, and what tar does."
    )


def test_a_body_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        opened(tmp_path, b"")
    assert (refusal.value.message, refusal.value.hint) == (
        "the build context is empty",
        "Send a tar, or a Dockerfile.",
    )


def test_a_context_may_have_nothing_in_it(tmp_path: Path) -> None:
    assert [one.is_folder for one in opened(tmp_path, tar_of({})).select(".")] == [True]


# ---- the Dockerfile ------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["docker/App.Dockerfile", "docker\\App.Dockerfile", "./docker//x/../App.Dockerfile"]
)
def test_a_dockerfile_may_lie_anywhere_in_it(path: str, tmp_path: Path) -> None:
    context = context_of(tmp_path, {"docker/App.Dockerfile": "FROM base"})
    assert context.dockerfile(path).stages[0].base == "base"


def test_a_dockerfile_may_be_a_link(tmp_path: Path) -> None:
    link = member("Dockerfile", tarfile.SYMTYPE, link="docker/windows")
    assert context_of(tmp_path, {"docker/windows": "FROM base"}, [link]).dockerfile("Dockerfile")


@pytest.mark.parametrize(
    ("path", "kind", "sentence"),
    [
        ("Containerfile", NotFound, "Cannot locate specified Dockerfile: Containerfile"),
        ("../Dockerfile", InvalidRequest, "the Dockerfile (../Dockerfile) must be within the build context"),
        ("docs", InvalidRequest, "docs is a folder, not a Dockerfile"),
    ],
)
def test_a_dockerfile_that_is_not_there(
    path: str, kind: type[LinwinError], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as refusal:
        context_of(tmp_path, SITE).dockerfile(path)
    assert refusal.value.message == sentence


def test_a_dockerfile_that_is_hidden_can_be_read_and_not_copied(tmp_path: Path) -> None:
    context = context_of(
        tmp_path, {**SITE, ".dockerignore": "Dockerfile\n.dockerignore\ndocs\n!docs/api/b.md"}
    )
    assert context.dockerfile("Dockerfile").stages
    assert set(copied(context, tmp_path)) == {"app.py", "docs/api/b.md", "src/lib.py"}


def test_a_dockerfile_may_have_a_dockerignore_of_its_own(tmp_path: Path) -> None:
    files = {
        **SITE,
        ".dockerignore": "app.py",
        "Dockerfile.dockerignore": "docs\n*ocker*",
        "other": "FROM base",
    }
    context = context_of(tmp_path, files)
    context.dockerfile("Dockerfile")
    assert names(context, "*") == ["app.py", "other", "src"]
    context.dockerfile("other")
    assert "app.py" not in names(context, "*")


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        (b"a\n!\n", '.dockerignore: illegal exclusion pattern: "!"'),
        (b"[a", '.dockerignore: syntax error in pattern "[a"'),
        (b"\xe9", ".dockerignore is not UTF-8"),
        (b"a" * (1 << 20) + b"a", ".dockerignore is larger than 1 MiB"),
    ],
)
def test_a_wrong_dockerignore_is_refused(rules: bytes, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        context_of(tmp_path, {**SITE, ".dockerignore": rules}).dockerfile("Dockerfile")
    assert refusal.value.message == sentence


def test_filtering_what_a_client_has_filtered_changes_nothing(tmp_path: Path) -> None:
    rules = "docs\n!docs/api/b.md\n**/*.py\n!app.py\n"
    whole = context_of(tmp_path, {**SITE, ".dockerignore": rules}).select(".")
    sent = {
        "Dockerfile": "FROM base\n",
        "app.py": "print()",
        "docs/api/b.md": "b",
        ".dockerignore": rules,
        "src": None,
    }
    assert context_of(tmp_path, sent).select(".") == whole


# ---- what COPY names -----------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        (".", [""]),
        ("/", [""]),
        ("app.py", ["app.py"]),
        ("/app.py", ["app.py"]),
        ("\\docs\\index.md", ["docs/index.md"]),
        ("./docs//api/../index.md", ["docs/index.md"]),
        ("docs/", ["docs"]),
        ("APP.PY", ["APP.PY"]),
        ("docs/*", ["docs/api", "docs/index.md"]),
        ("docs\\api\\?.md", ["docs/api/a.md", "docs/api/b.md"]),
        ("docs/*/[^a].md", ["docs/api/b.md"]),
        ("*", ["Dockerfile", "app.py", "docs", "src"]),
        ("*/*.py", ["src/lib.py"]),
        ("src/*", ["src/lib.py"]),
    ],
)
def test_a_source_names_one_thing_or_all_that_match(pattern: str, paths: list[str], tmp_path: Path) -> None:
    assert names(context_of(tmp_path, SITE), pattern) == paths


@pytest.mark.parametrize("pattern", ["../x", "docs/../../x", "/..", "..\\x", "../*.py"])
def test_a_source_outside_is_refused_in_dockers_words(pattern: str, tmp_path: Path) -> None:
    refusal = refusal_of(context_of(tmp_path, SITE), pattern)
    assert isinstance(refusal, InvalidRequest)
    assert refusal.message == f"COPY failed: forbidden path outside the build context: {pattern} ()"


def test_a_source_that_is_not_there_is_refused_in_dockers_words(tmp_path: Path) -> None:
    context = context_of(tmp_path, {**SITE, ".dockerignore": "app.py"})
    for path in ("x", "app.py", "docs/index.md/x"):
        refusal = refusal_of(context, path)
        assert isinstance(refusal, NotFound)
        assert refusal.message == (
            "COPY failed: file not found in build context or excluded by .dockerignore: "
            f"stat {path}: file does not exist"
        )


def test_a_pattern_that_nothing_matches_is_refused_in_dockers_words(tmp_path: Path) -> None:
    refusal = refusal_of(context_of(tmp_path, SITE), "*.exe")
    assert isinstance(refusal, NotFound)
    assert refusal.message == "COPY failed: no source files were specified"


def test_what_is_no_pattern_is_refused(tmp_path: Path) -> None:
    refusal = refusal_of(context_of(tmp_path, SITE), "src/[a")
    assert isinstance(refusal, InvalidRequest)
    assert refusal.message == 'COPY failed: syntax error in pattern "src/[a"'


def test_links_on_the_way_are_followed_and_lead_nowhere_else(tmp_path: Path) -> None:
    links = [
        member("latest", tarfile.SYMTYPE, link="docs/api"),
        member("absolute", tarfile.SYMTYPE, link="/docs"),
        member("up", tarfile.SYMTYPE, link="../../../../app.py"),
        member("docs/out", tarfile.SYMTYPE, link="../src/../latest/a.md"),
        member("loop", tarfile.SYMTYPE, link="loop"),
        member("dead", tarfile.SYMTYPE, link="/etc/passwd"),
    ]
    context = context_of(tmp_path, SITE, links)
    a, app = context.select("docs/api/a.md")[0], context.select("app.py")[0]
    for path, same in [("latest/a.md", a), ("absolute/api/a.md", a), ("docs/out", a), ("up", app)]:
        (found,) = context.select(path)
        assert (found.path, found.digest) == (path, same.digest)
    assert context.select("latest")[0].is_folder
    for path in ("loop", "dead", "loop/x"):
        assert "file does not exist" in refusal_of(context, path).message


# ---- digests -------------------------------------------------------------------


def digest(folder: Path, files: dict[str, bytes | str | None], *more: tarfile.TarInfo, of: str = ".") -> str:
    (selected,) = context_of(folder, files, more).select(of)
    assert selected.digest.startswith("sha256:")
    assert len(selected.digest) == 71
    return selected.digest


def test_a_digest_is_over_names_bytes_and_kinds(tmp_path: Path) -> None:
    link = member("l", tarfile.SYMTYPE, link="a")
    digests = [
        digest(tmp_path, {"a": "1"}),
        digest(tmp_path, {"a": "2"}),
        digest(tmp_path, {"b": "1"}),
        digest(tmp_path, {"a": "1", "b": ""}),
        digest(tmp_path, {"a": "1", "b": None}),
        digest(tmp_path, {"a": None, "a/b": ""}),
        digest(tmp_path, {"a": "1"}, link),
        digest(tmp_path, {"a": "1"}, member("l", tarfile.SYMTYPE, link="b")),
        digest(tmp_path, {}),
    ]
    assert len(set(digests)) == len(digests)


def test_a_digest_is_over_no_times_and_no_order(tmp_path: Path) -> None:
    first = digest(tmp_path, {"a": "1", "b": None, "b/c": "2", "b/d": "3"})
    assert digest(tmp_path, {"b/d": "3", "b/c": "2", "b": None, "a": "1"}) == first
    assert digest(tmp_path, {"./a": "1", "b/d": "3", "./b/c": "2"}) == first
    later = member("b", tarfile.DIRTYPE, time=1.5)
    assert digest(tmp_path, {"a": "1", "b/c": "2", "b/d": "3"}, later) == first


def test_a_files_name_is_not_in_its_digest(tmp_path: Path) -> None:
    assert digest(tmp_path, {"a": "1"}, of="a") == digest(tmp_path, {"b": "1"}, of="b")
    assert digest(tmp_path, {"a": "1"}, of="a") != digest(tmp_path, {"a": "2"}, of="a")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (tar_of({"a": "1"}), True),
        (gzip.compress(tar_of({"a": "1"}), mtime=0), True),
        (bz2.compress(tar_of({"a": "1"})), True),
        (lzma.compress(tar_of({"a": "1"})), True),
        (zstandard.compress(tar_of({"a": "1"})), True),
        (tar_of({}), False),
        (gzip.compress(b"text", mtime=0), False),
        (gzip.compress(tar_of({"a": "1"}), mtime=0)[:40], False),
        (b"PK\3\4", False),
        (b"", False),
        (b"\x1f\x8b", False),
    ],
)
def test_add_unpacks_what_is_a_tar(content: bytes, expected: bool, tmp_path: Path) -> None:
    (selected,) = context_of(tmp_path, {"x": content}).select("x")
    assert selected == Selected("x", False, selected.digest, expected)

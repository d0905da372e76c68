"""``.dockerignore``: what is left out, as docker's own matcher (moby/patternmatcher) has it."""

from __future__ import annotations

import time

import pytest

from linwin.model.dockerignore import DockerIgnore, glob

LEFT_OUT = [
    # A pattern, and a path that it leaves out.
    ("**", "app.py"),
    ("**/", "src/app.py"),
    ("**/**", "src/app.py"),
    ("src/**", "src/lib/app.py"),
    ("**/build", "build"),
    ("**/build", "a/b/build"),
    ("**/build", "a/build/out.o"),
    ("**/build/*", "a/build/out.o"),
    ("**/build/*", "a/build/deep/out.o"),
    ("**app", "app"),
    ("**app", "src/app"),
    ("**app", "src/myapp"),
    ("**/app*", "src/app.py"),
    ("**/app*py", "src/app.py"),
    ("**/**/*.py", "app.py"),
    ("a**/*.txt", "a/file.txt"),
    ("a**/*.txt", "a/b/c/file.txt"),
    ("a/*.txt**", "a/file.txt"),
    ("a[b-d]e", "ace"),
    ("a[^b-d]e", "aze"),
    ("a[^x]b", "a☺b"),
    ("a?b", "a☺b"),
    ("[ä-ö]*", "é"),
    (".*", ".git"),
    ("abc?def", "abcZdef"),
    ("a(b)c/def", "a(b)c/def"),
    ("a.|)$(}+{bc", "a.|)$(}+{bc"),
    ("a\\*b", "a*b"),
    ("[\\]a]", "]"),
    ("[x\\-]", "-"),
    ("a\\\\", "a\\"),
    ("*", "docs/deep/file"),
    ("a*b?c*x", "abxbbxdbxebxczzx"),
    ("a*b*c*/f", "axbxcxx/f"),
    ("/docs", "docs"),
    ("docs/", "docs/index.md"),
    ("./docs//api/../index.md", "docs/index.md"),
    ("  docs  ", "docs"),
    ("docs\r", "docs"),
    (" #kept as a name", "#kept as a name"),
    ("\ufeffdocs", "docs"),
    ("!docs\ndocs", "docs/index.md"),
    ("**\n!docs\ndocs/index.md", "docs/index.md"),
]

LEFT_IN = [
    ("**/**/*.py2", "src/app.py"),
    ("**/app", "src/myapp"),
    ("**app*", "src/myapp"),
    ("a/*.txt", "a/b/file.txt"),
    ("a[b-d]e", "ae"),
    ("a[^b-d]e", "ace"),
    (".*", "git"),
    ("abc.def", "abcZdef"),
    ("abc?def", "abc/def"),
    ("a*b", "a/b"),
    ("abc/**", "abc"),
    ("**/.git", "a.git"),
    ("a\\*b", "ab"),
    ("[\\-x]", "a"),
    ("a*b?c*x", "abxbbxdbxebxczzy"),
    ("# docs", "# docs"),
    ("docs", "Docs"),
    ("", "docs"),
    ("../docs", "docs"),
    ("/", "docs"),
    ("docs\n!docs/index.md", "docs/index.md"),
    ("docs/*\n!docs/index.md", "docs/index.md"),
    ("*.md\n!  README.md", "README.md"),
    ("**\n!docs", "docs/index.md"),
    ("**\n!dist/*.whl", "dist/tool-1.0+g08acad9.whl"),
]


@pytest.mark.parametrize(("text", "path"), LEFT_OUT)
def test_it_leaves_out(text: str, path: str) -> None:
    assert DockerIgnore(text).excludes(path)


@pytest.mark.parametrize(("text", "path"), LEFT_IN)
def test_it_leaves_in(text: str, path: str) -> None:
    assert not DockerIgnore(text).excludes(path)


def test_an_exception_for_a_folder_that_was_kept_at_first_is_not_for_what_is_in_it() -> None:
    """docker's own walk has this, which tries an exception on nothing that is in."""
    assert DockerIgnore("a/b\n!a").excludes("a/b")


@pytest.mark.parametrize(
    "pattern", ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "[a", "[\\"]
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError) as refusal:
        DockerIgnore(f"docs\n{pattern}\n")
    assert str(refusal.value) == f'syntax error in pattern "{pattern}"'


def test_an_exception_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError) as refusal:
        DockerIgnore("docs\n!\n")
    assert str(refusal.value) == 'illegal exclusion pattern: "!"'


@pytest.mark.parametrize(
    ("exception", "folder", "expected"),
    [
        ("!docs/index.md", "docs", True),
        ("!docs/api/*.md", "docs", True),
        ("!docs/api/*.md", "docs/api", True),
        ("!docs/api/*.md", "docs/other", False),
        ("!**/README.md", "a/b/c", True),
        ("!*.md", "docs", False),
        ("!docs", "docs", False),
        ("!src", "docs", False),
        ("!d*/x", "docs", True),
        ("docs/x", "docs", False),
    ],
)
def test_a_folder_has_to_be_looked_into_where_an_exception_reaches(
    exception: str, folder: str, expected: bool
) -> None:
    assert DockerIgnore(f"**\n{exception}").may_keep_in(folder) is expected


def test_a_source_of_copy_has_neither_folders_nor_escapes() -> None:
    assert glob("src/**/*.py").matches("src/lib/app.py")
    assert not glob("src/**/*.py").matches("src/a/b/app.py")
    assert not glob("**").matches("a/b")


@pytest.mark.parametrize("pattern", ["*a" * 5000 + "c", "**/*a" * 2000 + "c", "a" + "**/" * 3000 + "c"])
def test_no_pattern_takes_more_than_its_share_of_time(pattern: str) -> None:
    """With backtracking, each of these would outlast the universe."""
    began = time.process_time()
    assert not DockerIgnore(pattern).excludes("a" * 5000 + "b/" + "a" * 200 + "bc")
    assert time.process_time() - began < 5


def test_a_hundred_thousand_paths_are_judged_in_no_time() -> None:
    ignore = DockerIgnore("node_modules\n**/*.pyc\n.git\n*.log\n**/__pycache__\ndocs\n!docs/keep.md\n")
    began = time.process_time()
    for number in range(100_000):
        assert not ignore.judge(f"src/package/module{number}.py", ignore.root).excluded
    assert time.process_time() - began < 5

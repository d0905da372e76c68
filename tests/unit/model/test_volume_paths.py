"""Docker's rules for paths into a Windows container."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linwin.model.files import VolumePath, follow, parse_entry, parse_folder, parse_path, shown_link


@pytest.mark.parametrize(
    "text", ["C:\\a\\b", "c:/a/b", "/a/b", "\\a/b", "a\\b", "C:a/b", "//a//b", "/a/./x/../b"]
)
def test_one_file_has_many_spellings(text: str) -> None:
    assert parse_path(text) == VolumePath(("a", "b"), is_folder=False, base="b")


@pytest.mark.parametrize(
    ("text", "parts", "base"),
    [
        ("/", (), "/"),
        ("C:\\", (), "/"),
        ("c:/.", (), "."),
        (".", (), "."),
        ("..", (), "/"),
        ("/a/", ("a",), "a"),
        ("C:\\a\\.", ("a",), "."),
        ("a\\b\\", ("a", "b"), "b"),
        ("/a/../../..", (), "/"),
    ],
)
def test_folders_that_are_said_to_be_folders(text: str, parts: tuple[str, ...], base: str) -> None:
    assert parse_path(text) == VolumePath(parts, is_folder=True, base=base)


@pytest.mark.parametrize("text", ["D:\\x", "z:/", "\\\\server\\share\\x", "\\\\?\\C:\\x"])
def test_other_drives_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"The specified path is not on the system drive \(C:\)"):
        parse_path(text)


def test_a_drive_alone_is_no_path() -> None:
    with pytest.raises(ValueError, match='No relative path specified in "C:"'):
        parse_path("C:")


def test_a_drive_alone_is_the_root_to_unpack_in() -> None:
    assert parse_folder("c:") == parse_path("C:/")
    assert parse_folder("C:\\x") == parse_path("C:\\x")
    with pytest.raises(ValueError, match="not on the system drive"):
        parse_folder("D:")


@given(st.text())
def test_no_path_and_no_entry_leads_out(text: str) -> None:
    for parse in (lambda: parse_path(text).parts, lambda: parse_entry(text), lambda: follow(text, ("a",))):
        try:
            parts = parse()
        except ValueError:
            continue
        assert not {"", ".", ".."} & set(parts)
        assert not any(set("/\\\0") & set(part) for part in parts)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("C:\\dir\\new.txt", ("dir", "new.txt")),
        ("./a/b/", ("a", "b")),
        ("/a", ("a",)),
        ("a/../b", ("b",)),
        (".", ()),
    ],
)
def test_entries(name: str, parts: tuple[str, ...]) -> None:
    assert parse_entry(name) == parts


@pytest.mark.parametrize("name", ["..", "a/../../b", "C:\\..\\x"])
def test_entries_that_lead_out(name: str) -> None:
    with pytest.raises(ValueError, match="it is outside of the folder that is copied to"):
        parse_entry(name)


@pytest.mark.parametrize(
    ("link", "parts", "shown"),
    [
        ("x", ("a", "b", "x"), "x"),
        ("..\\x", ("a", "x"), "../x"),
        ("C:\\x", ("x",), "/x"),
        ("\\??\\C:\\x", ("x",), "/x"),
        ("/??/C:/x", ("x",), "/x"),
        ("\\x", ("x",), "/x"),
        ("..\\..\\..\\..\\x", ("x",), "../../../../x"),
        ("c:\\", (), "/"),
    ],
)
def test_links(link: str, parts: tuple[str, ...], shown: str) -> None:
    assert follow(link, ("a", "b")) == parts
    assert shown_link(link) == shown


def test_a_link_to_another_drive() -> None:
    with pytest.raises(ValueError, match="not on the system drive"):
        follow("\\??\\D:\\x", ())
    assert shown_link("D:\\x") == "D:/x"

"""Where something is mounted, in all its spellings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linwin.model.mount import parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("C:\\data", "C:\\data"),
        ("c:/data/", "C:\\data"),
        ("/data", "C:\\data"),
        ("\\data\\", "C:\\data"),
        ("c://data", "C:\\data"),
        ("/a/./x/../b", "C:\\a\\b"),
        ("C:\\..\\..\\a", "C:\\a"),
        ("D:", "D:\\"),
        ("d:\\", "D:\\"),
        ("d:/x y\\z", "D:\\x y\\z"),
        ("d:\\x\\..", "D:\\"),
        ("\\\\?\\C:\\a", "C:\\a"),
        ("//?/d:/", "D:\\"),
        ("/.git", "C:\\.git"),
        ("/Ünïcode", "C:\\Ünïcode"),
        ("/null", "C:\\null"),
        ("/com10", "C:\\com10"),
    ],
)
def test_spellings(text: str, target: str) -> None:
    assert parse_target(text) == target


ROOT = "destination path cannot be `c:` or `c:\\`: c:\\"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid mount path: '' mount path must be absolute"),
        ("data", "invalid mount path: 'data' mount path must be absolute"),
        (".\\data", "invalid mount path: '.\\data' mount path must be absolute"),
        ("c:data", "invalid mount path: 'c:data' mount path must be absolute"),
        ("c:", ROOT),
        ("C:/", ROOT),
        ("/", ROOT),
        ("\\a\\..\\..", ROOT),
        ("\\\\server\\x", "invalid mount path: '\\\\server\\x': it is no path of a drive"),
        ("//./pipe/x", "invalid mount path: '//./pipe/x': it is no path of a drive"),
        ("/a:b", "invalid mount path: '/a:b': no name of Windows has the character ':'"),
        ("/a\n", "invalid mount path: '/a\n': no name of Windows has the character '\\n'"),
        ("/a/*", "invalid mount path: '/a/*': no name of Windows has the character '*'"),
        ("/a./b", "invalid mount path: '/a./b': no name of Windows ends in a dot or a space, as 'a.' does"),
        ("/a ", "invalid mount path: '/a ': no name of Windows ends in a dot or a space, as 'a ' does"),
        ("/...", "invalid mount path: '/...': no name of Windows ends in a dot or a space, as '...' does"),
        ("/NUL", "invalid mount path: '/NUL': NUL is the name of a device"),
        ("/aux.txt/x", "invalid mount path: '/aux.txt/x': aux.txt is the name of a device"),
    ],
)
def test_what_is_no_path_to_mount_at(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_target(text)
    assert str(caught.value) == message


@given(st.text(alphabet="cCdD:/\\. ax?", max_size=12))
def test_what_was_read_once_reads_the_same_again(text: str) -> None:
    try:
        target = parse_target(text)
    except ValueError:
        return
    assert parse_target(target) == target

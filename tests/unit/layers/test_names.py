"""Every disguise in which a name could leave its place, and the names that must pass."""

from __future__ import annotations

import pytest

from linwin.layers.errors import Malformed
from linwin.layers.names import Area, split_area, split_stream


@pytest.mark.parametrize(
    ("name", "area", "path"),
    [
        ("Files", Area.FILES, ""),
        ("Files/", Area.FILES, ""),
        ("Files/a/b c/ü", Area.FILES, "a/b c/ü"),
        ("Files/dir/", Area.FILES, "dir"),
        ("Files/..a", Area.FILES, "..a"),
        ("Files/.gitignore", Area.FILES, ".gitignore"),
        ("Files/console", Area.FILES, "console"),
        ("Files/com10.txt", Area.FILES, "com10.txt"),
        ("Files/auxiliary", Area.FILES, "auxiliary"),
        ("Files/a/$MFT", Area.FILES, "a/$MFT"),
        ("Files/$Recycle.Bin/x", Area.FILES, "$Recycle.Bin/x"),
        ("Files/ leading space", Area.FILES, " leading space"),
        ("Files/" + "n" * 255, Area.FILES, "n" * 255),
        ("Files/\ud800 lone", Area.FILES, "\ud800 lone"),
        ("Files/f:s", Area.FILES, "f:s"),
        ("Hives/System_Delta", Area.HIVES, "System_Delta"),
        ("UtilityVM/Files/EFI", Area.UTILITY_VM, "Files/EFI"),
    ],
)
def test_names_that_pass(name: str, area: Area, path: str) -> None:
    assert split_area(name) == (area, path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "it lies outside Files, Hives and UtilityVM"),
        ("/", "it lies outside Files, Hives and UtilityVM"),
        ("/etc/passwd", "it lies outside Files, Hives and UtilityVM"),
        ("./Files/a", "it lies outside Files, Hives and UtilityVM"),
        ("../Files/a", "it lies outside Files, Hives and UtilityVM"),
        ("C:/Windows", "it lies outside Files, Hives and UtilityVM"),
        ("files/a", "it lies outside Files, Hives and UtilityVM"),
        ("Files\\a", "it lies outside Files, Hives and UtilityVM"),
        ("Files//etc", "an empty name is not allowed"),
        ("Files/a//b", "an empty name is not allowed"),
        ("Files/a//", "an empty name is not allowed"),
        ("Files/..", '".." is not allowed in a name'),
        ("Files/../a", '".." is not allowed in a name'),
        ("Files/a/../../b", '".." is not allowed in a name'),
        ("Files/a/..", '".." is not allowed in a name'),
        ("Files/./a", '"." is not allowed in a name'),
        ("Files/..\\a", "a backslash is not allowed in a name"),
        ("Files/a\\..\\b", "a backslash is not allowed in a name"),
        ("Files/C:/a", "the character ':' is not allowed in a name"),
        ("Files/a:b/c", "the character ':' is not allowed in a name"),
        ("Files/:stream", "a stream needs a file's name before it"),
        ("Files/a*", "the character '*' is not allowed in a name"),
        ("Files/a?/b", "the character '?' is not allowed in a name"),
        ('Files/"', "the character '\"' is not allowed in a name"),
        ("Files/a\0b", "the character '\\x00' is not allowed in a name"),
        ("Files/a\nb", "the character '\\n' is not allowed in a name"),
        ("Files/a.", "a name cannot end in a dot or a space"),
        ("Files/a ", "a name cannot end in a dot or a space"),
        ("Files/a./b", "a name cannot end in a dot or a space"),
        ("Files/.. /b", "a name cannot end in a dot or a space"),
        ("Files/...", "a name cannot end in a dot or a space"),
        ("Files/a :s", "a name cannot end in a dot or a space"),
        ("Files/NUL", "'NUL' is the name of a device"),
        ("Files/con.txt", "'con.txt' is the name of a device"),
        ("Files/a/Aux/b", "'Aux' is the name of a device"),
        ("Files/COM1 .x", "'COM1 .x' is the name of a device"),
        ("Files/lpt²", "'lpt²' is the name of a device"),
        ("Files/conin$", "'conin$' is the name of a device"),
        ("Files/NUL:s", "'NUL' is the name of a device"),
        ("Files/$MFT", "$MFT belongs to the volume itself"),
        ("Files/$mft", "$mft belongs to the volume itself"),
        ("Files/$Extend/$Reparse", "$Extend belongs to the volume itself"),
        ("Files/$Secure:$SDS", "$Secure belongs to the volume itself"),
        ("Files/" + "n" * 256, "a name is longer than 255 characters"),
        ("Files/" + "😀" * 128, "a name is longer than 255 characters"),
        ("Files/" + "/".join(["d"] * 1002), "its path is too deep"),
        ("Files/" + "/".join(["n" * 250] * 128), "its path is too long"),
        ("Hives/../a", '".." is not allowed in a name'),
        ("UtilityVM/../a", '".." is not allowed in a name'),
    ],
)
def test_names_that_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(Malformed) as raised:
        split_area(name)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("f", ("f", None)),
        ("d/f:s", ("d/f", "s")),
        ("f:s:$DATA", ("f", "s")),
        ("f:s:$data", ("f", "s")),
        ("f:$x", ("f", "$x")),
    ],
)
def test_streams(path: str, expected: tuple[str, str | None]) -> None:
    assert split_stream(path) == expected


@pytest.mark.parametrize("path", ["f:", "f::$DATA", "f:a:b", "f:a:$DATA:$DATA", "f:a\0"])
def test_streams_that_are_refused(path: str) -> None:
    with pytest.raises(Malformed) as raised:
        split_stream(path)
    assert str(raised.value) == "the name of its stream is not valid"

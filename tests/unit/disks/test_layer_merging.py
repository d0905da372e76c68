"""What an upper layer does to what lower ones brought."""

from __future__ import annotations

import struct

import pytest
from dissect.ntfs import NTFS

from linwin.errors import InvalidRequest
from tests.unit.disks.conftest import Apply
from tests.unit.disks.fsntfs_reader import as_raw
from tests.unit.layers.windows_tar import HARD_LINK, SYMBOLIC_LINK, LayerTar, b64

DOTLESS = "\N{LATIN SMALL LETTER DOTLESS I}"

LOWER = (
    LayerTar()
    .directory("Files/Keep")
    .add("Files/Keep/one.txt", b"1")
    .directory("Files/Keep/sub")
    .add("Files/Keep/sub/two.txt", b"2")
    .directory("Files/Gone")
    .directory("Files/Gone/deep")
    .add("Files/Gone/deep/three.txt", b"3")
    .add("Files/Straße.txt", b"s")
    .bytes()
)


async def test_names_merge_without_regard_to_case(apply: Apply) -> None:
    upper = LayerTar().directory("Files/KEEP").add("Files/keep/ONE.TXT", b"new").add("Files/keep/SUB/x", b"x")
    volume = await apply(LOWER, upper.bytes())
    assert volume["Keep/sub/x"].data == b"x"
    assert {name.lower() for name in volume.names() if name.startswith("Keep/")} == {
        "keep/one.txt",
        "keep/sub",
        "keep/sub/two.txt",
        "keep/sub/x",
    }
    assert volume["Keep/ONE.TXT"].data == b"new"


async def test_case_is_folded_by_the_volumes_table_not_by_a_languages_rules(apply: Apply) -> None:
    upper = LayerTar().add("Files/STRASSE.txt", b"other").add("Files/STRAßE.TXT", b"same")
    volume = await apply(LOWER, upper.bytes())
    assert volume["STRASSE.txt"].data == b"other"
    assert volume["STRAßE.TXT"].data == b"same"
    assert "Straße.txt" not in volume


async def test_a_directory_that_exists_takes_the_upper_layers_metadata(apply: Apply) -> None:
    pax = {"MSWINDOWS.fileattr": "18", "mtime": "1700000000.5"}
    volume = await apply(LOWER, LayerTar().directory("Files/Keep", pax=pax).bytes())
    assert volume["Keep"].attributes & 0xF == 2
    assert volume["Keep"].times[1] == 1_700_000_000_500_000_000
    assert volume["Keep/one.txt"].data == b"1"


async def test_whiteouts_remove_files_and_trees(apply: Apply) -> None:
    volume = await apply(LOWER, LayerTar().add("Files/.wh.gone").add("Files/Keep/.wh.One.txt").bytes())
    assert volume.names() == {"Keep", "Keep/sub", "Keep/sub/two.txt", "Straße.txt"}


async def test_whiteouts_of_what_is_not_there_do_nothing(apply: Apply) -> None:
    upper = (
        LayerTar().add("Files/.wh.nothing").add("Files/no/such/.wh.folder").add("Files/Keep/one.txt/.wh.x")
    )
    volume = await apply(LOWER, upper.bytes())
    assert volume["Keep/one.txt"].data == b"1"


async def test_a_whiteout_never_removes_what_its_own_layer_brings(apply: Apply) -> None:
    before = LayerTar().add("Files/.wh.Gone").directory("Files/Gone").add("Files/Gone/new", b"n")
    after = LayerTar().directory("Files/Gone").add("Files/Gone/new", b"n").add("Files/.wh.Gone")
    for upper in (before, after):
        volume = await apply(LOWER, upper.bytes())
        assert {name for name in volume.names() if name.startswith("Gone")} == {"Gone", "Gone/new"}


async def test_a_whiteout_spares_a_link_that_its_own_layer_brings(apply: Apply) -> None:
    upper = LayerTar().add("Files/Gone/link", type=HARD_LINK, link="Files/Keep/one.txt").add("Files/.wh.Gone")
    volume = await apply(LOWER, upper.bytes())
    assert volume["Gone/link"].data == b"1"
    assert "Gone/deep" not in volume


async def test_opaque_whiteouts_empty_a_directory_of_lower_layers_files(apply: Apply) -> None:
    first = LayerTar().add("Files/Keep/.wh..wh..opq").add("Files/Keep/sub/new", b"n")
    last = LayerTar().add("Files/Keep/sub/new", b"n").add("Files/Keep/.wh..wh..opq")
    for upper in (first, last):
        volume = await apply(LOWER, upper.bytes())
        assert {name for name in volume.names() if name.startswith("Keep")} == {
            "Keep",
            "Keep/sub",
            "Keep/sub/new",
        }


async def test_files_and_directories_replace_each_other(apply: Apply) -> None:
    upper = LayerTar().add("Files/Gone", b"a file now").directory("Files/Keep/one.txt")
    upper.add("Files/Keep/one.txt/in", b"i")
    volume = await apply(LOWER, upper.bytes())
    assert volume["Gone"].data == b"a file now"
    assert volume["Keep/one.txt/in"].data == b"i"
    assert not [name for name in volume.names() if name.startswith("Gone/")]


async def test_links_are_replaced_and_never_followed(apply: Apply) -> None:
    lower = LayerTar().directory("Files/real").add("Files/real/f", b"safe")
    folder_link = {"MSWINDOWS.fileattr": str(0x410)}
    lower.add("Files/link", type=SYMBOLIC_LINK, link="real", pax=folder_link)
    upper = LayerTar().directory("Files/link").add("Files/link/f", b"new")
    volume = await apply(lower.bytes(), upper.bytes())
    assert volume.files() == {"real/f": b"safe", "link/f": b"new"}


async def test_a_whiteout_of_a_link_leaves_its_target(apply: Apply) -> None:
    lower = LayerTar().directory("Files/real").add("Files/real/f", b"safe")
    lower.add("Files/link", type=SYMBOLIC_LINK, link="real", pax={"MSWINDOWS.fileattr": str(0x410)})
    volume = await apply(lower.bytes(), LayerTar().add("Files/.wh.link").bytes())
    assert volume.names() == {"real", "real/f"}


async def test_the_same_name_twice_in_one_layer_keeps_the_last(apply: Apply) -> None:
    volume = await apply(LayerTar().add("Files/f", b"first").add("Files/F", b"second").bytes())
    assert volume.files() == {"F": b"second"}


async def test_thousands_of_names_can_go(apply: Apply) -> None:
    lower = LayerTar()
    for n in range(3000):
        lower.add(f"Files/many/{n % 7}/file {n}", b"x")
    upper = LayerTar().add("Files/.wh.many").add("Files/left", b"l")
    assert (await apply(lower.bytes(), upper.bytes())).files() == {"left": b"l"}


async def test_a_folder_may_come_after_its_children_and_before_them(apply: Apply) -> None:
    hidden = {"MSWINDOWS.fileattr": str(0x12), "mtime": "1000000000.5"}
    late = LayerTar().add("Files/d/e/f", b"f").directory("Files/d/e", pax=hidden)
    late.directory("Files/d", pax=hidden)
    early = LayerTar().directory("Files/d", pax=hidden).directory("Files/d/e", pax=hidden)
    early.add("Files/d/e/f", b"f")
    for tar in (late, early):
        volume = await apply(tar.bytes())
        assert volume["d/e/f"].data == b"f"
        for name in ("d", "d/e"):
            assert volume[name].attributes & 0xF == 2
            assert volume[name].times[1] == 1_000_000_000_500_000_000


async def test_a_file_becomes_a_folder_and_a_file_again(apply: Apply) -> None:
    layers = [
        LayerTar().add("Files/x", b"1"),
        LayerTar().directory("Files/X").add("Files/x/in", b"2"),
        LayerTar().add("Files/x", b"3"),
    ]
    assert (await apply(layers[0].bytes(), layers[1].bytes())).files() == {"X/in": b"2"}
    assert (await apply(*(layer.bytes() for layer in layers))).files() == {"x": b"3"}


async def test_a_parent_that_is_left_out_replaces_a_lower_layers_file(apply: Apply) -> None:
    volume = await apply(LOWER, LayerTar().add("Files/Keep/one.txt/deep/in", b"i").bytes())
    assert volume["Keep/one.txt/deep/in"].data == b"i"


async def test_whiteouts_leave_their_folders_times_alone(apply: Apply) -> None:
    times = {"mtime": "1000000000.5"}
    lower = LayerTar().directory("Files/d", pax=times).add("Files/d/f").add("Files/d/g")
    volume = await apply(lower.bytes(), LayerTar().add("Files/d/.wh.f").bytes())
    assert volume.names() == {"d", "d/g"}
    assert volume["d"].times[1] == 1_000_000_000_500_000_000


async def test_a_folder_that_is_merged_loses_the_extended_attributes_it_had(apply: Apply) -> None:
    lower = LayerTar().directory("Files/d", pax={"MSWINDOWS.xattr.A": b64(b"value")})
    assert (await apply(lower.bytes())).found["d"].extended
    volume = await apply(lower.bytes(), LayerTar().directory("Files/d").bytes())
    assert volume["d"].extended == b""


async def test_streams_are_told_apart_without_regard_to_case(apply: Apply) -> None:
    tar = LayerTar().add("Files/f").add("Files/f:Stream", b"first").add("Files/f:sTREAM:$data", b"second")
    tar.add("Files/F:other", b"o")
    assert (await apply(tar.bytes()))["f"].streams == {"Stream": b"second", "other": b"o"}


async def test_every_letter_is_folded_as_the_volume_does(apply: Apply, blank_disk, tmp_path) -> None:
    """Names that Python takes for equal, or Windows does, meet exactly where $UpCase says so."""
    table = upcase(blank_disk, tmp_path)
    letters = [chr(unit) for unit in range(0xA0, 0xD800) if chr(unit).upper() != chr(unit)]
    pairs = [(letter, letter.upper()) for letter in letters if len(letter.upper()) == 1]
    pairs += [("ß", "ẞ"), ("ß", "ss"), ("i", "İ"), (DOTLESS, "i"), ("\U00010428", "\U00010400"), ("ა", "Ა")]
    lower, upper, expected = LayerTar(), LayerTar(), {}
    for number, (small, large) in enumerate(pairs):
        lower.add(f"Files/{number}/{small}", b"small")
        upper.add(f"Files/{number}/{large}", b"large")
        same = [table.get(letter, letter) for letter in small] == [
            table.get(letter, letter) for letter in large
        ]
        expected |= {f"{number}/{large}": b"large"} | ({} if same else {f"{number}/{small}": b"small"})
    assert len([path for path in expected if expected[path] == b"small"]) > 5
    assert (await apply(lower.bytes(), upper.bytes())).files() == expected


def upcase(disk, tmp_path) -> dict[str, str]:
    """The letters that the volume's own table changes, read with dissect.ntfs."""
    with as_raw(disk, tmp_path / "blank.raw").open("rb") as file:
        data = NTFS(file).mft.get("$UpCase").open().read()
    table = struct.unpack(f"<{len(data) // 2}H", data)
    return {chr(unit): chr(upper) for unit, upper in enumerate(table) if unit != upper}


async def test_a_links_name_is_folded_as_the_volume_does(apply: Apply) -> None:
    """To Python the upper case of the dotless i is I."""
    lower = LayerTar().add("Files/target", b"t").add("Files/I", b"lower").add("Files/ü", b"lower")
    upper = LayerTar().add(f"Files/{DOTLESS}", type=HARD_LINK, link="Files/target").add("Files/.wh.I")
    upper.add("Files/ü", type=HARD_LINK, link="Files/target").add("Files/.wh.Ü")
    volume = await apply(lower.bytes(), upper.bytes())
    assert volume.files() == {"target": b"t", DOTLESS: b"t", "ü": b"t"}


@pytest.mark.parametrize(
    ("path", "target"),
    [("Gone", "Gone/deep/three.txt"), ("Keep/one.txt/below", "Keep/one.txt")],
    ids=["in the folder it replaces", "the parent it replaces"],
)
async def test_a_link_whose_own_name_takes_its_target_away(
    disks, base, store, path: str, target: str
) -> None:
    upper = LayerTar().add(f"Files/{path}", type=HARD_LINK, link=f"Files/{target}").bytes()
    with pytest.raises(InvalidRequest) as raised:
        await disks.chain(base, [store(LOWER), store(upper)], lambda _: None)
    assert raised.value.message.endswith(f'entry "Files/{path}": there is no file "{target}" to link to')

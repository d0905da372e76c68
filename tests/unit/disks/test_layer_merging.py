"""What an upper layer does to what lower ones brought."""

from __future__ import annotations

from tests.unit.disks.conftest import Apply
from tests.unit.layers.windows_tar import HARD_LINK, SYMBOLIC_LINK, LayerTar

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

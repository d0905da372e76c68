"""What a layer's entries become on the volume, as a reader of its own sees it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.unit.disks.conftest import Apply
from tests.unit.disks.fsntfs_reader import as_raw, listed
from tests.unit.layers.raw_tar import RawTar
from tests.unit.layers.windows_tar import (
    ADMINISTRATORS,
    CRANE_DESCRIPTOR,
    DIRECTORY,
    FULL_FOR_SYSTEM,
    HARD_LINK,
    SYMBOLIC_LINK,
    TOOLS,
    LayerTar,
    b64,
    docker_on_windows,
)

FILES = {
    "app/readme.txt": b"small\r\n",
    "app/empty": b"",
    "app/bin/tool.exe": bytes(range(256)) * 9000,
    "app/bin/exactly one piece": b"p" * (1 << 20),
    "app/ünïcode 名前 😀.txt": "名前".encode(),
    "top.txt": b"t" * 4096,
}
NANOSECONDS = 10**9
REFUSED = '"*/:<>?|\\'


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
async def test_layers_of_every_tool_arrive_whole(apply: Apply, tool) -> None:
    volume = await apply(tool(FILES))
    assert volume.files() == FILES
    assert {name for name in volume.names() if volume[name].is_directory} == {"app", "app/bin"}


async def test_all_metadata_that_docker_on_windows_writes_is_kept(apply: Apply) -> None:
    volume = await apply(docker_on_windows(FILES))
    for name in volume.names():
        assert volume[name].times == (
            1500000000_765432100,
            1600000000_123456700,
            1600000002_250000000,
            1600000001_500000000,
        )
        assert volume[name].security == FULL_FOR_SYSTEM
    assert volume["app/readme.txt"].attributes == 0x20


async def test_short_descriptors_are_kept(apply: Apply) -> None:
    pax = {"MSWINDOWS.rawsd": b64(CRANE_DESCRIPTOR)}
    volume = await apply(LayerTar().directory("Files/d", pax=pax).add("Files/d/f", pax=pax).bytes())
    assert volume["d"].security == volume["d/f"].security == CRANE_DESCRIPTOR


async def test_without_a_descriptor_the_parents_is_inherited(apply: Apply) -> None:
    volume = await apply(LayerTar().directory("Files/d").add("Files/d/f").bytes())
    assert volume["d/f"].security is not None
    assert ADMINISTRATORS in volume["d/f"].security


async def test_attributes(apply: Apply) -> None:
    kept = 0x1 | 0x2 | 0x4 | 0x20 | 0x100 | 0x1000 | 0x2000
    tar = LayerTar()
    for bit in (0, 0x1, 0x2, 0x4, 0x20, 0x100, 0x1000, 0x2000, kept):
        tar.add(f"Files/{bit:x}", pax={"MSWINDOWS.fileattr": str(bit)})
    tar.directory("Files/hidden", pax={"MSWINDOWS.fileattr": str(0x16)})
    volume = await apply(tar.bytes())
    for bit in (0, 0x1, 0x2, 0x4, 0x20, 0x100, 0x1000, 0x2000, kept):
        assert volume[f"{bit:x}"].attributes == bit
    assert volume["hidden"].attributes & 0xFF == 0x6
    assert volume["hidden"].is_directory


async def test_a_directory_keeps_its_times_when_it_is_filled(apply: Apply) -> None:
    pax = {"mtime": "1234567890.1234567"}
    tar = LayerTar().directory("Files/d", pax=pax)
    for n in range(500):
        tar.add(f"Files/d/a rather long name of a file, number {n}")
    volume = await apply(tar.bytes())
    assert volume["d"].times[1] == 1234567890_123456700
    assert len(volume.files()) == 500


async def test_times_before_1970_and_whole_seconds(apply: Apply) -> None:
    tar = LayerTar().add("Files/old", pax={"mtime": "-1.5"}).add("Files/plain", mtime=1_000_000_000)
    volume = await apply(tar.bytes())
    assert volume["old"].times[1] == -1_500_000_000
    assert volume["plain"].times == (1_000_000_000 * NANOSECONDS,) * 4


async def test_alternate_streams(apply: Apply) -> None:
    big = bytes(range(256)) * 5000
    tar = LayerTar().directory("Files/d").add("Files/d/f", b"data", pax={"mtime": "1000000000"})
    tar.add("Files/d/f:Zone.Identifier", b"[ZoneTransfer]\r\n").add("Files/d/f:big:$DATA", big)
    tar.add("Files/d:on a folder", b"s").add("Files/d/g", b"next")
    volume = await apply(tar.bytes())
    assert volume["d/f"].data == b"data"
    assert volume["d/f"].streams == {"Zone.Identifier": b"[ZoneTransfer]\r\n", "big": big}
    assert volume["d/f"].times[1] == 1_000_000_000 * NANOSECONDS
    assert volume["d"].streams == {"on a folder": b"s"}
    assert volume["d/g"].data == b"next"


async def test_hard_links_within_and_across_layers(apply: Apply) -> None:
    lower = LayerTar().add("Files/a", b"shared").add("Files/b", type=HARD_LINK, link="Files/a")
    upper = LayerTar().directory("Files/d").add("Files/d/c", type=HARD_LINK, link="Files/A")
    # BuildKit forgets the prefix of the target.
    upper.add("Files/d/e", type=HARD_LINK, link="d/c")
    volume = await apply(lower.bytes(), upper.bytes())
    assert len({volume[name].number for name in ("a", "b", "d/c", "d/e")}) == 1
    assert volume["d/e"].data == b"shared"


async def test_replacing_a_name_leaves_the_files_other_names_alone(apply: Apply) -> None:
    lower = LayerTar().add("Files/a", b"old").add("Files/b", type=HARD_LINK, link="Files/a")
    volume = await apply(lower.bytes(), LayerTar().add("Files/a", b"new").bytes())
    assert volume.files() == {"a": b"new", "b": b"old"}


async def test_extended_attributes(apply: Apply) -> None:
    pax = {"MSWINDOWS.xattr.FIRST": b64(b"1"), "MSWINDOWS.xattr.second": b64(b"two" * 100)}
    volume = await apply(LayerTar().add("Files/f", pax=pax).bytes())
    entries, at = {}, 0
    stored = volume["f"].extended
    while at < len(stored):
        length, _, name_length, value_length = struct.unpack_from("<IBBH", stored, at)
        name = stored[at + 8 : at + 8 + name_length]
        entries[name] = stored[at + 9 + name_length : at + 9 + name_length + value_length]
        at += length
    assert entries == {b"FIRST": b"1", b"SECOND": b"two" * 100}


@pytest.mark.parametrize(
    ("target", "attributes", "pax", "tag", "substitute", "printed"),
    [
        ("other.txt", 0, {}, 0xA000000C, "other.txt", "other.txt"),
        ("..\\up", 0x10, {}, 0xA000000C, "..\\up", "..\\up"),
        ("C:\\Windows", 0x10, {}, 0xA000000C, "\\??\\C:\\Windows", "C:\\Windows"),
        ("\\\\host\\share", 0x10, {}, 0xA000000C, "\\??\\UNC\\host\\share", "\\\\host\\share"),
        ("C:\\Users", 0x10, {"MSWINDOWS.mountpoint": "1"}, 0xA0000003, "\\??\\C:\\Users", "C:\\Users"),
        (
            "\\\\?\\Volume{1}\\",
            0x10,
            {"MSWINDOWS.mountpoint": "1"},
            0xA0000003,
            "\\??\\Volume{1}\\",
            "\\\\?\\Volume{1}\\",
        ),
    ],
)
async def test_reparse_points(apply: Apply, target, attributes, pax, tag, substitute, printed) -> None:
    pax = {**pax, "MSWINDOWS.fileattr": str(attributes | 0x400)}
    volume = await apply(LayerTar().add("Files/link", type=SYMBOLIC_LINK, link=target, pax=pax).bytes())
    link = volume["link"]
    assert link.is_directory == bool(attributes)
    assert link.attributes & 0x400
    found_tag, _, _, s_at, s_length, p_at, p_length = struct.unpack_from("<IHHHHHH", link.reparse)
    names = link.reparse[16 if tag == 0xA0000003 else 20 :]
    assert found_tag == tag
    assert names[s_at : s_at + s_length].decode("utf-16-le") == substitute
    assert names[p_at : p_at + p_length].decode("utf-16-le") == printed


async def test_parents_that_a_layer_leaves_out_are_created(apply: Apply) -> None:
    volume = await apply(LayerTar().add("Files/a/b/c", b"x", mtime=1_000_000_000).bytes())
    assert volume["a/b/c"].data == b"x"
    assert volume["a/b"].is_directory
    assert volume["a/b"].times[1] == 1_000_000_000 * NANOSECONDS


async def test_long_names_and_deep_paths(apply: Apply) -> None:
    long_name = "Files/" + "n" * 255
    deep_name = "Files/" + "/".join(["deep"] * 300)
    volume = await apply(LayerTar().add(long_name, b"1").add(deep_name, b"2").bytes())
    assert volume["n" * 255].data == b"1"
    assert volume["/".join(["deep"] * 300)].data == b"2"


async def test_the_longest_path(apply: Apply) -> None:
    path = "/".join(["p" * 255] * 124 + ["f" * 255])
    assert len(path) == 31_999
    volume = await apply(LayerTar().add(f"Files/{path}", b"far down").bytes())
    assert volume[path].data == b"far down"


async def test_every_character_that_windows_allows(apply: Apply) -> None:
    allowed = [
        chr(code) for code in (*range(0x20, 0xD800), *range(0xE000, 0x10000)) if chr(code) not in REFUSED
    ]
    names = ["x" + "".join(allowed[at : at + 200]) + "x" for at in range(0, len(allowed), 200)]
    tar = LayerTar()
    for name in names:
        tar.add(f"Files/{name}", b"f")
    assert (await apply(tar.bytes())).names() == set(names)


async def test_utility_vm_is_left_out(apply: Apply) -> None:
    tar = LayerTar().directory("Files").directory("UtilityVM").directory("UtilityVM/Files")
    tar.add("UtilityVM/Files/x", b"u").add("UtilityVM/SystemTemplate.vhdx", b"v").directory("Hives")
    tar.add("UtilityVM/Files/l", type=HARD_LINK, link="Files/none").add("Files/f", b"f")
    assert (await apply(tar.bytes())).files() == {"f": b"f"}


async def test_unpaired_surrogates_are_kept(disks, base, store, tmp_path: Path) -> None:
    """NTFS takes any UTF-16, and Go writes it so; of the readers only libfsntfs shows it."""
    name = "unpaired \ud83d, \udc00 surrogates"
    layer = RawTar().add(f"Files/{name}", b"s").bytes()
    _, end = await disks.chain(base, [store(layer)], lambda _: None)
    found = listed(as_raw(end, tmp_path / "raw"))
    assert found[name].data == b"s"


async def test_the_root_keeps_its_own_attributes(apply: Apply) -> None:
    tar = LayerTar().add("Files", type=DIRECTORY, pax={"MSWINDOWS.fileattr": "18"}).add("Files/f")
    assert (await apply(tar.bytes())).names() == {"f"}

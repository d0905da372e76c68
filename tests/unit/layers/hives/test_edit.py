"""Hives that are changed in place, read back by dissect.regf, hivex and the checker of every cell."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest

from linwin.layers.errors import Malformed
from linwin.layers.hives import HiveEditor, Protection, apply, read_delta
from linwin.layers.hives.cells import Cells
from linwin.layers.hives.operations import PutKey, SetValue
from linwin.layers.hives.records import Lower
from tests.unit.layers.hives.hive_checker import Checker, read
from tests.unit.layers.hives.hive_writer import (
    LINK,
    MERGE,
    OTHER,
    PLAIN,
    REG_BINARY,
    REG_DWORD,
    REG_LINK,
    REG_SZ,
    SUPERSEDE_NODE,
    SUPERSEDE_TREE,
    TOMBSTONE,
    WHEN,
    Deleted,
    HiveWriter,
    Key,
    descriptor,
    seal,
    text,
    upper,
)
from tests.unit.layers.hives.memory import Memory, merged

BASE = Key(
    "ROOT",
    {},
    [
        Key(
            "Vendor",
            {"Version": (REG_SZ, text("1")), "Path": (REG_SZ, text("C:\\x"))},
            [Key("Lower", {"v": (REG_DWORD, b"\1\0\0\0")}, [Key("Deep")])],
            class_name="lower class",
        ),
        Key("Other", security=OTHER),
    ],
)


def delta(*keys: Key, **values: object) -> bytes:
    return HiveWriter(layered=True).write(Key("D", values, list(keys)))  # type: ignore[arg-type]


def edited(base: bytes, layer: bytes) -> Memory:
    file = Memory(base)
    editor = HiveEditor(file, upper)
    apply(read_delta(Memory(layer), upper), editor, Protection((), upper))
    editor.finish()
    return file


def test_merge_keeps_what_the_delta_does_not_name() -> None:
    tree = read(merged(HiveWriter().write(BASE), delta(Key("VENDOR", {"VERSION": (REG_SZ, text("22"))}))))
    assert tree["Vendor"].name == "Vendor"
    assert tree["Vendor"].values["VERSION"] == ("Version", REG_SZ, text("22"))
    assert tree["Vendor"].data("Path") == text("C:\\x")
    assert "Vendor\\Lower\\Deep" in tree


def test_superseding_a_node_keeps_its_subkeys() -> None:
    tree = read(merged(HiveWriter().write(BASE), delta(Key("Vendor", semantics=SUPERSEDE_NODE))))
    assert tree["Vendor"].values == {}
    assert tree["Vendor"].class_name == ""
    assert tree["Vendor\\Lower"].data("v") == b"\1\0\0\0"


def test_superseding_a_tree_leaves_what_the_delta_has() -> None:
    new = Key("Vendor", subkeys=[Key("New")], semantics=SUPERSEDE_TREE)
    tree = read(merged(HiveWriter().write(BASE), delta(new)))
    assert list(tree["Vendor"].children) == ["NEW"]


@pytest.mark.parametrize(("inherits", "seen"), [(True, "lower class"), (False, "")])
def test_inheriting_a_class(inherits: bool, seen: str) -> None:
    tree = read(merged(HiveWriter().write(BASE), delta(Key("Vendor", inherits_class=inherits))))
    assert tree["Vendor"].class_name == seen


def test_tombstones() -> None:
    layer = delta(Key("Vendor", {"Version": Deleted, "none": Deleted}), Key("Other", semantics=TOMBSTONE))
    tree = read(merged(HiveWriter().write(BASE), layer))
    assert set(tree["Vendor"].values) == {"PATH"}
    assert "Other" not in tree


def test_cells_that_a_delta_frees_are_used_by_it() -> None:
    keys = [Key(f"k{n}", {"v": (3, bytes(100))}) for n in range(200)]
    base = HiveWriter().write(Key("R", {}, keys))
    again = merged(base, HiveWriter(layered=True).write(Key("D", {}, keys, semantics=SUPERSEDE_TREE)))
    assert len(read(again).children) == 200
    assert len(again) <= len(base) + 4096


def test_links_keep_their_flag() -> None:
    link = Key(
        "Link", {"SymbolicLinkValue": (REG_LINK, "\\Registry\\Machine\\x".encode("utf-16-le"))}, flags=LINK
    )
    assert read(merged(HiveWriter().write(BASE), delta(link)))["Link"].flags & LINK


def test_a_hive_that_stays_the_same_is_not_written() -> None:
    base = HiveWriter().write(BASE)
    file = edited(base, HiveWriter(layered=True).write(BASE))
    assert file.data == base
    assert file.pages == set()


def test_sequence_numbers_count_changes() -> None:
    hive = merged(HiveWriter().write(BASE), delta(Key("New")))
    assert struct.unpack_from("<II", hive, 4) == (8, 8)


def test_only_pages_that_are_touched_are_written() -> None:
    keys = [Key(f"k{n:04}", {"v": (REG_BINARY, bytes([n % 251]) * 2000)}) for n in range(2000)]
    base = HiveWriter(per_leaf=500).write(Key("R", {}, keys))
    file = edited(base, delta(Key("k1000", {"v": (REG_SZ, text("new"))}), Key("new")))
    assert len(file.pages) <= 6
    assert len(file.data) <= len(base) + 8192
    assert read(bytes(file.data))["k1000"].data("v") == text("new")


@pytest.mark.parametrize("leaf", ["li", "lf", "lh"])
@pytest.mark.parametrize("per_leaf", [0, 40])
def test_thousands_of_subkeys(leaf: str, per_leaf: int) -> None:
    """Lists are cut up as they grow, and go when they are empty."""
    base = HiveWriter(leaf=leaf, per_leaf=per_leaf).write(
        Key("R", {}, [Key(f"K{n:04}") for n in range(0, 1200, 2)])
    )
    hive = merged(base, delta(*(Key(f"k{n:04}") for n in range(1, 1200, 2))))
    assert list(read(hive).children) == [f"K{n:04}" for n in range(1200)]
    lists = set(re.findall(rb"(?s)(?<=[\xff])(ri|li|lf|lh)(?=..)", hive))
    assert b"ri" in lists
    hive = merged(hive, delta(*(Key(f"k{n:04}", semantics=TOMBSTONE) for n in range(3, 1200))))
    assert list(read(hive).children) == ["K0000", "K0001", "K0002"]


@pytest.mark.parametrize(
    "sizes", [(10, 20_000), (20_000, 10), (20_000, 50_000), (3, 300), (300, 3), (40, 20)]
)
def test_values_change_their_size(sizes: tuple[int, int]) -> None:
    before, after = ({"v": (REG_BINARY, bytes([7]) * size)} for size in sizes)
    hive = merged(HiveWriter().write(Key("R", before)), delta(**after))
    assert read(hive).data("v") == bytes([7]) * sizes[1]


def test_old_hives_have_no_big_data() -> None:
    hive = merged(
        HiveWriter(minor=3, leaf="lf").write(BASE), delta(Key("x", {"v": (REG_BINARY, bytes(50_000))}))
    )
    assert b"db" not in re.findall(rb"(?<=\xff)db", hive)
    assert read(hive)["x"].data("v") == bytes(50_000)


def test_descriptors_are_shared_and_given_back() -> None:
    third = descriptor(mask=0x10)
    layer = delta(Key("Other", security=third), Key("Vendor", security=third), Key("n", security=PLAIN))
    hive = merged(HiveWriter().write(BASE), layer)
    assert read(hive)["Other"].security == third
    checker = Checker(hive)
    checker.check()
    assert len(checker.users) == 2


def test_hivex_reads_the_same(tmp_path: Path) -> None:
    """A third reader, which knows nothing of layers."""
    layer = delta(
        Key("Ünïcode 日本", {"ü": (REG_SZ, text("wörds")), "d": (REG_DWORD, b"\x2a\0\0\0")}),
        Key("Vendor", {"Path": Deleted}, [Key("Lower", semantics=TOMBSTONE)]),
        *(Key(f"many {n}") for n in range(600)),
    )
    (tmp_path / "hive").write_bytes(merged(HiveWriter().write(BASE), layer))
    xml = subprocess.run(["hivexml", tmp_path / "hive"], capture_output=True, text=True, check=True).stdout
    assert '<node name="Ünïcode 日本">' in xml
    assert '<value type="string" key="ü" value="wörds">' in xml
    assert '<value type="int32" key="d" value="42">' in xml
    assert "Deep" not in xml
    assert 'key="Path"' not in xml
    assert xml.count('<node name="many ') == 600


def predefined(hive: bytes, name: bytes) -> bytes:
    """The hive with a key made one whose values come from elsewhere."""
    data = bytearray(hive)
    at = data.index(name) - 76
    struct.pack_into("<H", data, at + 2, 0x60)
    struct.pack_into("<I", data, at + 36, 0x80000050)
    return seal(bytes(data))


@pytest.mark.parametrize("semantics", [MERGE, SUPERSEDE_NODE, SUPERSEDE_TREE])
def test_keys_whose_values_come_from_elsewhere_keep_their_handle(semantics: int) -> None:
    base = predefined(HiveWriter().write(Key("R", {}, [Key("Perflib009")])), b"Perflib009")
    layer = delta(Key("Perflib009", {"Counter": (REG_SZ, text("x"))}, semantics=semantics, written=WHEN + 1))
    hive = merged(base, layer)
    at = hive.index(b"Perflib009") - 76
    assert struct.unpack_from("<HQ", hive, at + 2) == (0x60, WHEN + 1)
    assert struct.unpack_from("<II", hive, at + 36) == (0x80000050, 0xFFFFFFFF)
    gone = merged(hive, predefined(delta(Key("Perflib009", semantics=TOMBSTONE)), b"Perflib009"))
    assert read(gone).children == {}


# ---- bases that are damaged ------------------------------------------------------


def refusal(base: bytes, layer: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        merged(seal(base), layer)
    return str(caught.value)


def cell(hive: bytes, what: bytes) -> int:
    return hive.index(what) - 4 - 4096


def test_a_base_with_a_loop() -> None:
    base = bytearray(HiveWriter().write(Key("R", {}, [Key("a", {}, [Key("b", {}, [Key("c")])])])))
    leaves = [at for at in range(4096, len(base) - 8, 4) if base[at : at + 2] == b"lh"]
    key_a = struct.unpack_from("<I", base, leaves[2] + 4)[0]
    struct.pack_into("<I", base, leaves[0] + 4, key_a)
    assert refusal(bytes(base), delta(Key("a", semantics=TOMBSTONE))).startswith('key "a": ')


def test_a_base_whose_descriptors_are_not_linked() -> None:
    base = bytearray(HiveWriter().write(BASE))
    record = 4096 + 4 + cell(bytes(base), b"sk\0\0")
    struct.pack_into("<I", base, record + 8, cell(bytes(base), b"nk") + 4096)
    message = refusal(bytes(base), delta(Key("new", security=descriptor(mask=0x7))))
    assert 'key "new": ' in message


def test_a_key_that_grows_too_deep() -> None:
    file = Memory(HiveWriter().write(BASE))
    with pytest.raises(Malformed, match="keys lie more than 512 levels deep"):
        HiveEditor(file, upper).delete_key(("k",) * 513, Protection((), upper).keep)


def test_times_are_the_deltas() -> None:
    tree = read(merged(HiveWriter().write(BASE), delta(Key("Vendor", written=WHEN + 99))))
    assert (tree["Vendor"].written, tree["Other"].written) == (WHEN + 99, WHEN)


def test_a_key_that_is_deleted_and_put_again_is_a_new_one() -> None:
    """No delta of Windows does; one that has the same key twice would."""
    file = Memory(HiveWriter().write(BASE))
    editor = HiveEditor(file, upper)
    put = PutKey(("Vendor",), Lower.MERGED, "", PLAIN, WHEN, 0, 0)
    keep = Protection((), upper).keep
    editor.put_key(put, keep)
    editor.set_value(SetValue(("Vendor",), "before", REG_SZ, text("x")))
    editor.delete_key(("VENDOR",), keep)
    editor.put_key(put, keep)
    editor.set_value(SetValue(("Vendor",), "after", REG_SZ, text("x")))
    editor.finish()
    tree = read(bytes(file.data))
    assert set(tree["Vendor"].values) == {"AFTER"}
    assert tree["Vendor"].children == {}


def test_bins_that_overlap() -> None:
    """The later one is known first."""
    keys = [Key(f"k{n}", {"v": (REG_BINARY, bytes(3000))}) for n in range(4)]
    base = bytearray(HiveWriter().write(Key("R", {}, keys)))
    cells = Cells(Memory(bytes(base)), len(base) - 4096)
    cells.check_start(4096 * 2 + 32)
    struct.pack_into("<I", base, 4096 * 2 + 8, 4096 * 2)
    cells = Cells(Memory(bytes(base)), len(base) - 4096)
    cells.check_start(4096 * 2 + 32)
    with pytest.raises(Malformed, match=r"^the hive bin at 0x1000 overlaps another$"):
        cells.check_start(4096 + 32)


# ---- protection ------------------------------------------------------------------

PROTECTED = (("ControlSet###", "Services", "viostor"), ("Select",))
DEAD = Key("Parameters", semantics=TOMBSTONE)
DRIVER = Key("viostor", {"Start": (4, bytes(4))}, [Key("Parameters")])
SYSTEM = Key(
    "R",
    {},
    [
        Key(
            "ControlSet001",
            {"v": (REG_SZ, text("v"))},
            [Key("Services", {"s": (REG_SZ, text("s"))}, [DRIVER, Key("x")])],
        ),
        Key("Select", {"Current": (4, b"\1\0\0\0")}),
    ],
)  # fmt: skip


@pytest.mark.parametrize(
    "layer",
    [
        delta(Key("controlset001", semantics=TOMBSTONE), Key("Select", semantics=TOMBSTONE)),
        delta(Key("ControlSet001", semantics=SUPERSEDE_TREE)),
        delta(Key("ControlSet001", {}, [Key("Services", {}, [Key("VIOSTOR", {"Start": (4, b"\4\0\0\0")})])])),
        delta(
            Key("ControlSet001", {}, [Key("Services", {}, [Key("viostor", {}, [DEAD])])]),
        ),
        delta(Key("Select", {"Current": (4, b"\2\0\0\0")})),
        HiveWriter(layered=True).write(Key("D", semantics=SUPERSEDE_TREE)),
    ],
)  # fmt: skip
def test_protected_keys_stay(layer: bytes) -> None:
    tree = read(merged(HiveWriter().write(SYSTEM), layer, PROTECTED))
    driver = tree["ControlSet001\\Services\\viostor"]
    assert driver.data("Start") == bytes(4)
    assert "Parameters" in driver
    assert tree["Select"].data("Current") == b"\1\0\0\0"


def test_around_a_protected_key_all_goes() -> None:
    tree = read(
        merged(HiveWriter().write(SYSTEM), delta(Key("ControlSet001", semantics=TOMBSTONE)), PROTECTED)
    )
    assert tree["ControlSet001"].values == {}
    assert tree["ControlSet001\\Services"].values == {}
    assert set(tree["ControlSet001\\Services"].children) == {"VIOSTOR"}


def test_a_key_is_not_kept_for_something_that_is_not_there() -> None:
    bare = Key("R", {}, [Key("ControlSet002", {}, [Key("Services", {}, [Key("x")])])])
    tree = read(merged(HiveWriter().write(bare), delta(Key("ControlSet002", semantics=TOMBSTONE)), PROTECTED))
    assert tree.children == {}


def test_touched_keys_are_counted_once() -> None:
    layer = delta(
        Key("ControlSet001", {}, [Key("Services", {}, [Key("viostor", {"a": (4, b""), "b": (4, b"")})])]),
        Key("Select", {"Current": (4, b"")}),
    )
    protection = Protection(PROTECTED, upper)
    apply(read_delta(Memory(layer), upper), HiveEditor(Memory(HiveWriter().write(SYSTEM)), upper), protection)
    assert len(protection.touched) == 2


class Counting(Memory):
    """Counts the bytes that are written."""

    written = 0

    def write(self, at: int, data: bytes) -> None:
        self.written += len(data)
        super().write(at, data)


def work(count: int) -> tuple[int, int]:
    """Bytes written to add so many values to one key, and to delete them again."""
    names = [f"value {number:05}" for number in range(count)]
    file, sums = Counting(HiveWriter().write(Key("R"))), []
    for layer in (
        delta(Key("K", dict.fromkeys(names, (4, b"data")))),
        delta(Key("K", dict.fromkeys(names, Deleted))),
    ):
        before, editor = file.written, HiveEditor(file, upper)
        apply(read_delta(Memory(layer), upper), editor, Protection((), upper))
        editor.finish()
        sums.append(file.written - before)
    assert read(bytes(file.data))["K"].values == {}
    return sums[0], sums[1]


def test_many_values_of_one_key_are_written_in_linear_time() -> None:
    few, many = work(500), work(5000)
    assert many[0] < 12 * few[0]
    assert many[1] < 12 * few[1]

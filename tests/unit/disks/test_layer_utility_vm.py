"""Hard links from Files into UtilityVM, which is not kept: their content comes from the layers' blobs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linwin.errors import InvalidRequest, Unavailable
from linwin.layers import DAMAGED
from tests.unit.disks.conftest import Apply
from tests.unit.disks.independent import confirm
from tests.unit.layers.docker_layers import FILE_OF_DOCKER, OWN, TIMES, WindowsTar
from tests.unit.layers.raw_tar import DIRECTORY, HARD_LINK, SYMBOLIC_LINK, RawTar
from tests.unit.layers.windows_tar import diff_id
from tests.unit.layers.written import ARCHIVE, REPARSE, Written, linked, relative

WHOLE = replace(
    FILE_OF_DOCKER, data=b"content" * 200_000, streams={"s": b"stream"}, extended={"EA": b"value"}
)


def utility(tar: RawTar | None = None) -> RawTar:
    return (tar or RawTar()).add("UtilityVM/Files", type=DIRECTORY)


def link(tar: RawTar, name: str, target: str) -> RawTar:
    return tar.add(name, type=HARD_LINK, link=target)


async def test_content_metadata_and_streams_arrive(disks, base, store, tmp_path) -> None:
    tar = WindowsTar()
    tar.link("Files/a", "UtilityVM/Files/d/x")
    tar.link("Files/b", "Files/a")
    tar.put("UtilityVM/Files/D/X", WHOLE)
    tar.link("UtilityVM/Files/silent", "Files/a")
    _, end = await disks.chain(base, [store(tar.bytes())], lambda _: None)
    confirm(end, tmp_path, linked(WHOLE, "a", "b"))


async def test_a_symbolic_link_may_be_the_target(disks, base, store, tmp_path) -> None:
    symbolic = Written(ARCHIVE | REPARSE, TIMES, security=OWN, reparse=relative("elsewhere"))
    tar = WindowsTar()
    tar.link("Files/a", "UtilityVM/Files/l")
    tar.put("UtilityVM/Files/l", symbolic, target="elsewhere")
    _, end = await disks.chain(base, [store(tar.bytes())], lambda _: None)
    confirm(end, tmp_path, {"a": symbolic})


async def test_the_nearest_layer_that_has_it_counts(apply: Apply) -> None:
    lowest = RawTar().add("UtilityVM/Files/x", b"lowest").add("UtilityVM/Files/y", b"only lowest")
    middle = RawTar().add("UtilityVM/Files/x", b"middle")
    top = link(link(RawTar(), "Files/a", "UtilityVM/Files/x"), "Files/b", "UtilityVM/Files/y")
    volume = await apply(lowest.bytes(), middle.bytes(), top.bytes())
    assert volume.files() == {"a": b"middle", "b": b"only lowest"}


async def test_links_to_links(apply: Apply) -> None:
    lower = RawTar().add("Files/real", b"real").add("UtilityVM/Files/x", b"x")
    link(lower, "UtilityVM/Files/y", "UtilityVM/Files/x")
    link(lower, "UtilityVM/Files/real", "Files/real")
    upper = RawTar().add("Files/here", b"here")
    link(upper, "UtilityVM/Files/z", "UtilityVM/Files/y")
    link(upper, "UtilityVM/Files/here", "Files/here")
    for name in ("x", "y", "z", "real", "here"):
        link(upper, f"Files/to {name}", f"UtilityVM/Files/{name}")
    volume = await apply(lower.bytes(), upper.bytes())
    assert volume.files() == {
        "real": b"real",
        "here": b"here",
        "to x": b"x",
        "to y": b"x",
        "to z": b"x",
        "to real": b"real",
        "to here": b"here",
    }
    assert volume["to here"].number == volume["here"].number
    assert len({volume[f"to {name}"].number for name in "xyz"}) == 1


async def test_what_the_layer_does_to_the_name_afterwards_counts(apply: Apply) -> None:
    lower = RawTar().add("Files/a", b"lower").add("Files/gone", b"lower").add("UtilityVM/Files/x", b"x")
    upper = RawTar()
    for name in ("a", "gone", "replaced", "moved", "folder"):
        link(upper, f"Files/{name}", "UtilityVM/Files/x")
    upper.add("Files/.wh.a").add("Files/replaced", b"file").add("Files/folder", type=DIRECTORY)
    link(upper, "Files/kept", "Files/moved")
    upper.add("Files/moved", b"other").add("Files/.wh.gone")
    volume = await apply(lower.bytes(), upper.bytes())
    files = {"a": b"x", "gone": b"x", "replaced": b"file", "moved": b"other", "kept": b"x"}
    assert volume.files() == files
    assert volume["a"].number == volume["kept"].number


async def test_a_link_that_is_replaced_needs_no_target(apply: Apply) -> None:
    tar = link(RawTar(), "Files/a", "UtilityVM/Files/none").add("Files/a", b"file")
    assert (await apply(tar.bytes())).files() == {"a": b"file"}


async def test_many_names_of_one_target(apply: Apply) -> None:
    tar = RawTar()
    for n in range(1000):
        link(tar, f"Files/{n}", "UtilityVM/Files/x")
    volume = await apply(tar.add("UtilityVM/Files/x", b"x").bytes())
    assert len(volume.files()) == 1000
    assert len({found.number for found in volume.found.values()}) == 1


LOWER = RawTar().add("UtilityVM/Files/d/x", b"x").bytes()
TO_X = link(RawTar(), "Files/a", "UtilityVM/Files/d/x")
MISSING = 'no layer that was pulled has "UtilityVM/Files/d/x" to link to, and a template has no UtilityVM'


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([TO_X.bytes()], MISSING),
        ([LOWER, RawTar().add("UtilityVM/Files/d/.wh.x").bytes(), TO_X.bytes()], MISSING),
        ([LOWER, RawTar().add("UtilityVM/Files/.wh.D").bytes(), TO_X.bytes()], MISSING),
        ([LOWER, RawTar().add("UtilityVM/Files/d/.wh..wh..opq").bytes(), TO_X.bytes()], MISSING),
        ([LOWER, RawTar().add("UtilityVM/Files/d", b"a file").bytes(), TO_X.bytes()], MISSING),
        (
            [
                link(
                    RawTar().add("UtilityVM/Files/d/x", type=DIRECTORY), "Files/a", "UtilityVM/Files/d/x"
                ).bytes()
            ],
            'its hard link\'s target "d/x" is a folder',
        ),
        (
            [
                link(
                    RawTar().add(
                        "UtilityVM/Files/d/x",
                        type=SYMBOLIC_LINK,
                        link="C:\\",
                        pax={"MSWINDOWS.mountpoint": "1"},
                    ),
                    "Files/a",
                    "UtilityVM/Files/d/x",
                ).bytes()
            ],
            'its hard link\'s target "d/x" is a folder',
        ),
        (
            [
                link(
                    link(
                        link(RawTar(), "Files/a", "UtilityVM/Files/y"),
                        "UtilityVM/Files/y",
                        "UtilityVM/Files/z",
                    ),
                    "UtilityVM/Files/z",
                    "UtilityVM/Files/y",
                ).bytes()
            ],
            "its target is a hard link behind more than 8 others",
        ),
    ],
    ids=[
        "nowhere",
        "whiteout",
        "folder's whiteout",
        "opaque",
        "a file above",
        "folder",
        "junction",
        "circle",
    ],
)
async def test_links_that_lead_nowhere(disks, base, store, layers: list[bytes], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await disks.chain(base, [store(layer) for layer in layers], lambda _: None)
    assert raised.value.message == f'layer {diff_id(layers[-1])[7:19]}, entry "Files/a": {sentence}'
    assert raised.value.hint == DAMAGED


async def test_a_lower_blob_that_is_gone(disks, base, store) -> None:
    lower, upper = store(LOWER), store(TO_X.bytes())
    await disks.chain(base, [lower], lambda _: None)
    lower.blob.unlink()
    with pytest.raises(Unavailable) as raised:
        await disks.chain(base, [lower, upper], lambda _: None)
    assert raised.value.message == f"layer {lower.diff_id[7:19]} cannot be read: No such file or directory"


async def test_links_out_of_the_utility_vm_to_files_that_wait_as_well(apply: Apply) -> None:
    """p leads to x and x to y's target: what x becomes, p becomes too."""
    tar = utility()
    for name, target in (("p", "A"), ("x", "B"), ("y", "C")):
        link(tar, f"Files/{name}", f"UtilityVM/Files/{target}")
    link(tar, "UtilityVM/Files/A", "Files/x")
    link(tar, "UtilityVM/Files/B", "UtilityVM/Files/C")
    volume = await apply(tar.add("UtilityVM/Files/C", b"content").bytes())
    assert volume.files() == dict.fromkeys("pxy", b"content")
    assert len({volume[name].number for name in "pxy"}) == 1


async def test_a_target_of_two_that_a_link_takes_the_place_of(apply: Apply) -> None:
    tar = utility()
    for name, target in (("f", "A"), ("g", "B"), ("h", "D")):
        link(tar, f"Files/{name}", f"UtilityVM/Files/{target}")
    link(tar, "UtilityVM/Files/A", "UtilityVM/Files/C")
    link(tar, "UtilityVM/Files/B", "UtilityVM/Files/C")
    tar.add("UtilityVM/Files/D", b"later").add("UtilityVM/Files/C", b"earlier")
    volume = await apply(link(tar, "UtilityVM/Files/C", "UtilityVM/Files/D").bytes())
    assert volume.files() == dict.fromkeys("fgh", b"later")


async def test_of_two_targets_the_later_counts_alone(apply: Apply) -> None:
    tar = utility(RawTar())
    for name, target in (("a", "x"), ("b", "x"), ("c", "y")):
        link(tar, f"Files/{name}", f"UtilityVM/Files/{target}")
    tar.add("UtilityVM/Files/x", b"one").add("UtilityVM/Files/x:s", b"stream").add(
        "UtilityVM/Files/x", b"two"
    )
    tar.add("UtilityVM/Files/y", type=SYMBOLIC_LINK, link="elsewhere").add("UtilityVM/Files/y", b"three")
    volume = await apply(tar.bytes())
    assert volume.files() == {"a": b"two", "b": b"two", "c": b"three"}
    assert volume["a"].number == volume["b"].number
    assert volume["a"].streams == {}
    assert volume["c"].reparse == b""

"""Hostile contexts: whatever the bytes, a context is read or refused, and refused by the entry's name."""

from __future__ import annotations

import gzip
import random
import tarfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, LinwinError, NotFound
from linwin.sources import tree
from tests.unit.layers import raw_tar
from tests.unit.layers.raw_tar import RawTar
from tests.unit.sources.tars import Unpacked, context_of, copied, member, opened, tar_of

BROKEN = "Send the context again; linwin takes what docker's clients pack, and what tar does."
LEAVE_OUT = "Rename it, or leave it out of the build with a line in .dockerignore."


def refusal_of(folder: Path, body: bytes) -> LinwinError:
    with pytest.raises(InvalidRequest) as refusal:
        opened(folder, body)
    return refusal.value


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (RawTar().add("../x").bytes(), ', entry "../x": it lies outside of the context'),
        (RawTar().add("a/../../x").bytes(), ', entry "a/../../x": it lies outside of the context'),
        (RawTar().add("a/..").bytes(), ', entry "a/..": its name is no file\'s'),
        (RawTar().add("a").add("a/b").bytes(), ', entry "a/b": "a" on its path is not a folder'),
        (
            RawTar().add("a", type=raw_tar.SYMBOLIC_LINK, link="/etc").add("a/passwd").bytes(),
            ', entry "a/passwd": "a" on its path is not a folder',
        ),
        (
            RawTar().add("a", type=raw_tar.HARD_LINK, link="/etc/passwd").bytes(),
            ', entry "a": it is a hard link to "/etc/passwd", which is no file before it',
        ),
        (
            RawTar().add("a", type=raw_tar.HARD_LINK, link="../x").bytes(),
            ', entry "a": it lies outside of the context',
        ),
        (RawTar().add("/".join("a" * 1001)).bytes(), f', entry "{"a/" * 100}…": its path is too deep'),
        (RawTar().add("a" * 32_001).bytes(), f', entry "{"a" * 200}…": its path is too long'),
        (RawTar().add("a", b"1" * 600).bytes()[:1000], ', entry "a": the archive ends in the middle of it'),
        (RawTar().add("a").bytes()[:900], ', behind entry "a": the archive ends in the middle of a header'),
        (
            RawTar().add("a").raw(b"x" * 512).bytes(),
            ', behind entry "a": the tar header\'s checksum is not a number',
        ),
        (
            RawTar().add("a").raw(raw_tar.header(b"b")[:-1] + b"1").bytes(),
            ', behind entry "a": the tar header\'s checksum is wrong',
        ),
        (
            RawTar().raw(raw_tar.header(b"a", size_field=b"\xff" * 12)).bytes(),
            ": the tar header's size is negative",
        ),
        (
            RawTar().raw(raw_tar.header(b"p", type=b"x", size=2 << 20)).bytes(),
            ": an extended header of 2097152 bytes is too long",
        ),
        (
            RawTar().raw(raw_tar.header(b"p", type=b"x", size=4000)).bytes(),
            ": the archive ends in the middle of an extended header",
        ),
        (
            RawTar().add("v", type=raw_tar.FILE).raw(raw_tar.header(b"label", type=b"V")).bytes(),
            ', entry "label": GNU tar\'s volume label has no place in a build context',
        ),
        (
            RawTar().add("a", pax={"mtime": "9" * 12}).bytes(),
            ', entry "a": its time lies outside what Windows can keep',
        ),
    ],
)
def test_a_damaged_or_hostile_context_is_refused(body: bytes, sentence: str, tmp_path: Path) -> None:
    refusal = refusal_of(tmp_path, body)
    assert (refusal.message, refusal.hint) == (f"the build context{sentence}", BROKEN)


def test_a_damaged_stream_is_refused(tmp_path: Path) -> None:
    body = gzip.compress(tar_of({"a": "1" * 5000}))
    assert refusal_of(tmp_path, body[:-20]).message == "the build context: its gzip stream ends too early"
    damaged = body[:20] + bytes([body[20] ^ 0xFF]) + body[21:]
    assert refusal_of(tmp_path, damaged).message.startswith("the build context: its gzip stream is damaged (")


def test_names_lead_nowhere_but_into_the_context(tmp_path: Path) -> None:
    body = RawTar().add("/etc/passwd", b"1").add("a/../b", b"2").add("././c//d", b"3").bytes()
    assert copied(opened(tmp_path, body), tmp_path) == {
        "b": Unpacked(b"2", 116_444_736_000_000_000),
        "c/d": Unpacked(b"3", 116_444_736_000_000_000),
        "etc/passwd": Unpacked(b"1", 116_444_736_000_000_000),
    }


def sparse(name: bytes) -> bytes:
    """GNU tar's sparse file of 512 bytes, whose map goes on in a block of its own."""
    block = bytearray(raw_tar.header(name, type=b"S", size=512, magic=b"ustar "))
    block[482] = 1
    return raw_tar.checked(bytes(block)) + bytes(512) + b"x" * 512


def unusable() -> RawTar:
    return (
        RawTar()
        .add("good/a", b"1")
        .raw(raw_tar.header(b"bad/pipe", type=b"6"))
        .raw(raw_tar.header(b"bad/null", type=b"3"))
        .raw(raw_tar.header(b"bad/sda", type=b"4"))
        .raw(sparse(b"bad/sparse"))
        .raw(raw_tar.header(b"bad/caf\xe9"))
        .add("bad/a\\b")
        .add("good/b", b"2")
    )


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("bad/pipe", "a named pipe cannot be copied to Windows"),
        ("bad/null", "a character device cannot be copied to Windows"),
        ("bad/sda", "a block device cannot be copied to Windows"),
        ("bad/sparse", "linwin does not read GNU tar's sparse files"),
    ],
)
def test_what_windows_cannot_have_counts_only_where_it_is_copied(path: str, why: str, tmp_path: Path) -> None:
    context = opened(tmp_path, unusable().bytes())
    assert [found.what for found in copied(context, tmp_path, "good").values()] == [b"1", b"2"]
    with pytest.raises(InvalidRequest) as refusal:
        context.select(path)
    assert refusal.value.message == f'the build context, entry "{path}": {why}'
    assert refusal.value.hint == LEAVE_OUT
    with pytest.raises(InvalidRequest):
        context.select(".")


def test_names_that_windows_cannot_have_count_only_where_they_are_copied(tmp_path: Path) -> None:
    for body, why in [
        (RawTar().add("a\\b"), '"a\\b": Windows cannot have a backslash in a name'),
        (RawTar().raw(raw_tar.header(b"caf\xe9")), '"caf\\udce9": its name is not UTF-8'),
        (RawTar().raw(raw_tar.header(b"caf\xe9/")), '"caf\\udce9": its name is not UTF-8'),
    ]:
        context = opened(tmp_path, body.add("good").bytes())
        assert context.select("good")
        with pytest.raises(InvalidRequest) as refusal:
            context.select(".")
        assert refusal.value.message == f"the build context, entry {why}"


def test_what_is_left_out_may_be_anything(tmp_path: Path) -> None:
    body = unusable().add(".dockerignore", b"bad\n").bytes()
    assert [found.what for found in copied(opened(tmp_path, body), tmp_path, "good").values()] == [b"1", b"2"]
    assert opened(tmp_path, body).select(".")


def test_sparse_files_of_newer_tars_are_known_too(tmp_path: Path) -> None:
    body = RawTar().add("x", b"1", pax={"GNU.sparse.major": "1", "GNU.sparse.name": "real"}).bytes()
    with pytest.raises(InvalidRequest, match="sparse"):
        opened(tmp_path, body).select("real")


def test_entries_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MOST_NODES", 10)
    refusal = refusal_of(tmp_path, tar_of({"a/b/c/d/e/f/g/h/i/j/k": "1"}))
    assert refusal.message.endswith(": there are more than 10 files and folders")


def test_a_thousand_folders_deep(tmp_path: Path) -> None:
    path = "/".join("d" * 999) + "/f"
    context = opened(tmp_path, RawTar().add(path, b"1").bytes())
    assert list(copied(context, tmp_path)) == [path]
    assert context.select(path)[0].path == path


def test_a_hundred_thousand_files(tmp_path: Path) -> None:
    body = b"".join(
        raw_tar.header(b"package%d/module%d.py" % (number % 300, number)) for number in range(100_000)
    )
    began = time.process_time()
    context = opened(tmp_path, body + raw_tar.END)
    context.select(".")
    assert len(context.select("*/*.py")) == 100_000
    assert time.process_time() - began < 30


def test_links_cannot_be_followed_for_ever(tmp_path: Path) -> None:
    links = [member(f"l{number}", tarfile.SYMTYPE, link=f"l{number + 1}/" * 50) for number in range(60)]
    context = context_of(tmp_path, {"l60": None}, links)
    with pytest.raises(NotFound):
        context.select("l0")


@pytest.mark.parametrize("seed", range(40))
def test_a_context_with_any_bytes_wrong_is_read_or_refused(seed: int, tmp_path: Path) -> None:
    """Seeded: a few bytes of a context are others, are gone or come twice."""
    chance = random.Random(seed)
    links = [member("l", tarfile.SYMTYPE, link="a/b"), member("h", tarfile.LNKTYPE, link="a/b")]
    whole = tar_of({"Dockerfile": "FROM x", "a/b": "1" * 700, "ü" * 90: "2", ".dockerignore": "*.md"}, links)
    for _ in range(25):
        data = bytearray(whole[: chance.randrange(1, len(whole))] if chance.random() < 0.2 else whole)
        for _ in range(chance.randrange(1, 6)):
            at = min(chance.randrange(len(data)), chance.randrange(len(data)))
            data[at : at + chance.choice([0, 1, 1, 1, 512])] = chance.randbytes(chance.choice([1, 1, 1, 512]))
        with suppress(LinwinError):  # anything else is a defect
            context = opened(tmp_path, bytes(data))
            context.dockerfile("Dockerfile")
            context.select(".")
            copied(context, tmp_path)

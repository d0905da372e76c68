"""Which kernel modules load, and in which order."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, Unavailable
from linwin.templates.modules import Module, ModuleFolder, load_order, parse


def module(name: str, *depends: str, before: tuple[str, ...] = ()) -> Module:
    return Module(name, b"", depends, before)


def order(wanted: list[str], *modules: Module, builtin: frozenset[str] = frozenset()) -> list[str]:
    known = {module.name: module for module in modules}
    return [module.name for module in load_order(wanted, builtin, known.get)]


def test_each_module_comes_after_what_it_needs_and_once() -> None:
    modules = module("net", "failover"), module("failover", "core"), module("core"), module("blk", "core")
    assert order(["net", "blk"], *modules) == ["core", "failover", "net", "blk"]


def test_built_in_modules_are_left_out_and_dashes_are_underscores() -> None:
    modules = (module("virtio_blk", "virtio_ring"),)
    assert order(["virtio", "virtio-blk"], *modules, builtin=frozenset({"virtio", "virtio_ring"})) == [
        "virtio_blk"
    ]


def test_soft_dependencies_load_first_where_they_exist() -> None:
    modules = module("crc", before=("crc_fast", "crc_absent")), module("crc_fast")
    assert order(["crc"], *modules) == ["crc_fast", "crc"]


def test_a_missing_module_is_named_with_the_one_that_needs_it() -> None:
    with pytest.raises(InvalidRequest) as wanted:
        order(["ntfs3"])
    assert wanted.value.message == "the kernel has no module ntfs3"
    with pytest.raises(InvalidRequest) as needed:
        order(["erofs"], module("erofs", "libcrc32c"))
    assert needed.value.message == "the kernel has no module libcrc32c, which erofs needs"


def test_a_cycle_is_told_and_not_followed() -> None:
    with pytest.raises(InvalidRequest) as caught:
        order(["a"], module("a", "b"), module("b", "a"))
    assert caught.value.message == "kernel modules need each other: a -> b -> a"


def test_a_module_says_what_it_needs() -> None:
    says = (
        b"license=GPL",
        b"depends=net-failover,failover",
        b"softdep=pre: crc32c post: later",
        b"softdep=pre: sha",
    )
    data = b"\x7fELF\0" + b"\0".join(says) + b"\0"
    assert parse("x", data) == Module("x", data, ("net_failover", "failover"), ("crc32c", "sha"))


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse("x", b"\x7fELF\0license=GPL\0")
    assert caught.value.message == "x is not a kernel module"


def test_the_folder_of_a_kernel_is_read(tmp_path: Path) -> None:
    data = b"\x7fELF\0depends=\0"
    (tmp_path / "kernel/fs").mkdir(parents=True)
    (tmp_path / "kernel/fs/nls-utf8.ko.xz").write_bytes(lzma.compress(data))
    (tmp_path / "kernel/fs/bad.ko.xz").write_bytes(b"no xz")
    (tmp_path / "modules.builtin").write_text("kernel/drivers/virtio/virtio-ring.ko\n")
    folder = ModuleFolder(tmp_path)
    assert folder.builtin == {"virtio_ring"}
    assert folder.read("nls_utf8") == Module("nls_utf8", data, (), ())
    assert folder.read("absent") is None
    with pytest.raises(Unavailable, match=r"^the kernel module bad\.ko\.xz is damaged: "):
        folder.read("bad")

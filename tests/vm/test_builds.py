"""What Windows builds do with a folder of the host: tools started from it, trees of files, locks, renames."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vm.conftest import Linwin, build_program, owners

OWNER = (4000, 4001)
PARTS = 12
CMAKE = """\
cmake_minimum_required(VERSION 3.20)
project(parts NONE)
file(GLOB sources "${CMAKE_SOURCE_DIR}/src/*.in")
foreach(source ${sources})
  get_filename_component(name ${source} NAME_WE)
  add_custom_command(
    OUTPUT out/${name}.txt
    COMMAND cmd /c "type src\\\\${name}.in > build\\\\out\\\\${name}.txt"
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    DEPENDS ${source})
  list(APPEND outputs out/${name}.txt)
endforeach()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/out)
add_custom_target(parts ALL DEPENDS ${outputs})
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    os.chown(folder, *OWNER)
    return folder


def take(linwin: Linwin, image: str, path: str, to: Path) -> None:
    """Copy a program out of an image."""
    container = linwin.text("create", image).strip()
    try:
        linwin("cp", f"{container}:{path}", str(to))
    finally:
        linwin("rm", container)


def test_cmake_and_ninja_build_what_changed_and_no_more(
    linwin: Linwin, program: Callable[[str], str], tree: Path
) -> None:
    take(linwin, program("ninja"), "C:\\ninja\\ninja.exe", tree / "ninja.exe")
    (tree / "CMakeLists.txt").write_text(CMAKE)
    (tree / "src").mkdir()
    for number in range(PARTS):
        (tree / "src" / f"part{number}.in").write_text(f"part {number}\n")
    subprocess.run(["chown", "-R", "{}:{}".format(*OWNER), str(tree)], check=True)
    image = program("cmake")
    words = ("run", "--rm", "-v", f"{tree}:C:\\Work", "-w", "C:\\Work", image)
    configured = linwin.text(
        *words, "C:\\cmake\\bin\\cmake.exe", "-G", "Ninja", "-S", ".", "-B", "build",
        "-DCMAKE_MAKE_PROGRAM=C:/Work/ninja.exe",
    )  # fmt: skip
    assert "Build files have been written to: C:/Work/build" in configured
    ninja = (*words, "C:\\Work\\ninja.exe", "-C", "build")
    assert f"[{PARTS}/{PARTS}]" in linwin.text(*ninja)
    for number in range(PARTS):
        assert (tree / f"build/out/part{number}.txt").read_text() == f"part {number}\n"
    assert owners(tree) == {OWNER}
    assert "ninja: no work to do." in linwin.text(*ninja)
    (tree / "src/part3.in").write_text("another part\n")
    again = linwin.text(*ninja)
    assert "[1/1]" in again
    assert "part3" in again
    assert (tree / "build/out/part3.txt").read_text() == "another part\n"


def test_esbuild_bundles_on_a_drive(linwin: Linwin, program: Callable[[str], str], tree: Path) -> None:
    image = program("esbuild")
    take(linwin, image, "C:\\esbuild\\esbuild.exe", tree / "esbuild.exe")
    for number in range(20):
        after = f"import './m{number + 1}.js'\n" if number < 19 else ""
        (tree / f"m{number}.js").write_text(f"{after}console.log({number})\n")
    words = ("run", "--rm", "-v", f"{tree}:D:\\", "-w", "D:\\", image, "D:\\esbuild.exe")
    linwin(*words, "m0.js", "--bundle", "--minify", "--sourcemap", "--outfile=dist/all.js")
    bundled = (tree / "dist/all.js").read_text()
    inner_first = [bundled.index(f"console.log({number})") for number in reversed(range(20))]
    assert inner_first == sorted(inner_first)
    assert (tree / "dist/all.js.map").stat().st_size > 1000
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (tree / "dist").iterdir()} == {OWNER}


def test_node_writes_a_large_tree(linwin: Linwin, program: Callable[[str], str], tree: Path) -> None:
    """Written, read again under other case, renamed and half of it deleted, as package managers do."""
    script = """
const fs = require('fs')
for (let d = 0; d < 25; d++) {
  fs.mkdirSync(`pkg${d}`)
  for (let i = 0; i < 40; i++) fs.writeFileSync(`pkg${d}/file${i}.js`, `module.exports = ${d * 40 + i}\\n`)
}
let sum = 0
for (let d = 0; d < 25; d++) for (let i = 0; i < 40; i++) sum += require(`C:/Tree/PKG${d}/File${i}.JS`)
for (let d = 0; d < 25; d++) fs.renameSync(`pkg${d}`, `renamed${d}`)
for (let d = 0; d < 12; d++) fs.rmSync(`renamed${d}`, { recursive: true })
console.log(sum, fs.readdirSync('.').length)
"""
    (tree / "tree.js").write_text(script)
    words = ("run", "--rm", "-v", f"{tree}:C:\\Tree", "-w", "C:\\Tree", program("node"), "node", "tree.js")
    assert linwin.text(*words) == f"{sum(range(1000))} 14\n"
    left = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("file*.js"))
    assert left == sorted(f"renamed{d}/file{i}.js" for d in range(12, 25) for i in range(40))
    assert (tree / "renamed24/file39.js").read_text() == "module.exports = 999\n"


def test_locks_renames_and_long_paths(linwin: Linwin, tree: Path) -> None:
    build_program("files", tree)
    (tree / "data").write_text("old\n")
    (tree / "next").write_text("new\n")
    subprocess.run(["chown", "-R", "{}:{}".format(*OWNER), str(tree)], check=True)
    run = ("run", "--rm", "-i", "-v", f"{tree}:C:\\Tree", "microsoft/nanoserver", "C:\\Tree\\files.exe")
    holder = linwin.start(*run, "lock", "C:\\Tree\\data", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == b"locked"
    # ERROR_LOCK_VIOLATION, in another guest.
    assert linwin.text(*run, "lock", "C:\\Tree\\data", code=1) == "lock failed with 33\n"
    holder.communicate(b"go\n", timeout=60)
    assert holder.returncode == 0
    assert linwin.text(*run, "lock", "C:\\Tree\\data", input=b"go\n") == "locked\n"
    assert linwin.text(*run, "replace", "C:\\Tree\\next", "C:\\Tree\\data") == "still open: new\n\n"
    assert (tree / "data").read_text() == "new\n"
    assert linwin.text(*run, "long", "C:\\Tree").startswith("deep at 4")

"""Chains as files: their names, how they come about, and what happens when that is cut short."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from linwin.disks import ChainDisks
from linwin.disks.job import Job
from linwin.disks.supervise import run_job
from linwin.errors import Internal, Unavailable
from linwin.host.process import run
from linwin.model.chain import chain_ids
from linwin.model.progress import Progress
from linwin.paths import Paths
from tests.unit.disks.conftest import DIGEST, chain_file, make_c_disk, template
from tests.unit.disks.ntfs_reader import VolumeReader
from tests.unit.layers.windows_tar import LayerTar, docker_on_windows

SMALL = docker_on_windows({"app/a.txt": b"a"})
# Takes about a second, so that there is a middle to stop in.
LARGE = docker_on_windows({f"app/{n % 50}/file {n}": b"x" * 3000 for n in range(6000)})


def ignore(_: Progress) -> None:
    pass


def backing_names(disk: Path) -> list[str]:
    argv = ["qemu-img", "info", "--output=json", "--backing-chain", disk]
    images = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    return [image.get("backing-filename", "") for image in images]


def left_over(paths: Paths) -> list[str]:
    """Everything below the root but the template's own files and its chain."""
    own = {paths.templates / "wine" / "c.qcow2", chain_file(paths, DIGEST)}
    return sorted(str(path) for path in paths.root.rglob("*") if not path.is_dir() and path not in own)


def descendants(program: str) -> list[int]:
    """Processes whose command line has ``program`` in it and that descend from this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                argv = (entry / "cmdline").read_bytes()
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if program.encode() in argv and state != "Z" and is_below(int(parent)):
                found.append(int(entry.name))
    return found


def is_below(process: int) -> bool:
    while process > 1 and process != os.getpid():
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except FileNotFoundError:
            return False
    return process == os.getpid()


def test_chain_ids_hash_the_parent_the_layer_and_the_writer() -> None:
    expected = "sha256:d5010b4458458a18d45c69a88e97e0cd75acd29ff030acba2398e3e2b1c38636"
    assert chain_ids("sha256:00", ["sha256:11"]) == ("sha256:00", expected)


async def test_a_chain_of_no_layer_is_the_templates_disk(disks, base, paths) -> None:
    chain_id, end = await disks.chain(base, [], ignore)
    assert chain_id == base.digest
    assert end.samefile(base.c_disk)
    assert end == chain_file(paths, base.digest)


async def test_chains_name_each_other_without_a_path(disks, base, paths, store) -> None:
    layers = [store(docker_on_windows({f"f{n}": b"x"})) for n in range(3)]
    chain_id, end = await disks.chain(base, layers, ignore)
    expected = base.digest
    for layer in layers:
        _, expected = chain_ids(expected, [layer.diff_id])
    assert chain_id == expected
    assert stat.S_IMODE(end.stat().st_mode) == 0o444
    assert all("/" not in name for name in backing_names(end))
    assert left_over(paths) == sorted(
        str(path) for path in paths.chains.iterdir() if path != chain_file(paths, base.digest)
    )


async def test_the_root_can_be_moved(disks, base, paths, store, tmp_path) -> None:
    _, end = await disks.chain(base, [store(SMALL)], ignore)
    await disks.overlay(end, paths.overlay("c1"), uid=os.getuid())
    moved = tmp_path / "elsewhere"
    paths.root.rename(moved)
    volume = VolumeReader(Paths(moved, paths.socket).overlay("c1"), tmp_path / "raw")
    assert volume.files() == {"app/a.txt": b"a"}


async def test_a_template_built_again_takes_nothing_from_older_chains(
    disks, base, store, tmp_path, blank_disk
) -> None:
    _, end = await disks.chain(base, [store(SMALL)], ignore)
    base.c_disk.unlink()
    base.c_disk.write_bytes(b"something else")
    assert VolumeReader(end, tmp_path / "raw").files() == {"app/a.txt": b"a"}


async def test_a_common_beginning_is_built_once(disks, base, store, progress) -> None:
    lower, one, two = (store(docker_on_windows({name: b"x"})) for name in ("lower", "one", "two"))
    await disks.chain(base, [lower, one], progress.append)
    progress.clear()
    await disks.chain(base, [lower, two], progress.append)
    assert progress[0] == Progress("Already exists", lower.digest[7:19])
    assert progress[-1] == Progress("Extracted", two.digest[7:19], two.size, two.size)


async def test_builds_that_race_build_once(disks, base, store, progress) -> None:
    layer = store(SMALL)
    built = await asyncio.gather(*(disks.chain(base, [layer], progress.append) for _ in range(4)))
    assert len(set(built)) == 1
    assert [step.status for step in progress].count("Extracted") == 1
    assert [step.status for step in progress].count("Already exists") == 3


async def test_a_build_that_waited_goes_on_when_the_first_is_cancelled(disks, base, store) -> None:
    layer, started = store(LARGE), asyncio.Event()
    first = asyncio.create_task(disks.chain(base, [layer], lambda _: started.set()))
    await started.wait()
    second = asyncio.create_task(disks.chain(base, [layer], ignore))
    first.cancel()
    _, end = await second
    assert first.cancelled()
    assert end.exists()


async def test_a_cancelled_build_leaves_nothing(disks, base, paths, store) -> None:
    started = asyncio.Event()
    task = asyncio.create_task(disks.chain(base, [store(LARGE)], lambda _: started.set()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_over(paths) == []
    assert descendants("linwin.disks.worker") == []
    await disks.chain(base, [store(LARGE)], ignore)


async def test_a_killed_worker_leaves_nothing_and_a_second_try_works(
    disks, base, paths, store, tmp_path
) -> None:
    def kill(step: Progress) -> None:
        if step.status == "Extracting":
            for worker in descendants("linwin.disks.worker"):
                os.kill(worker, signal.SIGKILL)

    layer = store(LARGE)
    with pytest.raises(Internal) as raised:
        await disks.chain(base, [layer], kill)
    assert raised.value.message == f"layer {layer.diff_id[7:19]}: its writer was ended by SIGKILL"
    assert raised.value.hint == "nothing of the layer was kept; try again, and report it if it happens again"
    assert left_over(paths) == []
    _, end = await disks.chain(base, [layer], ignore)
    assert len(VolumeReader(end, tmp_path / "raw").files()) == 6000


async def test_a_killed_export_is_an_error_and_leaves_nothing(disks, base, paths, store) -> None:
    def kill(step: Progress) -> None:
        if step.status == "Extracting":
            for server in descendants("qemu-storage-daemon"):
                os.kill(server, signal.SIGKILL)

    with pytest.raises(Unavailable) as raised:
        await disks.chain(base, [store(LARGE)], kill)
    assert raised.value.message == "qemu-storage-daemon failed: it ended with status -9"
    assert left_over(paths) == []


DAEMON = """
import asyncio, sys
from pathlib import Path
from tests.unit.disks.conftest import template
from linwin.disks import ChainDisks
from linwin.model.chain import chain_ids
from linwin.model.image import Layer
from linwin.model.chain import chain_ids
from linwin.paths import Paths

root, c_disk, blob, diff_id = sys.argv[1:]
layer = Layer(diff_id, diff_id, "", 1, Path(blob))
disks = ChainDisks(Paths(Path(root), Path(root)))
asyncio.run(disks.chain(template(Path(c_disk)), [layer], lambda step: print(step.status, flush=True)))
"""


async def test_workers_end_with_their_daemon(base, paths, store) -> None:
    layer = store(LARGE)
    daemon = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DAEMON, paths.root, base.c_disk, layer.blob, layer.diff_id),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    await daemon.stdout.readline()
    workers = descendants("linwin.disks.worker") + descendants("qemu-storage-daemon")
    assert len(workers) == 2
    watched = [os.pidfd_open(worker) for worker in workers]
    try:
        daemon.kill()
        await daemon.wait()
        for descriptor in watched:
            assert select.select([descriptor], [], [], 10)[0]
    finally:
        for descriptor in watched:
            os.close(descriptor)


async def test_overlays_belong_to_their_container(disks, base, paths, store) -> None:
    _, end = await disks.chain(base, [store(SMALL)], ignore)
    uid = 54321 if os.geteuid() == 0 else os.geteuid()
    overlay = paths.overlay("c1")
    await disks.overlay(end, overlay, uid=uid)
    assert overlay.stat().st_uid == uid
    assert stat.S_IMODE(overlay.stat().st_mode) == 0o600
    assert backing_names(overlay)[0] == f"../../chains/{end.name}"
    assert list(overlay.parent.iterdir()) == [overlay]


async def test_prune_keeps_what_is_needed_and_what_that_stands_on(disks, base, paths, store) -> None:
    lower, one, two = (store(docker_on_windows({name: b"x"})) for name in ("lower", "one", "two"))
    keep, kept_end = await disks.chain(base, [lower, one], ignore)
    _, gone_end = await disks.chain(base, [lower, two], ignore)
    size = gone_end.stat().st_blocks * 512
    assert await disks.prune(frozenset({keep})) == size
    assert not gone_end.exists()
    assert kept_end.exists()
    assert len(list(paths.chains.iterdir())) == 3
    assert await disks.prune(frozenset()) > 0
    assert list(paths.chains.iterdir()) == []
    assert base.c_disk.exists()


async def test_prune_spares_what_is_being_built(disks, base, store) -> None:
    pruned = []

    def prune(step: Progress) -> None:
        if step.status == "Extracted" and not pruned:
            pruned.append(asyncio.ensure_future(disks.prune(frozenset())))

    layers = [store(docker_on_windows({name: b"x"})) for name in ("one", "two")]
    _, end = await disks.chain(base, layers, prune)
    assert await pruned[0] == 0
    assert end.exists()


async def test_the_same_layers_in_another_order_are_another_chain(disks, base, store) -> None:
    one, two = (store(docker_on_windows({"f": name})) for name in (b"one", b"two"))
    assert await disks.chain(base, [one, two], ignore) != await disks.chain(base, [two, one], ignore)


async def test_a_small_layer_costs_little(disks, base, store) -> None:
    layer = store(docker_on_windows({"app/small": b"x" * 10_000}))
    _, end = await disks.chain(base, [layer], ignore)
    assert end.stat().st_blocks * 512 < 2 << 20


async def test_a_template_whose_disk_has_a_backing_file_is_refused(disks, base, tmp_path) -> None:
    overlay = tmp_path / "not-whole.qcow2"
    await disks.overlay(base.c_disk, overlay, uid=os.geteuid())
    with pytest.raises(Internal) as raised:
        await disks.chain(template(overlay), [], ignore)
    assert raised.value.message == "the C: disk of template wine is not complete in itself"


async def test_a_disk_without_a_volume(disks, paths, store, tmp_path) -> None:
    blank = tmp_path / "blank.qcow2"
    await run(["qemu-img", "create", "-q", "-f", "qcow2", blank, "64M"], check=True)
    with pytest.raises(Internal) as raised:
        await disks.chain(template(blank), [store(SMALL)], ignore)
    assert raised.value.message == "the C: volume below the layer cannot be opened: Invalid argument"
    assert raised.value.hint == "build the template again: linwin template build"


async def test_a_damaged_backing_file_is_told_in_qemus_words(disks, base, paths, store) -> None:
    with base.c_disk.open("r+b") as file:
        file.seek(48)  # the offset of the refcount table
        file.write(b"\xff" * 8)
    with pytest.raises(Unavailable) as raised:
        await disks.chain(base, [store(SMALL)], ignore)
    assert raised.value.message == (
        "qemu-storage-daemon failed: Could not open backing file: Reference count table offset invalid"
    )
    assert left_over(paths) == []


async def test_a_volume_in_a_partition(disks, store, tmp_path) -> None:
    start, size = 1 << 20, 64 << 20
    volume = make_c_disk(tmp_path, size)
    raw, disk, overlay = tmp_path / "disk.raw", tmp_path / "disk.qcow2", tmp_path / "overlay.qcow2"
    with raw.open("wb") as file:
        file.truncate(start)
    await run(["qemu-img", "convert", "-O", "raw", volume, tmp_path / "volume.raw"], check=True)
    with raw.open("ab") as file:
        file.write((tmp_path / "volume.raw").read_bytes())
    await run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
    await disks.overlay(disk, overlay, uid=os.geteuid())
    layer = store(docker_on_windows({"in/a/partition": b"p"}))
    job = Job(
        blob=str(layer.blob),
        diff_id=layer.diff_id,
        kind="wine",
        lower=[],
        overlay=str(overlay),
        backing=str(disk),
        offset=start,
        run_dir=str(tmp_path),
        parent=os.getpid(),
    )
    await run_job(job, lambda _: None)
    await run(["qemu-img", "convert", "-O", "raw", overlay, raw], check=True)
    raw.write_bytes(raw.read_bytes()[start:])
    await run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
    assert VolumeReader(disk, raw).files() == {"in/a/partition": b"p"}


async def test_a_volume_too_small_for_a_layer(paths, store, tmp_path) -> None:
    small = template(make_c_disk(tmp_path, 16 << 20))
    layer = store(LayerTar().add("Files/one", b"1" * (9 << 20)).add("Files/two", b"2" * (9 << 20)).bytes())
    with pytest.raises(Unavailable) as raised:
        await ChainDisks(paths).chain(small, [layer], ignore)
    name = layer.diff_id[7:19]
    assert raised.value.message == (
        f'layer {name}, entry "Files/two": no space left on the template\'s C: volume'
    )
    assert raised.value.hint == "use a smaller image, or build the template with a larger C:"
    assert [path for path in left_over(paths) if not path.endswith(f"{DIGEST[7:]}.qcow2")] == []


@pytest.mark.root
async def test_a_full_disk_is_said_to_be_full_and_leaves_nothing(small_root, tmp_path, store) -> None:
    paths = Paths(small_root, tmp_path / "socket")
    small = template(make_c_disk(tmp_path, 64 << 20))
    layer = store(LayerTar().add("Files/big", os.urandom(20 << 20)).bytes())
    with pytest.raises(Unavailable) as raised:
        await ChainDisks(paths).chain(small, [layer], ignore)
    assert raised.value.message == "no space left on device while a disk was being written"
    assert raised.value.hint == "free space below LINWIN_ROOT, for example with: linwin image prune"
    assert left_over(paths) == []

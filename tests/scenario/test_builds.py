"""What builds do: steps and their cache, stages, copies, commands, and what a failure leaves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from linwin.errors import BuildFailed, InvalidRequest, LinwinError, NotFound
from linwin.model.build import CommitRequest
from linwin.model.container import ContainerSpec
from tests.scenario.builds import HEAD, Builds, Built, context_of
from tests.scenario.fakes.registry import Content


async def test_steps_of_every_kind(build: Builds) -> None:
    built = await build(
        HEAD + "LABEL a=b\nENV X=1 Y=`$Z\nWORKDIR C:\\app\nCOPY one.txt .\nRUN store app\\two.txt made\n"
        "USER ContainerUser\nEXPOSE 80\nVOLUME C:\\data\nSTOPSIGNAL SIGTERM\nHEALTHCHECK CMD x\n"
        'SHELL ["cmd", "/S", "/C"]\nENTRYPOINT ["node"]\nCMD ["a.js"]\n',
        {"one.txt": "first"},
        tags=("app:1", "other"),
    )
    image = built.made
    assert image.references == ("docker.io/library/app:1", "docker.io/library/other:latest")
    config = image.config
    assert config.env == ("FROM_IMAGE=yes", "X=1", "Y=$Z")
    assert (config.working_dir, config.user, config.entrypoint, config.cmd) == (
        "C:\\app", "ContainerUser", ("node",), ("a.js",),
    )  # fmt: skip
    assert (config.exposed_ports, config.volumes, config.labels["a"]) == (("80/tcp",), ("C:\\data",), "b")
    assert await build.file(image, "C:\\app\\one.txt") == "first"
    assert await build.file(image, "C:\\app\\two.txt") == "made"
    assert "Step 1/14 : FROM microsoft/nanoserver\n" in built.text
    assert "Step 6/14 : RUN store app\\two.txt made\n ---> Running in " in built.text
    assert built.text.endswith(
        f"Successfully built {image.id[7:19]}\nSuccessfully tagged app:1\nSuccessfully tagged other:latest\n"
    )
    assert [line.created_by for line in image.history[-11:-8]] == [
        "cmd /S /C #(nop) WORKDIR C:\\app",
        image.history[-10].created_by,
        "cmd /S /C store app\\two.txt made",
    ]
    assert image.history[-10].created_by.startswith("cmd /S /C #(nop) COPY file:")


async def test_a_second_build_is_all_cache(build: Builds) -> None:
    text, files = HEAD + "COPY . C:\\src\\\nRUN store x y\nCMD x\n", {"a": "1", "b/c": "2"}
    first = await build(text, files)
    again = await build(text, files)
    assert (first.cached, again.cached, again.made.id) == (0, 3, first.made.id)
    changed = await build(text, {**files, "b/c": "3"})
    assert (changed.cached, changed.made.id == first.made.id) == (0, False)
    anew = await build(text, files, cache=False)
    assert anew.cached == 0


async def test_only_the_steps_after_a_change_are_made_anew(build: Builds) -> None:
    await build(HEAD + "ENV A=1\nRUN store a b\nENV B=2\n")
    assert (await build(HEAD + "ENV A=1\nRUN store a b\nENV B=3\n")).cached == 2
    assert (await build(HEAD + "ENV A=2\nRUN store a b\nENV B=2\n")).cached == 0


async def test_what_was_committed_by_hand_is_no_step(build: Builds) -> None:
    engine = build.daemon.engine
    created = await engine.create(
        ContainerSpec(image="microsoft/nanoserver", cmd=("store", "a", "b")), "by-hand"
    )
    await engine.start("by-hand")
    await (await engine.wait("by-hand", "not-running"))
    await engine.commit(created.id, CommitRequest("made"))
    await engine.remove("by-hand")
    assert (await build(HEAD + 'RUN ["store", "a", "b"]\n')).cached == 0


async def test_stages(build: Builds) -> None:
    text = (
        "ARG BASE=microsoft/nanoserver\n"
        "FROM ${BASE} AS Build\nRUN store out.txt compiled\n"
        "FROM ${BASE} AS unused\nRUN exit 9\n"
        "FROM build AS test\nRUN store tested.txt yes\n"
        "FROM ${BASE}\nCOPY --from=build /out.txt /app/\nCOPY --from=2 tested.txt C:/app/renamed.txt\n"
    )
    built = await build(text)
    assert await build.file(built.made, "/app/out.txt") == "compiled"
    assert await build.file(built.made, "/app/renamed.txt") == "yes"
    assert "Step 7/7" in built.text
    assert {one.stage for one in built.said if one.step} == {"build", "test", "3"}
    assert (await build(text)).cached == 4
    only = await build(text, target="build")
    assert await build.file(only.made, "/out.txt") == "compiled"


async def test_stages_that_do_not_wait_for_each_other_run_at_once(build: Builds) -> None:
    text = (
        "FROM microsoft/nanoserver AS a\nRUN hang\n"
        "FROM microsoft/nanoserver AS b\nRUN hang\n"
        "FROM microsoft/nanoserver\nCOPY --from=a Windows /a\nCOPY --from=b Windows /b\n"
    )
    built = Built()
    task = asyncio.create_task(build.into(built, text))
    while len(await build.daemon.engine.list()) < 2 or built.text.count("hanging") < 2:
        await asyncio.wait({task}, timeout=0.01)
        assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_folder_of_another_image(build: Builds) -> None:
    base = await build(HEAD + "COPY . C:\\tree\n", {"a/b.txt": "1", "c.txt": "2"}, tags=("tree",))
    built = await build(HEAD + "COPY --from=tree C:\\tree D\\\nCOPY --from=tree C:\\tree\\*.txt x\\\n")
    assert await build.file(built.made, "C:\\D\\a\\b.txt") == "1"
    assert await build.file(built.made, "C:\\x\\c.txt") == "2"
    assert base.made.references == ("docker.io/library/tree:latest",)


async def test_arguments(build: Builds) -> None:
    text = HEAD + "ARG V=default\nARG UNSET\nRUN set\nENV SHOWN=$V-${UNSET:-none}\n"
    plain = await build(text)
    assert "V=default\n" in plain.text
    given = await build(text, arguments=(("V", "given"), ("HTTP_PROXY", "p"), ("NOT", "used")))
    assert "V=given\n" in given.text
    assert "HTTP_PROXY=p\n" in given.text
    assert given.made.config.env[-1] == "SHOWN=given-none"
    assert "[Warning] One or more build-args [NOT] were not consumed\n" in given.text
    run = next(line.created_by for line in given.made.history if "set" in line.created_by.split())
    assert run == "|1 V=given cmd /S /C set"
    assert (await build(text, arguments=(("V", "given"),))).cached == 4
    assert (await build(text, arguments=(("V", "other"),))).cached == 2


async def test_a_command_that_fails(build: Builds) -> None:
    error = await build.fails(HEAD + "RUN echo before\nRUN exit 3\nRUN echo never\n")
    assert isinstance(error, BuildFailed)
    assert (error.message, error.exit_code) == (
        "The command 'cmd /S /C exit 3' returned a non-zero code: 3", 3,
    )  # fmt: skip
    again = Built()
    with pytest.raises(BuildFailed):
        await build.into(again, HEAD + "RUN echo before\nRUN exit 3\n")
    assert again.cached == 1  # what was done before the failure is not done again


async def test_a_program_that_is_not_there(build: Builds) -> None:
    error = await build.fails(HEAD + 'RUN ["nosuch"]\n')
    assert isinstance(error, BuildFailed)
    assert error.exit_code == 127
    assert "nosuch: The system cannot find the file specified." in error.message


async def test_a_failed_container_is_kept_for_who_asks(build: Builds) -> None:
    await build.fails(HEAD + "RUN exit 3\n", keep=True)
    (container,) = await build.daemon.engine.list()
    assert (container.status, container.exit_code) == ("exited", 3)
    await build.daemon.engine.remove(container.id)


async def test_a_cancelled_build_leaves_nothing(build: Builds) -> None:
    built = Built()
    task = asyncio.create_task(build.into(built, HEAD + "RUN stubborn\n"))
    while "hanging" not in built.text:
        await asyncio.wait({task}, timeout=0.01)
        assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_two_builds_of_one_file_at_once(build: Builds) -> None:
    text = HEAD + "RUN store a b\nRUN store c d\n"
    built = await asyncio.gather(*(build(text) for _ in range(4)))
    assert all(await asyncio.gather(*(build.file(one.made, "/c") for one in built)))
    assert (await build(text)).cached == 2


async def test_copies(build: Builds) -> None:
    files = {"a.txt": "1", "b.txt": "2", "dir/c.txt": "3", "dir/sub/d.txt": "4"}
    built = await build(
        HEAD + "WORKDIR C:\\w\nCOPY a.txt name.txt\nCOPY a.txt b.txt into/\nCOPY dir tree\n"
        'COPY *.txt C:\\all\\\nCOPY a.txt Windows\nCOPY a.txt C:\\Windows\nCOPY ["a.txt", "C:\\\\j\\\\"]\n',
        files,
    )
    for path, text in {
        "C:\\w\\name.txt": "1",
        "C:\\w\\into\\b.txt": "2",
        "C:\\w\\tree\\sub\\d.txt": "4",
        "C:\\all\\b.txt": "2",
        "C:\\w\\Windows": "1",
        "C:\\Windows\\a.txt": "1",
        "C:\\j\\a.txt": "1",
    }.items():
        assert await build.file(built.made, path) == text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "COPY a b out",
            "Dockerfile:3: When using COPY with more than one source file, the destination must be "
            "a directory and end with a / or \\",
        ),
        ("COPY a C:\\f\nWORKDIR C:\\f", "Dockerfile:4: C:\\f is a file, and no folder to work in"),
        (
            "ADD nothing C:\\",
            "ADD failed: file not found in build context or excluded by .dockerignore: "
            "stat nothing: file does not exist",
        ),
        (
            "RUN cat <<A <<B\n1\nA\n2\nB",
            "Dockerfile:3: RUN has 2 heredocs, and a command has one input",
        ),
        ("WORKDIR D:\\x", "Dockerfile:3: D:\\x: The specified path is not on the system drive (C:)"),
        ("EXPOSE x", "Dockerfile:3: invalid containerPort: x"),
        ('ENV A="${B:?set it}"', "Dockerfile:3: B: set it"),
    ],
)
async def test_mistakes_are_told_with_their_lines(build: Builds, line: str, message: str) -> None:
    error = await build.fails(HEAD + line + "\n", {"a": "", "b": ""})
    assert isinstance(error, (InvalidRequest, NotFound))
    assert error.message == message


async def test_what_cannot_be_a_base(build: Builds) -> None:
    scratch = await build.fails("FROM scratch\nCOPY a b\n")
    assert scratch.message == "Dockerfile:1: Windows does not support FROM scratch"
    blank = await build.fails("ARG B\nFROM $B\n")
    assert blank.message == "Dockerfile:2: base name ($B) should not be blank"
    linux = await build.fails("FROM --platform=linux/amd64 microsoft/nanoserver\nRUN x\n")
    assert linux.message == "Dockerfile:1: linwin makes Windows images, and none for linux/amd64"
    assert isinstance(await build.fails("FROM registry.example/none\nRUN x\n"), NotFound)


async def test_a_base_is_pulled_where_it_is_not_here(build: Builds) -> None:
    registry = build.daemon.fakes.images.registry
    registry.content["docker.io/team/app:latest"] = Content()
    built = await build("FROM team/app\nENV A=1\n")
    assert built.made.config.cmd == ("echo", "pulled")
    assert len(registry.asked) == 1
    await build("FROM team/app\nENV A=2\n")
    assert len(registry.asked) == 1
    await build("FROM team/app AS a\nENV A=3\nFROM team/app\nCOPY --from=a Windows /w\n", pull=True)
    assert len(registry.asked) == 2


@pytest.mark.parametrize("path", ["nothing.txt", "C:\\none\\*.txt", "Windows\\*.txt"])
async def test_what_another_image_does_not_have(build: Builds, path: str) -> None:
    error = await build.fails(HEAD + f"COPY --from=microsoft/nanoserver {path} C:\\\n")
    assert isinstance(error, NotFound)
    assert error.message == f"COPY failed: stat {path}: file does not exist"


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Where a file can be fetched, and nothing else."""

    async def serve(_: web.Request) -> web.Response:
        return web.Response(text="fetched", headers={"Last-Modified": "Mon, 02 Jan 2023 03:04:05 GMT"})

    app = web.Application()
    app.router.add_get("/path/file.txt", serve)
    async with TestServer(app) as server:
        yield str(server.make_url("/path/file.txt"))


async def test_add_fetches(build: Builds, address: str) -> None:
    text = HEAD + f"ADD {address} C:\\into\\\nADD {address} C:\\other.txt\n"
    built = await build(text)
    assert await build.file(built.made, "C:\\into\\file.txt") == "fetched"
    assert await build.file(built.made, "C:\\other.txt") == "fetched"
    assert (await build(text)).cached == 2
    digest = hashlib.sha256(b"fetched").hexdigest()
    await build(HEAD + f"ADD --checksum=sha256:{digest} {address} C:\\\n")
    wrong = await build.fails(HEAD + f"ADD --checksum=sha256:{'0' * 64} {address} C:\\\n")
    assert wrong.message == (
        f"Dockerfile:3: digest mismatch for {address}: sha256:{digest}, not sha256:{'0' * 64}"
    )
    nameless = address.removesuffix("path/file.txt")
    assert isinstance(await build.fails(HEAD + f"ADD {nameless} C:\\x\\\n"), LinwinError)


async def test_add_unpacks_and_copy_does_not(build: Builds) -> None:
    inner = context_of({"a.txt": "packed"}).decode("latin-1")
    text = HEAD + "ADD inner.tar C:\\unpacked\nCOPY inner.tar C:\\kept.tar\n"
    built = await build(text, {"inner.tar": inner})
    assert await build.file(built.made, "C:\\unpacked\\a.txt") == "packed"
    assert "a.txt" in await build.file(built.made, "C:\\kept.tar")


async def test_onbuild(build: Builds) -> None:
    await build(HEAD + "ONBUILD COPY given.txt C:\\\nONBUILD ENV FROM=base\n", tags=("base",))
    built = await build("FROM base\nENV OWN=1\n", {"given.txt": "by the child"})
    assert "# Executing 2 build triggers\n" in built.text
    assert built.made.config.env[-2:] == ("FROM=base", "OWN=1")
    assert built.made.config.on_build == ()
    assert await build.file(built.made, "C:\\given.txt") == "by the child"


async def test_heredocs(build: Builds) -> None:
    built = await build(
        HEAD
        + 'ENV A=one\nCOPY <<a.txt <<"b.txt" C:\\docs\\\n$A\na.txt\n$A\nb.txt\nRUN cat <<EOF\nto stdin\nEOF\n'
    )
    assert await build.file(built.made, "C:\\docs\\a.txt") == "one\n"
    assert await build.file(built.made, "C:\\docs\\b.txt") == "$A\n"
    assert "to stdin\n" in built.text
    assert (await build(HEAD + "RUN cat <<EOF\none\nEOF\n")).cached == 0
    assert (await build(HEAD + "RUN cat <<EOF\ntwo\nEOF\n")).cached == 0


async def test_labels_and_a_timestamp(build: Builds) -> None:
    second = 1_600_000_000
    text, request = HEAD + "COPY a C:\\\n", {"labels": (("x", "y"),), "timestamp": second * 10**9}
    first = await build(text, {"a": "1"}, cache=False, **request)
    assert first.made.created == "2020-09-13T12:26:40Z"
    assert first.made.config.labels["x"] == "y"
    again = await build(text, {"a": "1"}, cache=False, **request)
    assert (again.cached, again.made.id) == (0, first.made.id)
    assert (await build(text, {"a": "1"})).cached == 0  # that one is of today


async def test_cache_from(build: Builds) -> None:
    text = HEAD + "ENV A=1\nRUN store a b\n"
    first = await build(text)
    # As if it came from a registry: nothing says that it was built here.
    images = build.daemon.fakes.images
    images.stored = {key: replace(image, parent="", step="") for key, image in images.stored.items()}
    images.stored[first.made.id] = replace(
        images.stored[first.made.id], references=("docker.io/library/pulled:latest",)
    )
    assert (await build(text)).cached == 0
    images.stored = {
        key: image for key, image in images.stored.items() if not image.step or image.id == first.made.id
    }
    assert (await build(text, cache_from=("pulled", "none:here"))).cached == 2


async def test_images_of_a_build_under_way_are_not_pruned(build: Builds) -> None:
    built = Built()
    task = asyncio.create_task(build.into(built, HEAD + "ENV A=1\nRUN hang\nENV B=2\n"))
    while "hanging" not in built.text:
        await asyncio.wait({task}, timeout=0.01)
    engine = build.daemon.engine
    before = {image.id for image in await engine.images()}
    await engine.prune_builds(everything=True, keep=lambda _: False)
    await engine.prune_images(dangling_only=True, keep=lambda _: False)
    assert {image.id for image in await engine.images()} == before
    (container,) = await engine.list()
    await engine.kill(container.id, "TERM")
    with pytest.raises(BuildFailed):
        await task


async def test_pruning(build: Builds) -> None:
    engine = build.daemon.engine
    named = await build(HEAD + "ENV A=1\nENV B=2\n", tags=("named",))
    await build(HEAD + "ENV A=1\nENV C=3\n")
    assert len([image for image in await engine.images() if image.step]) == 3
    await engine.prune_builds(everything=False, keep=lambda _: False)
    left = {image.id for image in await engine.images() if image.step}
    assert left == {named.made.id, named.made.parent}
    await engine.prune_images(dangling_only=True, keep=lambda _: False)
    assert {image.id for image in await engine.images() if image.step} == left
    await engine.prune_builds(everything=True, keep=lambda _: False)
    assert [image.id for image in await engine.images() if image.step] == [named.made.id]

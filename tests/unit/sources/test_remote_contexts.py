"""Contexts that are fetched: repositories of git, and what is behind http."""

from __future__ import annotations

import asyncio
import gzip
import tarfile
from pathlib import Path

import pytest
from aiohttp import web

from linwin.errors import InvalidRequest, Unavailable
from linwin.paths import Paths
from linwin.sources import BuildSources
from linwin.sources.gather import gather
from tests.conftest import children
from tests.unit.sources.servers import commit, git, serving, serving_git
from tests.unit.sources.tars import FILETIME, tar_of, unpacked

FILES = {"Dockerfile": "FROM one", "app/Dockerfile": "FROM two", "app/a.txt": "a"}
HINT = "Check the address, and that this host can reach it without being asked for a password."


async def base_of(sources: BuildSources, address: str, dockerfile: str = "Dockerfile") -> str:
    async with sources.open_remote(address) as source:
        return (await source.dockerfile(dockerfile)).stages[0].base


def nothing_is_left(paths: Paths) -> bool:
    return list(paths.scratch.iterdir()) == [] and not [
        line for line in children().values() if "linwin.sources" in line or "git fetch" in line
    ]


async def test_a_repository_is_a_context(sources: BuildSources, paths: Paths, tmp_path: Path) -> None:
    first = commit(tmp_path / "git/repo.git", FILES, tag="v1")
    commit(tmp_path / "git/repo.git", {"Dockerfile": "FROM three"})
    commit(tmp_path / "git/repo.git", {"Dockerfile": "FROM four"}, branch="side/branch")
    git(tmp_path / "git/repo.git", "checkout", "-q", "main")
    async with serving_git(tmp_path / "git") as address:
        repository = f"{address}/repo.git"
        assert await base_of(sources, repository) == "three"
        assert await base_of(sources, f"{repository}#v1") == "one"
        assert await base_of(sources, f"{repository}#side/branch") == "four"
        assert await base_of(sources, f"{repository}#{first}") == "one"
        assert await base_of(sources, f"{repository}#:app") == "two"
        async with sources.open_remote(f"{repository}#v1") as source:
            from linwin.model.build import FromContext

            await source.pack([FromContext("", "")], tmp_path / "pack")
    found = unpacked(tmp_path / "pack")
    assert sorted(found) == ["Dockerfile", "app", "app/Dockerfile", "app/a.txt"]
    assert {one.time for one in found.values()} == {FILETIME}, "that of the commit"
    assert nothing_is_left(paths)


async def test_a_server_that_has_nothing_but_files_will_do(sources: BuildSources, tmp_path: Path) -> None:
    """The dumb protocol has no way to fetch a part."""
    commit(tmp_path / "repo", FILES)
    git(tmp_path, "clone", "-q", "--bare", "repo", "served.git")
    git(tmp_path / "served.git", "update-server-info")

    async def give(request: web.Request) -> web.StreamResponse:
        file = tmp_path / request.path.lstrip("/")
        return web.FileResponse(file) if file.is_file() else web.Response(status=404)

    async with serving(served=give) as address:
        assert await base_of(sources, f"{address}/served.git") == "one"


async def test_submodules_are_fetched(sources: BuildSources, tmp_path: Path) -> None:
    commit(tmp_path / "git/part", {"Dockerfile": "FROM part"})
    commit(tmp_path / "git/repo", FILES)
    async with serving_git(tmp_path / "git") as address:
        git(tmp_path / "git/repo", "submodule", "add", "-q", f"{address}/part", "sub")
        git(tmp_path / "git/repo", "commit", "-q", "-m", "x")
        assert await base_of(sources, f"{address}/repo", "sub/Dockerfile") == "part"


async def test_a_submodule_cannot_be_a_path_of_this_host(sources: BuildSources, tmp_path: Path) -> None:
    commit(tmp_path / "private", {"secret": "x"})
    commit(tmp_path / "git/repo", FILES)
    git(tmp_path / "git/repo", "submodule", "add", "-q", str(tmp_path / "private"), "sub")
    git(tmp_path / "git/repo", "commit", "-q", "-m", "x")
    async with serving_git(tmp_path / "git") as address:
        with pytest.raises(Unavailable) as failure:
            await base_of(sources, f"{address}/repo")
    assert failure.value.message.startswith(f"cannot fetch the submodules of {address}/repo: ")
    assert "transport 'file' not allowed" in failure.value.message


async def test_what_a_repository_does_not_have_is_refused(
    sources: BuildSources, paths: Paths, tmp_path: Path
) -> None:
    commit(tmp_path / "git/repo", FILES)
    async with serving_git(tmp_path / "git") as address:
        for fragment, sentence in [
            ("missing", f'{address}/repo has no branch, tag or commit "missing"'),
            ("1" * 40, f'{address}/repo has no branch, tag or commit "{"1" * 40}"'),
            (":missing", "the repository has no folder missing"),
            (":app/a.txt", "the repository has no folder app/a.txt"),
            (":../..", "the folder ../.. lies outside of the repository"),
            (":.git", "the folder .git lies outside of the repository"),
        ]:
            with pytest.raises(InvalidRequest) as refusal:
                await base_of(sources, f"{address}/repo#{fragment}")
            assert refusal.value.message == sentence
    assert nothing_is_left(paths)


def test_a_folder_cannot_be_a_link_out_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/out").symlink_to("/etc")
    (tmp_path / "repo/in").symlink_to(".")
    with pytest.raises(InvalidRequest) as refusal:
        gather(str(tmp_path / "repo"), "out", str(tmp_path / "tar"), 0)
    assert refusal.value.message == "the folder out lies outside of the repository"
    gather(str(tmp_path / "repo"), "/in", str(tmp_path / "tar"), 0)
    with tarfile.open(tmp_path / "tar") as tar:
        assert tar.getnames() == ["in", "out"]


async def test_a_repository_that_cannot_be_reached(sources: BuildSources, paths: Paths) -> None:
    with pytest.raises(Unavailable) as failure:
        await base_of(sources, "git://127.0.0.1:1/repo")
    assert failure.value.message == (
        "cannot fetch git://127.0.0.1:1/repo: fatal: unable to connect to 127.0.0.1:; "
        "127.0.0.1[0: 127.0.0.1]: errno=Connection refused"
    )
    assert failure.value.hint == HINT
    assert nothing_is_left(paths)


async def test_nothing_asks_for_a_password(sources: BuildSources) -> None:
    locked = web.Response(status=401, headers={"WWW-Authenticate": "Basic realm=x"})
    async with serving(repo=locked) as address:
        with pytest.raises(Unavailable) as failure:
            await base_of(sources, address.replace("//", "//me:secret@") + "/repo.git")
    assert "secret" not in str(failure.value)
    assert failure.value.message.startswith(f"cannot fetch {address}/repo.git: ")


async def test_cancelling_a_fetch_ends_git(sources: BuildSources, paths: Paths, tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(repo=never) as address:
        task = asyncio.create_task(base_of(sources, f"{address}/repo.git"))
        await asyncio.wait_for(asked.wait(), 30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert nothing_is_left(paths)


async def test_a_tar_or_a_dockerfile_can_be_behind_an_address(sources: BuildSources, paths: Paths) -> None:
    async with serving(
        plain=tar_of(FILES), packed=gzip.compress(tar_of(FILES)), text=b"FROM text\n"
    ) as address:
        assert await base_of(sources, f"{address}/plain.tar") == "one"
        assert await base_of(sources, f"{address}/packed.tgz", "app/Dockerfile") == "two"
        assert await base_of(sources, f"{address}/text") == "text"
    assert nothing_is_left(paths)


async def test_a_web_page_is_no_context(sources: BuildSources) -> None:
    page = web.Response(text="<html>", content_type="text/html")
    async with serving(repo=page, other=b"\xff\xff") as address:
        with pytest.raises(InvalidRequest) as refusal:
            await base_of(sources, f"{address}/repo")
        assert refusal.value.message == (
            f"{address}/repo is a web page, neither a tar archive nor a Dockerfile"
        )
        assert refusal.value.hint == "For a repository of git, name it with .git at its end."
        with pytest.raises(InvalidRequest, match="neither a tar archive nor a Dockerfile"):
            await base_of(sources, f"{address}/other")


@pytest.mark.parametrize("address", ["file:///etc/passwd", "/etc/passwd", "ext::sh -c x", "ftp://x/y", ""])
async def test_other_addresses_are_refused(address: str, sources: BuildSources) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await base_of(sources, address)
    assert refusal.value.message == f"{address} is not an address of http or https"
    assert refusal.value.hint == "Write https://HOST/PATH."

"""The state room: containers survive, look-ups follow docker's rules."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from linwin.errors import Conflict, InvalidRequest, NotFound, Unavailable
from linwin.model.container import Container, ContainerSpec
from linwin.paths import Paths
from linwin.state import Database, records
from linwin.state.transitions import LEGAL


def container(id_: str, name: str, *, created_at: int = 1) -> Container:
    return Container(
        id=id_.ljust(64, "0"),
        name=name,
        spec=ContainerSpec(
            image="microsoft/nanoserver", env=("A=1",), labels={"k": "v"}, host_config={"Memory": 0}
        ),
        image_id="sha256:" + "1" * 64,
        template="wine",
        chain_id="sha256:" + "2" * 64,
        argv=("cmd", "/c", "ver"),
        command_line=None,
        env=("A=1",),
        cwd="C:\\",
        user="",
        labels={"k": "v"},
        uid=0,
        created_at=created_at,
    )


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    state = Database(Paths(tmp_path, tmp_path / "socket"))
    await state.open()
    yield state
    await state.close()


async def test_a_container_comes_back_as_it_was_even_from_a_new_daemon(
    database: Database, tmp_path: Path
) -> None:
    added = container("aa", "first")
    await database.add(added)
    second = Database(Paths(tmp_path, tmp_path / "socket"))
    await second.open()
    assert await second.get(added.id) == added
    await second.close()


async def test_a_renamed_container_is_found_by_its_new_name_alone(database: Database) -> None:
    await database.add(container("aa", "web"))
    await database.add(container("bb", "other"))
    renamed = await database.rename("aa".ljust(64, "0"), "shop")
    assert (renamed.name, await database.get("shop")) == ("shop", renamed)
    with pytest.raises(NotFound):
        await database.get("web")
    with pytest.raises(Conflict, match=r'^Conflict\. The container name "/other" is already in use by'):
        await database.rename(renamed.id, "other")
    assert await database.get("shop") == renamed


async def test_a_taken_name_is_refused_in_dockers_words(database: Database) -> None:
    await database.add(container("aa", "web"))
    with pytest.raises(Conflict) as caught:
        await database.add(container("bb", "web"))
    assert caught.value.message == (
        f'Conflict. The container name "/web" is already in use by container "{"aa".ljust(64, "0")}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    assert len(await database.list()) == 1


@pytest.mark.parametrize("reference", ["web", "/web", "ab", "ab00", "ab".ljust(64, "0")])
async def test_look_up_by_name_id_and_prefix(database: Database, reference: str) -> None:
    await database.add(container("ab", "web"))
    await database.add(container("cd", "other"))
    assert (await database.get(reference)).name == "web"


async def test_a_full_id_and_a_name_go_before_prefixes(database: Database) -> None:
    await database.add(container("ab", "cd"))
    await database.add(container("cd", "other"))
    assert (await database.get("cd")).name == "cd"


async def test_look_ups_that_fail_say_why(database: Database) -> None:
    await database.add(container("aa1", "one"))
    await database.add(container("aa2", "two"))
    with pytest.raises(NotFound, match=r"^No such container: zz$"):
        await database.get("zz")
    with pytest.raises(NotFound, match=r"^No such container: /$"):
        await database.get("/")
    with pytest.raises(InvalidRequest) as caught:
        await database.get("aa")
    assert caught.value.message == "Multiple IDs found with provided prefix: aa"
    assert caught.value.hint == "Give more digits of the id, or the name."


async def test_listing_is_newest_first(database: Database) -> None:
    await database.add(container("aa", "old", created_at=1))
    await database.add(container("bb", "new", created_at=2))
    assert [c.name for c in await database.list()] == ["new", "old"]


async def test_a_list_shows_every_change_and_reads_anew_only_those(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def parse(text: str, original: Callable[[str], Container] = records.parse) -> Container:
        parsed = original(text)
        read.append(parsed.name)
        return parsed

    monkeypatch.setattr(records, "parse", parse)
    await database.add(container("aa", "old", created_at=1))
    await database.add(container("bb", "new", created_at=2))
    assert await database.list() == [
        container("bb", "new", created_at=2),
        container("aa", "old", created_at=1),
    ]
    assert sorted(read) == ["new", "old"]
    await database.advance("aa", "starting", starts=1)
    read.clear()
    assert [(c.name, c.status, c.starts) for c in await database.list()] == [
        ("new", "created", 0),
        ("old", "starting", 1),
    ]
    assert read == ["old"]
    await database.delete("bb".ljust(64, "0"))
    await database.rename("aa".ljust(64, "0"), "renamed")
    assert [c.name for c in await database.list()] == ["renamed"]


async def test_a_legal_move_is_kept_with_its_changes(database: Database) -> None:
    await database.add(container("aa", "web"))
    moved = await database.advance("web", "starting", starts=1)
    assert (moved.status, moved.starts) == ("starting", 1)
    assert await database.get("web") == moved


@pytest.mark.parametrize("current", list(LEGAL))
@pytest.mark.parametrize("target", list(LEGAL))
async def test_exactly_the_legal_moves_are_possible(database: Database, current: str, target: str) -> None:
    await database.add(dataclasses.replace(container("aa", "web"), status=current))  # type: ignore[arg-type]
    if target in LEGAL[current]:  # type: ignore[index]
        assert (await database.advance("web", target)).status == target  # type: ignore[arg-type]
    else:
        with pytest.raises(Conflict) as caught:
            await database.advance("web", target)  # type: ignore[arg-type]
        assert caught.value.message == f"container aa0000000000 is {current} and cannot become {target}"
        assert (await database.get("web")).status == current


async def test_delete_is_idempotent(database: Database) -> None:
    await database.add(container("aa", "web"))
    await database.delete("aa".ljust(64, "0"))
    await database.delete("aa".ljust(64, "0"))
    assert await database.list() == []


async def test_a_damaged_row_is_a_dead_container_and_not_a_guess(database: Database, tmp_path: Path) -> None:
    await database.add(container("aa", "web"))
    await database.add(container("bb", "other", created_at=2))
    with closing(sqlite3.connect(tmp_path / "state.db")) as raw, raw:
        raw.execute("UPDATE containers SET record = '{\"id\": 1, \"uid\": 5}' WHERE name = 'web'")
    assert [(c.name, c.status, c.unreadable) for c in await database.list()] == [
        ("other", "created", False),
        ("web", "dead", True),
    ]
    found = await database.get("web")
    assert (found.id, found.uid, found.error) == (
        "aa".ljust(64, "0"),
        5,
        "its record cannot be read: 'spec'",
    )


async def test_a_damaged_row_is_written_over_by_nothing_but_its_removal(
    database: Database, tmp_path: Path
) -> None:
    await database.add(container("aa", "web"))
    with closing(sqlite3.connect(tmp_path / "state.db")) as raw, raw:
        raw.execute("UPDATE containers SET record = '[]'")
    with pytest.raises(Conflict) as caught:
        await database.amend("web", health="healthy")
    assert caught.value.message.startswith('container "/web" is dead: its record cannot be read: ')
    assert caught.value.hint == (
        "Install the linwin that wrote the record, or restore state.db from a backup; its files are kept "
        "until it is removed: linwin cp web:C:\\ FOLDER copies them"
    )
    with pytest.raises(Conflict, match="is dead"):
        await database.rename("web", "other")
    with pytest.raises(Conflict, match="is dead and cannot become running"):
        await database.advance("web", "running")
    with closing(sqlite3.connect(tmp_path / "state.db")) as raw:
        assert raw.execute("SELECT name, record FROM containers").fetchall() == [("web", "[]")]
    removing = await database.advance("web", "removing")
    assert (removing.status, removing.unreadable) == ("removing", True)
    assert await database.get("web") == removing


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database at all, but long enough to be read as one" * 20)
    state = Database(Paths(tmp_path, tmp_path / "socket"))
    with pytest.raises(Unavailable, match=r"the state database .*state\.db failed: file is not a database"):
        await state.open()
    await state.close()


async def test_close_is_idempotent(tmp_path: Path) -> None:
    state = Database(Paths(tmp_path, tmp_path / "sock"))
    await state.open()
    await state.close()
    await state.close()


async def test_a_name_that_is_damaged_costs_no_other_container(database: Database, tmp_path: Path) -> None:
    await database.add(container("aa", "web"))
    await database.add(container("bb", "sound"))
    with closing(sqlite3.connect(tmp_path / "state.db")) as raw, raw:
        raw.execute("UPDATE containers SET name = CAST(x'ff6562' AS TEXT) WHERE name = 'web'")
    found = {one.name: one.unreadable for one in await database.list()}
    assert found == {"\ufffdeb": True, "sound": False}
    await database.advance(container("aa", "web").id, "removing")
    await database.delete(container("aa", "web").id)
    assert [one.name for one in await database.list()] == ["sound"]

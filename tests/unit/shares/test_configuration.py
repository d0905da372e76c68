"""The texts that the file server reads its users from."""

from __future__ import annotations

from linwin.model.mount import Share
from linwin.shares.configuration import container_of, group, passwd, users, without

WEB = Share("0123456789ab-0", "/srv/web", False, 4000, 4001)
LOG = Share("0123456789ab-1", "/srv/log", True, 0, 0)
OTHER = Share("ba9876543210-0", "/srv/web", False, 4000, 4001)
NOBODY = "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"


def test_each_share_is_a_user_who_is_its_owner() -> None:
    assert passwd([], [WEB, LOG]) == (
        "0123456789ab-0:x:4000:4001:0123456789ab-0:/:/usr/sbin/nologin\n"
        "0123456789ab-1:x:0:0:0123456789ab-1:/:/usr/sbin/nologin\n" + NOBODY
    )


def test_users_are_added_to_those_that_there_are() -> None:
    first = passwd([], [WEB])
    both = passwd(first.splitlines(keepends=True), [OTHER])
    assert users(both) == [WEB.id, OTHER.id]
    assert both.count(NOBODY) == 1
    assert passwd(both.splitlines(keepends=True)) == both


def test_a_share_that_was_not_taken_back_is_one_user_with_its_new_owner() -> None:
    stale = passwd([], [WEB, OTHER])
    again = Share(WEB.id, "/srv/new", False, 5000, 5000)
    text = passwd(stale.splitlines(keepends=True), [again])
    assert users(text) == [OTHER.id, WEB.id]
    assert f"{WEB.id}:x:5000:5000:" in text


def test_nobody_is_no_share() -> None:
    assert users(passwd([])) == []
    assert users("") == []


def test_each_group_is_named_once() -> None:
    assert group(passwd([], [WEB, LOG, OTHER])) == "g0:x:0:\ng4001:x:4001:\nnogroup:x:65534:\n"
    assert group(passwd([])) == "nogroup:x:65534:\n"
    assert group(passwd([], [Share("a-0", "/", False, 65534, 65534)])) == "nogroup:x:65534:\n"


def test_users_are_left_out_by_their_whole_names() -> None:
    text = passwd([], [WEB, LOG, OTHER])
    left = without(text, [WEB.id, "0123456789ab", "nobod"])
    assert users(left) == [LOG.id, OTHER.id]
    assert left.endswith(NOBODY)
    secrets = "0123456789ab-1:0:XX:HASH:[U]:LCT-1:\n0123456789ab-10:0:XX:HASH:[U]:LCT-1:\n"
    assert without(secrets, ["0123456789ab-1"]) == "0123456789ab-10:0:XX:HASH:[U]:LCT-1:\n"


def test_the_container_is_what_comes_before_the_number() -> None:
    assert container_of("0123456789ab-12") == "0123456789ab"

"""The serial console of real guests, and what they have no screen for."""

from __future__ import annotations

import subprocess

from tests.vm.conftest import GUEST_TIMEOUT, NANOSERVER, Linwin

FOREVER = ("cmd", "/c", "ping -n 100000 127.0.0.1 >nul")


def test_the_console_of_a_guest_that_booted(linwin: Linwin) -> None:
    """The agent tells what it did; a reader follows it to the end of the machine."""
    linwin("run", "-d", "--cold", "--name", "box", NANOSERVER, *FOREVER)
    shown = linwin("console", "box").stdout.decode()
    told = ["root is /dev/vda", "ready on /dev/vport", "wine is up after"]
    assert [line for line in told if f"linwin-agent: {line}" not in shown] == []
    assert all(character.isprintable() or character in "\n\t" for character in shown)
    assert linwin("console", "--tail", "1", "box").stdout.decode() == shown.splitlines(keepends=True)[-1]
    following = linwin.start("console", "--follow", "box", stdout=subprocess.PIPE)
    assert following.stdout is not None
    assert following.stdout.read(len(shown.encode())) == shown.encode()
    linwin("stop", "box")
    last_words = following.stdout.read()
    following.stdout.close()
    assert following.wait(GUEST_TIMEOUT) == 0
    assert b"linwin-agent: shutting down\n" in last_words
    linwin("rm", "box")


def test_a_guest_that_boots_is_watched(linwin: Linwin) -> None:
    """Its console is there before its container runs."""
    linwin("create", "--cold", "--name", "box", NANOSERVER, "cmd", "/c", "ver")
    refused = linwin("console", "box", code=1)
    assert refused.stderr.decode().startswith("linwin: container ")
    starting = linwin.start("start", "box")
    while linwin.inspect("box")["State"]["Pid"] == 0:
        assert starting.poll() is None
    watched = linwin("console", "--follow", "box")
    assert starting.wait(GUEST_TIMEOUT) == 0
    assert watched.stdout.startswith(b"linwin-agent: root is /dev/vda\n")
    # Whether the agent can still say that the host hung up is its machine's end's choice.
    assert b"linwin-agent: C: is unmounted\n" in watched.stdout
    linwin("wait", "box")
    linwin("rm", "box")


def test_a_wine_guest_has_no_screen(linwin: Linwin) -> None:
    linwin("run", "-d", "--name", "box", NANOSERVER, *FOREVER)
    for words in (["screenshot"], ["console", "--vnc"]):
        refused = linwin(*words, "box", code=1)
        assert refused.stderr.decode() == (
            "linwin: box has no screen: the console of a guest of the kind wine is text\n"
            "Read it: linwin console box\n"
        )
    linwin("rm", "-f", "box")

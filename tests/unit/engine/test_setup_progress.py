"""Phases of an installation: from words, bytes and restarts; and what is wrong with one that gets nowhere."""

from __future__ import annotations

import pytest

from linwin.engine.setup_progress import (
    COPYING,
    FIRMWARE,
    LIMITS,
    MOST_RESTARTS,
    Limits,
    SetupProgress,
)
from linwin.model.installation import SPOKEN
from linwin.model.machine import MachineExit

MIB = 1 << 20


@pytest.fixture
def progress() -> SetupProgress:
    return SetupProgress(Limits(silence=600, phase=3600))


def test_an_installation_as_it_should_be(progress: SetupProgress) -> None:
    assert progress.phase == FIRMWARE
    progress.hear("BdsDxe: starting\r\nlinwin-setup: p", 5)
    assert progress.phase == FIRMWARE
    progress.hear("e \r\n", 10)
    progress.see(10 * MIB, 0, 15)
    assert progress.phase == SPOKEN["pe"]
    progress.see(900 * MIB, 0, 60)
    progress.see(950 * MIB, 1, 120)
    progress.hear("linwin-setup: specialize\r\nlinwin-setup: logon\r\nlinwin-setup: drivers\r\n", 200)
    progress.hear("linwin-setup: agent\r\nlinwin-setup: trim\r\nlinwin-setup: sysprep\r\n", 260)
    assert progress.fault(300) is None
    assert progress.fault_at_the_end(MachineExit(0)) is None
    assert progress.passed == [
        (0, FIRMWARE),
        (10, "Windows PE is running"),
        (60, COPYING),
        (120, "Restarted from the disk (1)"),
        (200, "Windows configures itself for this machine"),
        (200, "First logon"),
        (200, "Installing drivers"),
        (260, "Installing the agent"),
        (260, "Giving back what the disk does not need"),
        (260, "Generalizing (sysprep)"),
    ]


@pytest.mark.parametrize("code", [0, None], ids=["told", "by libvirt, which does not tell"])
def test_a_windows_whose_words_never_come_is_its_disks_to_judge(
    progress: SetupProgress, code: int | None
) -> None:
    progress.see(900 * MIB, 0, 60)
    assert progress.phase == COPYING
    progress.see(900 * MIB, 2, 120)
    assert progress.fault_at_the_end(MachineExit(code)) is None


@pytest.mark.parametrize("code", [0, None], ids=["told", "by libvirt, which does not tell"])
def test_the_last_word_is_the_end_of_an_installation(progress: SetupProgress, code: int | None) -> None:
    progress.hear("linwin-setup: sysprep\n", 60)
    assert progress.fault_at_the_end(MachineExit(code)) is None


@pytest.mark.parametrize(
    ("words", "restarts", "code", "fault"),
    [
        ("", 0, 0, "its machine switched itself off before it was done"),
        ("linwin-setup: pe\n", 1, 0, "its machine switched itself off before it was done"),
        ("linwin-setup: sysprep\n", 1, -9, "its emulator ended by signal 9"),
        ("linwin-setup: sysprep\n", 1, 1, "its emulator ended with code 1"),
        ("", 0, None, "its machine switched itself off before it was done"),
        (
            "linwin-setup: sysprep\nlinwin-setup: failed sysprep ended with 1\n", 1, 0,
            "the script in the new Windows gave up: sysprep ended with 1",
        ),
    ],
)  # fmt: skip
def test_an_end_that_is_none(
    progress: SetupProgress, words: str, restarts: int, code: int | None, fault: str
) -> None:
    progress.hear(words, 1)
    progress.see(0, restarts, 1)
    assert progress.fault_at_the_end(MachineExit(code)) == fault


def test_silence_is_bounded(progress: SetupProgress) -> None:
    progress.see(1, 0, 100)
    progress.see(1, 0, 650)  # nothing was written since
    assert progress.fault(700) is None
    assert progress.fault(701) == "nothing was heard or seen of it for 10 min"
    progress.see(2, 0, 702)
    assert progress.fault(703) is None


def test_a_phase_is_bounded_whatever_is_written(progress: SetupProgress) -> None:
    for now in range(0, 3700, 100):
        progress.see(now + 1, 0, now)
    assert progress.fault(3601) == "it did not get further in 60 min"
    progress.hear("linwin-setup: pe\n", 3601)
    assert progress.fault(3602) is None


def test_restarts_are_bounded(progress: SetupProgress) -> None:
    progress.see(0, MOST_RESTARTS, 1)
    assert progress.fault(2) is None
    progress.see(0, MOST_RESTARTS + 1, 3)
    assert progress.fault(4) == "its machine restarted 13 times and got nowhere"


def test_a_script_that_gives_up_says_why(progress: SetupProgress) -> None:
    progress.hear("linwin-setup: failed pnputil ended with 5 for \x1b[31mnetkvm.inf\n", 1)
    assert progress.fault(1) == (
        "the script in the new Windows gave up: pnputil ended with 5 for [31mnetkvm.inf"
    )
    progress.hear("linwin-setup: failed\n", 2)
    assert progress.fault(2) == "the script in the new Windows gave up: it does not say why"


def test_what_a_hostile_guest_says_is_bounded_and_means_nothing(progress: SetupProgress) -> None:
    for _ in range(100):
        progress.hear("x" * 100_000, 1)
    progress.hear(f"\nlinwin-setup: {'y' * 10_000}\nlinwin-setup: pe\nlinwin-setup: pe\n", 2)
    assert [phase for _, phase in progress.passed] == [FIRMWARE, SPOKEN["pe"]]
    progress.hear(f"linwin-setup: failed {'z' * 10_000}\n", 3)
    assert len(progress.fault(3) or "") < 300


def test_emulation_may_take_longer() -> None:
    assert LIMITS["tcg"].silence > LIMITS["kvm"].silence
    assert LIMITS["tcg"].phase > LIMITS["kvm"].phase
    assert SetupProgress(LIMITS["tcg"]).fault(LIMITS["tcg"].silence + 1) == (
        "nothing was heard or seen of it for 4 h"
    )

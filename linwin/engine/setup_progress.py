"""How far an installer is, from what can be heard and seen of its machine. Pure.

Scripts of ours say words over the serial port, the installer writes to its disk, the machine restarts and in
the end switches itself off. Any of these may be missing on a Windows that nobody has tried: none but the
last is waited for, each moves the phase, and each shows that something is still happening.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from linwin.model.installation import FAILED, LAST, SERIAL_MARK, SPOKEN
from linwin.model.machine import MachineExit

FIRMWARE = "Firmware starts the installer"
COPYING = "Copying Windows to the disk"
RESTARTED = "Restarted from the disk ({})"

MOST_RESTARTS = 12
"""Setup restarts two to four times; each may be one of a Windows that cannot start."""

_NOTEWORTHY = 64 << 20  # bytes on the disk that more than a partition table and empty volumes takes
_LONGEST = 200
_KEPT_TEXT = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that may pass without a sign of life, and in one phase."""

    silence: float
    phase: float


LIMITS = {"kvm": Limits(20 * 60, 60 * 60), "tcg": Limits(4 * 3600, 24 * 3600)}
"""By accelerator. Setup is an hour's work at most on hardware, and emulation takes twenty times that."""


@dataclass(slots=True)
class SetupProgress:
    """One installation; times are seconds since its machine was started."""

    limits: Limits
    phase: str = FIRMWARE
    since: float = 0.0
    alive: float = 0.0
    written: int = 0
    restarts: int = 0
    words: list[str] = field(default_factory=list)
    passed: list[tuple[float, str]] = field(default_factory=lambda: [(0.0, FIRMWARE)])
    _failed: str = ""
    _text: str = ""

    def hear(self, text: str, now: float) -> None:
        """Take what came over the serial port, however it is chunked."""
        lines = (self._text + text).split("\n")
        self._text = lines.pop()[-_KEPT_TEXT:]
        for line in lines:
            _, mark, said = line.partition(SERIAL_MARK)
            if mark:
                self._word(said.strip()[:_LONGEST], now)

    def see(self, written: int, restarts: int, now: float) -> None:
        """Take how many bytes were written to the disk, and how often the machine restarted, so far."""
        if written > self.written:
            self.alive, self.written = now, written
            if written >= _NOTEWORTHY and self.phase in (FIRMWARE, SPOKEN["pe"]):
                self._enter(COPYING, now)
        if restarts > self.restarts:
            self.restarts = restarts
            self._enter(RESTARTED.format(restarts), now)

    def fault(self, now: float) -> str | None:
        """What is wrong with the installation while its machine runs; None while it may get somewhere."""
        if self._failed:
            return f"the script in the new Windows gave up: {self._failed}"
        if self.restarts > MOST_RESTARTS:
            return f"its machine restarted {self.restarts} times and got nowhere"
        if now - self.alive > self.limits.silence:
            return f"nothing was heard or seen of it for {_duration(self.limits.silence)}"
        if now - self.since > self.limits.phase:
            return f"it did not get further in {_duration(self.limits.phase)}"
        return None

    def fault_at_the_end(self, ended: MachineExit) -> str | None:
        """What is wrong where the machine has ended; None where its disk may be what was asked for.

        Of a Windows whose words never came the disk is the judge.
        """
        if self._failed:
            return f"the script in the new Windows gave up: {self._failed}"
        if ended.code:  # libvirt tells none: what was heard has to do
            return f"its emulator ended {ended.how}"
        if LAST in self.words or (not self.words and self.restarts):
            return None
        return "its machine switched itself off before it was done"

    def _word(self, said: str, now: float) -> None:
        word, _, rest = said.partition(" ")
        if word == FAILED:
            self._failed = "".join(letter for letter in rest if letter.isprintable()) or "it does not say why"
        elif word in SPOKEN and word not in self.words:
            self.words.append(word)
            self._enter(SPOKEN[word], now)

    def _enter(self, phase: str, now: float) -> None:
        self.phase, self.since, self.alive = phase, now, now
        self.passed.append((now, phase))


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h" if minutes >= 120 else f"{minutes} min" if minutes else f"{seconds:g} s"

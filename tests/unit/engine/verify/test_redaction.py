"""Names and secrets are taken out, and what is neither stays."""

from __future__ import annotations

import pytest

from linwin.engine.verify.redaction import Redaction
from linwin.model.verification import CheckResult, Surroundings

REDACTION = Redaction(
    {
        "bob": "<USER>",
        "/home/bob": "<HOME>",
        "zeus": "<HOST>",
        "zeus.example.org": "<HOST>",
        "/srv/lw": "<LINWIN_ROOT>",
    }
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bob at zeus", "<USER> at <HOST>"),
        ("BOB@Zeus.example.org", "<USER>@<HOST>"),
        ("bobbin of zeusville", "bobbin of zeusville"),
        ("C:\\Users\\bob\\x, bob_2", "C:\\Users\\<USER>\\x, <USER>_2"),
        ("/home/bob/.ssh and /srv/lw/state.db", "<HOME>/.ssh and <LINWIN_ROOT>/state.db"),
        ("password=hunter2 next", "password=*** next"),
        ("Token: abc.def", "Token: ***"),
        ("API_KEY = 'x y' next", "API_KEY = *** next"),
        ('password: "a b" c', "password: *** c"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
        ("http://user:pass@host/x", "http://***@host/x"),
        ("eyJhbGciOiJub25l.eyJzdWIi.c2ln.", "***."),
        ("VK7JG-NPHTM-C97JM-9MPGT-3V66T", "*****-*****-*****-*****-*****"),
        (
            "the digest sha256:0badcafe stays, and 172.22.0.2",
            "the digest sha256:0badcafe stays, and 172.22.0.2",
        ),
    ],
)
def test_what_is_told(text: str, told: str) -> None:
    assert REDACTION(text) == told


def test_every_field_is_looked_at() -> None:
    result = CheckResult("a", "b", "c", "failed", 1.0, detail="bob", expected="zeus", got="/srv/lw")
    told = REDACTION.result(result)
    assert (told.detail, told.expected, told.got) == ("<USER>", "<HOST>", "<LINWIN_ROOT>")
    surroundings = REDACTION.surroundings(Surroundings((("Host", "zeus"),), (("Log", "bob"),), b"PNG"))
    assert surroundings == Surroundings((("Host", "<HOST>"),), (("Log", "<USER>"),), b"PNG")

"""linwin diff of what real programs did to a real C:."""

from __future__ import annotations

from tests.vm.conftest import NANOSERVER, Linwin

WORK = (
    r"mkdir C:\made\deep",
    r"echo one> C:\made\deep\one.txt",
    r"move C:\made\deep C:\made\moved >nul",
    r"echo more>> C:\Windows\win.ini",
    r"mkdir C:\gone",
    r"echo x> C:\gone\x.txt",
    r"rmdir /s /q C:\gone",
    r"ren C:\Windows\System32\drivers\etc\hosts hosts.old",
    r"reg add HKLM\Software\Pet /v Name /d Mog /f >nul",
)


def test_what_programs_changed_is_told_and_nothing_else(linwin: Linwin) -> None:
    linwin("run", "--name", "box", NANOSERVER, "cmd", "/c", " & ".join(WORK))
    assert linwin.text("diff", "box").splitlines() == [
        "C /Windows",
        "C /Windows/System32",
        "C /Windows/System32/drivers",
        "C /Windows/System32/drivers/etc",
        "D /Windows/System32/drivers/etc/hosts",
        "A /Windows/System32/drivers/etc/hosts.old",
        "C /Windows/win.ini",
        "A /made",
        "A /made/moved",
        "A /made/moved/one.txt",
    ]
    linwin("create", "--name", "new", NANOSERVER)
    assert linwin.text("diff", "new") == ""
    linwin("run", "--name", "idle", NANOSERVER, "cmd", "/c", "exit")
    assert linwin.text("diff", "idle") == ""
    linwin("rm", "box", "new", "idle")

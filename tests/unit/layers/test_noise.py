"""What never reaches a layer, and what looks like it and does."""

from __future__ import annotations

import pytest

from linwin.layers.noise import holds_noise, is_noise

GUID = "{53b39e88-18c4-11ea-a811-000d3aa4692b}"
NOISE = [
    "pagefile.sys",
    "swapfile.sys",
    "hiberfil.sys",
    "DumpStack.log.tmp",
    "System Volume Information/tracking.log",
    "$Recycle.Bin",
    "$Recycle.Bin/S-1-5-18/desktop.ini",
    "Windows/bootstat.dat",
    "Windows/Prefetch/CMD.EXE-0BD30981.pf",
    "Windows/Logs/CBS/CBS.log",
    "Windows/System32/LogFiles/WMI/x.etl",
    "Windows/System32/winevt/Logs/System.evtx",
    "Windows/System32/config/SYSTEM",
    "Windows/System32/config/SOFTWARE.LOG1",
    "Windows/System32/config/DEFAULT.sav",
    f"Windows/System32/config/SYSTEM{GUID}.TM.blf",
    f"Windows/System32/config/TxR/{GUID}.TxR.0.regtrans-ms",
    "Windows/System32/config/RegBack/SAM",
    "Windows/System32/config/linwin/system.reg",
    "Users/ContainerAdministrator/NTUSER.DAT.LOG1",
    f"Users/me/NTUSER.DAT{GUID}.TM.blf",
    f"Users/me/NTUSER.DAT{GUID}.TMContainer00000000000000000001.regtrans-ms",
    "Users/me/AppData/Local/Microsoft/Windows/UsrClass.dat.LOG2",
    f"Windows/AppCompat/Programs/Amcache.hve{GUID}.TM.blf",
    f"x/{GUID}.TxR.blf",
    "Windows/Temp/linwin-heredoc-12.cmd",
    "ProgramData/linwin/agent.log",
]
NO_NOISE = [
    "",
    "$own folder/x",
    "data/pagefile.sys",
    "Windows",
    "Windows/System32/config",
    "Windows/System32/config/systemprofile/AppData/x",
    "Windows/System32/config/SYSTEM.txt",
    "Windows/System32/drivers/etc/hosts",
    "Windows/Temp/other.txt",
    "Windows/Logstash/x.conf",
    "Users/me/NTUSER.DAT",
    "Users/me/AppData/Local/Microsoft/Windows/UsrClass.dat",
    "Users/me/mine.blf",
    "inetpub/logs/LogFiles/W3SVC1/u_ex.log",
]


@pytest.mark.parametrize("path", NOISE)
def test_noise(path: str) -> None:
    assert is_noise(path)
    assert is_noise(path.upper())


@pytest.mark.parametrize("path", NO_NOISE)
def test_what_is_no_noise(path: str) -> None:
    assert not is_noise(path)


def test_folders_whose_times_say_nothing() -> None:
    assert holds_noise("")
    assert holds_noise("Windows/System32")
    assert holds_noise("WINDOWS/TEMP")
    assert not holds_noise("Users/me")
    assert not holds_noise("Windows/System32/drivers")

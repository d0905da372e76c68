"""Who a program runs as and what its computer is called, by every way in which Windows programs ask."""

from __future__ import annotations

import subprocess

import pytest

from tests.vm.conftest import Linwin
from tests.vm.test_lifecycle import FOREVER, until_started

HOST, DOMAIN = "Web-server-number-one", "example.test"
NAMED = ("-h", HOST, "--domainname", DOMAIN)
NETBIOS = "WEB-SERVER-NUMB"
COMPUTER = {
    "GetComputerName": NETBIOS,
    "GetComputerNameEx NetBIOS": NETBIOS,
    "GetComputerNameEx DnsHostname": HOST,
    "GetComputerNameEx DnsDomain": DOMAIN,
    "GetComputerNameEx DnsFullyQualified": f"{HOST}.{DOMAIN}",
    "GetComputerNameEx PhysicalNetBIOS": NETBIOS,
    "GetComputerNameEx PhysicalDnsHostname": HOST,
    "GetComputerNameEx PhysicalDnsFullyQualified": f"{HOST}.{DOMAIN}",
    "gethostname": f"{HOST}.{DOMAIN}",
    "ActiveComputerName": NETBIOS,
    "ComputerName": NETBIOS,
    "Hostname": HOST,
    "Domain": DOMAIN,
}
IDENTITY = ("cmd", "/c", "C:\\identity.exe & set & hostname")


def user(name: str) -> dict[str, str]:
    """What a program hears of its user; paths in lower case, since Windows ignores it."""
    profile = f"c:\\users\\{name}".lower()
    return {
        "GetUserName": name,
        "LookupAccountSid": name,
        "GetUserProfileDirectory": profile,
        "SHGetFolderPath PROFILE": profile,
        "SHGetFolderPath APPDATA": f"{profile}\\appdata\\roaming",
        "SHGetFolderPath LOCAL_APPDATA": f"{profile}\\appdata\\local",
        "GetTempPath": f"{profile}\\appdata\\local\\temp\\",
        "USERNAME": name,
        "USERPROFILE": profile,
        "APPDATA": f"{profile}\\appdata\\roaming",
        "LOCALAPPDATA": f"{profile}\\appdata\\local",
        "TEMP": f"{profile}\\appdata\\local\\temp",
        "TMP": f"{profile}\\appdata\\local\\temp",
        "HOMEDRIVE": "c:",
        "HOMEPATH": profile.removeprefix("c:"),
    }


def told(printed: str) -> dict[str, str]:
    """What identity.exe and ``set`` printed, and ``hostname`` last."""
    *pairs, host = printed.splitlines()
    heard = {**dict(pair.split("=", 1) for pair in pairs if "=" in pair), "hostname": host}
    return {
        name: value.lower() if value[1:3] == ":\\" or name.startswith("HOME") else value
        for name, value in heard.items()
    }


def assert_told(printed: str, name: str, domain: str) -> None:
    heard = told(printed)
    wanted = {**user(name), **COMPUTER, "USERDOMAIN": domain, "COMPUTERNAME": NETBIOS, "hostname": HOST}
    assert {key: heard.get(key) for key in wanted} == wanted


def test_users_and_names_when_started_and_in_exec(linwin: Linwin, test_programs: str) -> None:
    script = "C:\\identity.exe & set & hostname & echo started & ping -n 100000 127.0.0.1 >nul"
    words = ("--name", "box", *NAMED, "-u", "user manager\\containeruser", test_programs)
    linwin("run", "-d", *words, "cmd", "/c", script)
    for run in range(2):
        until_running_again(linwin, "box", run + 1)
        printed = linwin.text("logs", "box").split("started \n")[run]
        assert_told(printed, "ContainerUser", "User Manager")
        if run == 0:
            for asked, name, domain in (
                ("ContainerAdministrator", "ContainerAdministrator", "User Manager"),
                (".\\containeruser", "ContainerUser", "User Manager"),
                ("NT AUTHORITY\\SYSTEM", "SYSTEM", "NT AUTHORITY"),
            ):
                assert_told(linwin.text("exec", "-u", asked, "box", *IDENTITY), name, domain)
            assert_told(linwin.text("exec", "box", *IDENTITY), "ContainerUser", "User Manager")
            linwin("restart", "-t", "5", "box")
    linwin("rm", "-f", "box")


def until_running_again(linwin: Linwin, name: str, times: int) -> None:
    """Return when the container's program has said "started" so often."""
    with linwin.start("logs", "-f", name, stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        for _ in range(times):
            while not logs.stdout.readline().startswith(b"started"):
                assert logs.poll() is None
        logs.terminate()


@pytest.mark.parametrize("cold", [(), ("--cold",)], ids=["restored", "cold"])
def test_the_images_default_user_and_names(linwin: Linwin, test_programs: str, cold: tuple[str, ...]) -> None:
    printed = linwin.text("run", "--rm", *cold, *NAMED, test_programs, *IDENTITY)
    assert_told(printed, "ContainerAdministrator", "User Manager")


def test_profile_folders_can_be_written(linwin: Linwin, test_programs: str) -> None:
    folders = ("USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP")
    script = " & ".join(f"echo %{name}%> %{name}%\\mark& type %{name}%\\mark" for name in folders)
    for name in ("ContainerAdministrator", "ContainerUser", "NT AUTHORITY\\SYSTEM"):
        printed = linwin.text("run", "--rm", "-u", name, test_programs, "cmd", "/c", script)
        profile = f"C:\\Users\\{name.rpartition(chr(92))[2]}"
        tails = ("", "\\AppData\\Roaming", "\\AppData\\Local", "\\AppData\\Local\\Temp")
        assert printed.splitlines() == [profile + tail for tail in tails]


def test_a_user_that_is_not_there(linwin: Linwin, test_programs: str) -> None:
    sentence = (
        b"linwin: failure in a Windows system call: The user name or password is incorrect. (0x52e): a wine "
        b'guest has the users ContainerAdministrator, ContainerUser and NT AUTHORITY\\SYSTEM, not "bob"\n'
    )
    done = linwin("run", "--rm", "-u", "bob", test_programs, "cmd", code=125)
    assert sentence in done.stderr


def test_setx_is_kept(linwin: Linwin, test_programs: str) -> None:
    linwin("run", "-d", "--name", "box", test_programs, *FOREVER)
    until_started(linwin, "box")
    script = b'setx NAME "of the user"\r\nsetx /m PATH "%PATH%;C:\\tools"\r\nexit\r\n'
    printed = linwin.text("exec", "-i", "box", "cmd", "/q", input=script)
    assert printed.count("\nSUCCESS: Specified value was saved.\n") == 2
    said = linwin.text("exec", "box", "setx", "REF", "%OS% it is", "/M")
    assert said == "\nSUCCESS: Specified value was saved.\n"
    for _ in range(2):
        seen = linwin.text("exec", "box", "cmd", "/c", "echo %NAME%& path & echo %REF%").splitlines()
        assert seen[0] == "of the user"
        assert seen[1].lower().startswith("path=c:\\windows\\system32;c:\\windows;")
        assert seen[1].endswith(";C:\\tools")
        assert seen[2] == "Windows_NT it is"
        linwin("restart", "-t", "5", "box")
        until_started(linwin, "box")
    misused = linwin("exec", "box", "setx", "ONLY", code=1)
    assert misused.stderr == b'ERROR: Invalid syntax.\r\nType "SETX /?" for usage.\r\n'
    refused = linwin("exec", "box", "setx", "A", "/K", "HKLM", code=1)
    assert b"ERROR: linwin's setx has no option '/K'" in refused.stderr
    cut = linwin.text("exec", "box", "setx", "LONG", "x" * 1030)
    assert cut == (
        "\nWARNING: The data being saved is truncated to 1024 characters.\n"
        "\nSUCCESS: Specified value was saved.\n"
    )
    linwin("rm", "-f", "box")

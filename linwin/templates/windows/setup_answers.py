"""What Windows Setup is told when it installs Windows from its ISO: ``Autounattend.xml``. Pure.

Setup looks for the file on every disc. Settings are those of Microsoft's "Unattended Windows Setup
Reference", each in a pass that this names for it. *offlineServicing* has none: drivers that Windows PE
is given come into the installed Windows too.
"""

from __future__ import annotations

from linwin.model.installation import SERIAL_MARK
from linwin.templates.windows import unattend
from linwin.templates.windows.answer_file import Setting, hidden, render, settings
from linwin.templates.windows.disk import ESP_SIZE, RESERVED_SIZE
from linwin.templates.windows.wim import Image

FILE = "Autounattend.xml"
SCRIPT = "setup.cmd"
FOLDER = "linwin"
"""The folder of our disc that the script lies in, with what it installs."""
DRIVERS = "drivers"

_MIB = 1 << 20
_LETTERS = "CDEFGH"  # one of which Windows gives our disc: they depend on what else there is
_INTERNATIONAL = "Microsoft-Windows-International-Core"
_ADMINISTRATOR = "Administrator"


def answers(
    image: Image, label: str, drivers: tuple[str, ...], password: str, product_key: str = ""
) -> bytes:
    """The answer file that installs ``image`` and then runs the script of our disc.

    ``drivers`` are folders in ``linwin/drivers`` of the disc. ``password`` is the administrator's for as long
    as it takes. Without a ``product_key`` Setup goes by the ISO, as evaluations and those under volume
    licences do.
    """
    return render(
        {
            "windowsPE": {
                f"{_INTERNATIONAL}-WinPE": (
                    Setting("SetupUILanguage", settings(UILanguage=image.language)),
                    *_languages(image.language),
                ),
                "Microsoft-Windows-PnpCustomizationsWinPE": (_driver_paths(drivers),),
                "Microsoft-Windows-Setup": (
                    _told("pe"),
                    _disk(label),
                    _install(image.index),
                    _user(product_key),
                    *settings(EnableFirewall="true"),
                ),
            },
            "specialize": {
                unattend.SHELL: settings(ComputerName=unattend.COMPUTER, TimeZone="UTC"),
                "Microsoft-Windows-Deployment": (_told("specialize"),),
            },
            "oobeSystem": {
                f"{_INTERNATIONAL}": _languages(image.language),
                unattend.SHELL: (
                    *unattend.oobe(),
                    unattend.accounts(password),
                    _logon(password),
                    _first_command(),
                ),
            },
        }
    )


def say(words: str) -> str:
    """The command by which a script tells the serial port something, and goes on if it cannot."""
    return f">COM1 echo {SERIAL_MARK}{words}"


def _languages(language: str) -> tuple[Setting, ...]:
    return settings(InputLocale=language, SystemLocale=language, UILanguage=language, UserLocale=language)


def _driver_paths(drivers: tuple[str, ...]) -> Setting:
    """Where the drivers lie; a path that is not there is passed over."""
    paths = [f"{letter}:\\{FOLDER}\\{DRIVERS}\\{name}" for letter in _LETTERS for name in drivers]
    return Setting(
        "DriverPaths",
        tuple(
            Setting("PathAndCredentials", settings(Path=path), item=True, key=str(number))
            for number, path in enumerate(paths, 1)
        ),
    )


def _told(word: str) -> Setting:
    """A command that tells the serial port which phase this is; its own success is no matter."""
    command = settings(
        Order="1", Path=f'cmd.exe /c "{say(word)} & exit 0"', Description=f"Tell the host: {word}"
    )
    return Setting("RunSynchronous", (Setting("RunSynchronousCommand", command, item=True),))


def _disk(label: str) -> Setting:
    """GPT: EFI system partition, Microsoft's reserved one, and C: last, so that a disk can grow."""
    sizes = (("EFI", ESP_SIZE), ("MSR", RESERVED_SIZE))
    created = [
        Setting("CreatePartition", settings(Order=str(number), Type=kind, Size=str(size // _MIB)), item=True)
        for number, (kind, size) in enumerate(sizes, 1)
    ]
    created.append(Setting("CreatePartition", settings(Order="3", Type="Primary", Extend="true"), item=True))
    modified = (
        settings(Order="1", PartitionID="1", Format="FAT32", Label="SYSTEM"),
        settings(Order="2", PartitionID="2"),
        settings(Order="3", PartitionID="3", Format="NTFS", Label=label, Letter="C"),
    )
    disk = (
        *settings(DiskID="0", WillWipeDisk="true"),
        Setting("CreatePartitions", tuple(created)),
        Setting("ModifyPartitions", tuple(Setting("ModifyPartition", one, item=True) for one in modified)),
    )
    # An error is shown, and so is on the picture that the host takes of the screen.
    return Setting("DiskConfiguration", (*settings(WillShowUI="OnError"), Setting("Disk", disk, item=True)))


def _install(index: int) -> Setting:
    which = Setting("MetaData", settings(Key="/IMAGE/INDEX", Value=str(index)), item=True)
    return Setting(
        "ImageInstall",
        (
            Setting(
                "OSImage",
                (
                    Setting("InstallFrom", (which,)),
                    Setting("InstallTo", settings(DiskID="0", PartitionID="3")),
                    *settings(WillShowUI="OnError"),
                ),
            ),
        ),
    )


def _user(product_key: str) -> Setting:
    key = settings(Key=product_key, WillShowUI="OnError") if product_key else settings(WillShowUI="OnError")
    return Setting("UserData", (*settings(AcceptEula="true"), Setting("ProductKey", key)))


def _logon(password: str) -> Setting:
    return Setting(
        "AutoLogon",
        (
            Setting("Password", hidden(password, "Password")),
            *settings(Enabled="true", LogonCount="1", Username=_ADMINISTRATOR),
        ),
    )


def _first_command() -> Setting:
    """Runs the script, wherever our disc is."""
    script = f"%d:\\{FOLDER}\\{SCRIPT}"
    found = f"for %d in ({' '.join(_LETTERS)}) do if exist {script} call {script}"
    command = settings(Order="1", CommandLine=f'cmd.exe /c "{found}"', Description="Make it a template")
    return Setting("FirstLogonCommands", (Setting("SynchronousCommand", command, item=True),))

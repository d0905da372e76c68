"""Answer files of Windows Setup, as text. Pure.

An answer file names passes, in each of them components, and their settings. Form and names are those of
Microsoft's "Unattended Windows Setup Reference"; lists in it mark their items with ``wcm:action``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

_TOKEN = "31bf3856ad364e35"  # of Microsoft's own components
_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n<unattend xmlns="urn:schemas-microsoft-com:unattend"'
    ' xmlns:wcm="http://schemas.microsoft.com/WMIConfig/2002/State">\n'
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, with its text or with settings in it.

    One that is an item of a list says so, and has a ``key`` where the list's items are told apart by one.
    """

    name: str
    content: str | tuple[Setting, ...]
    item: bool = False
    key: str = ""


Passes = Mapping[str, Mapping[str, tuple[Setting, ...]]]
"""The settings by pass (``specialize``) and component (``Microsoft-Windows-Shell-Setup``)."""


def render(passes: Passes) -> bytes:
    """The file's bytes, with the line ends that Windows' own tools make."""
    body = "".join(
        f"  <settings pass={quoteattr(name)}>\n{_components(components)}  </settings>\n"
        for name, components in passes.items()
    )
    return f"{_HEAD}{body}</unattend>\n".replace("\n", "\r\n").encode()


def settings(**values: str) -> tuple[Setting, ...]:
    """Plain settings, by their names."""
    return tuple(Setting(name, value) for name, value in values.items())


def hidden(password: str, name: str) -> tuple[Setting, ...]:
    """A password as Setup itself hides it: what is encoded ends with the ``name`` of the setting."""
    value = base64.b64encode(f"{password}{name}".encode("utf-16-le")).decode()
    return settings(Value=value, PlainText="false")


def _components(components: Mapping[str, tuple[Setting, ...]]) -> str:
    return "".join(
        f'    <component name={quoteattr(name)} processorArchitecture="amd64" publicKeyToken="{_TOKEN}"'
        f' language="neutral" versionScope="nonSxS">\n{_lines(content, 6)}    </component>\n'
        for name, content in components.items()
    )


def _lines(content: tuple[Setting, ...], depth: int) -> str:
    return "".join(_line(setting, depth) for setting in content)


def _line(setting: Setting, depth: int) -> str:
    margin, name = " " * depth, setting.name
    marks = ' wcm:action="add"' if setting.item else ""
    marks += f" wcm:keyValue={quoteattr(setting.key)}" if setting.key else ""
    if isinstance(setting.content, str):
        return f"{margin}<{name}{marks}>{escape(setting.content)}</{name}>\n"
    return f"{margin}<{name}{marks}>\n{_lines(setting.content, depth + 2)}{margin}</{name}>\n"

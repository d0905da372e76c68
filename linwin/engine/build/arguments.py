"""ARG: which arguments of a build exist where, and what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from linwin.engine.build.words import Variables

PLATFORM = {
    f"{side}{what}": value
    for side in ("TARGET", "BUILD")
    for what, value in (
        ("PLATFORM", "windows/amd64"),
        ("OS", "windows"),
        ("ARCH", "amd64"),
        ("VARIANT", ""),
    )
}
"""What BuildKit defines before the first FROM; a stage has them once it declares them."""

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
"""Can be given without an ARG, and are in no history: they say where a build was, and not what it made."""


class Arguments:
    """The arguments of one stage, or those before the first FROM.

    ``given`` is what the client gave, None for a name without a value; ``outer`` are those
    before the first FROM. Names are matched as they are written.
    """

    def __init__(self, given: Mapping[str, str | None], outer: Mapping[str, str]) -> None:
        self._given = given
        self._outer = outer
        self._declared: dict[str, str | None] = {}

    def declare(self, name: str, default: str | None) -> None:
        """What was given counts before the default, and that before what is declared outside."""
        value = self._given.get(name)
        if value is None:
            value = default if default is not None else self._outer.get(name)
        self._declared[name] = value

    @property
    def values(self) -> dict[str, str]:
        """Those that were declared and have a value."""
        return {name: value for name, value in self._declared.items() if value is not None}

    @property
    def proxies(self) -> dict[str, str]:
        """Those that need no declaration, and have none."""
        return {
            name: value
            for name, value in self._given.items()
            if value is not None and name.upper() in PROXIES and name not in self._declared
        }

    def variables(self, env: Iterable[str]) -> Variables:
        """What words can name: ENV counts before ARG."""
        return Variables((*(f"{name}={value}" for name, value in self.values.items()), *env))

    def beside(self, env: Iterable[str]) -> tuple[str, ...]:
        """``NAME=value`` of those that ENV does not hide, in the order of names, as a RUN sees them."""
        hidden = Variables(env)
        return tuple(f"{name}={value}" for name, value in sorted(self.values.items()) if name not in hidden)

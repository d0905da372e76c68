"""One registry that is all registries: what is there, who may see it, what was pushed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from linwin.errors import NotFound, Unauthorized, Unavailable
from linwin.images.references import parse
from linwin.model.image import Image
from linwin.model.progress import Progress, Report
from linwin.model.registry import Credentials, Distributed, Distribution, Pushed, SearchResult
from tests.scenario.fakes.gate import Gate


@dataclass(frozen=True)
class Content:
    """An image as a registry has it. Its layers are told by their sizes in bytes."""

    cmd: tuple[str, ...] = ("echo", "pulled")
    layers: tuple[int, ...] = (3000,)
    saved: int = 0

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(repr(self).encode()).hexdigest()


@dataclass
class FakeRegistry:
    """``content`` is by canonical reference, ``private`` holds repositories that only ``accounts`` see.

    ``asked`` lists the credentials that came, ``down`` is why nothing is
    reached, and ``gate`` holds pulls that have begun. A pull of content in
    ``corrupt`` fails after its first layer's bytes.
    """

    content: dict[str, Content] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    corrupt: set[str] = field(default_factory=set)
    accounts: dict[str, str] = field(default_factory=lambda: {"me": "secret"})
    results: list[SearchResult] = field(default_factory=list)
    asked: list[Credentials | None] = field(default_factory=list)
    down: str = ""
    gate: Gate | None = None

    async def fetch(self, name: str, report: Report, credentials: Credentials | None) -> Content:
        self._ask(credentials)
        found = self._find(name)
        if found is None or not self._may(name, credentials):
            raise self._denied(name)
        report(Progress(f"Pulling from {parse(name).familiar_name}", parse(name).tag or "", heading=True))
        if self.gate:
            await self.gate.passed()
        for size in found.layers:
            report(Progress("Downloading", f"layer-{size}", size, size))
            if name in self.corrupt:
                raise Unavailable("the registry cut the connection", hint="Try again: what came is kept.")
            report(Progress("Download complete", f"layer-{size}"))
        return found

    def describe(self, name: str, credentials: Credentials | None) -> Distribution:
        self._ask(credentials)
        found = self._find(name)
        if found is None or not self._may(name, credentials):
            raise self._denied(name)
        platform = Distributed("windows", "amd64", "10.0.17763.1", ("win32k",))
        return Distribution("application/vnd.oci.image.manifest.v1+json", found.digest, 321, (platform,))

    def _denied(self, name: str) -> NotFound:
        return NotFound(
            f"pull access denied for {parse(name).familiar_name}, repository does not exist or may "
            "require 'docker login': denied: requested access to the resource is denied"
        )

    async def receive(
        self, name: str, image: Image, report: Report, credentials: Credentials | None
    ) -> Pushed:
        report(Progress(f"The push refers to repository [{parse(name).name}]"))
        self._ask(credentials)
        if not self._may(name, credentials):
            raise Unauthorized("denied: requested access to the resource is denied")
        report(Progress("Pushed", "fedcba987654"))
        content = Content(image.config.cmd, tuple(layer.size for layer in image.layers))
        self.content[name] = content
        return Pushed(name, content.digest, 1234)

    def login(self, credentials: Credentials) -> str:
        self._ask(credentials)
        if not self._known(credentials):
            raise Unauthorized(
                f"login attempt to https://{credentials.server}/v2/ failed with status: 401 Unauthorized"
            )
        return "Login Succeeded"

    def search(self, term: str) -> list[SearchResult]:
        return [found for found in self.results if term in found.name + found.description]

    def _ask(self, credentials: Credentials | None) -> None:
        self.asked.append(credentials)
        if self.down:
            raise Unavailable(self.down, hint="Check the network.")

    def _find(self, name: str) -> Content | None:
        digest = parse(name).digest
        if digest is None:
            return self.content.get(name)
        here = (content for key, content in self.content.items() if parse(key).name == parse(name).name)
        return next((content for content in here if content.digest == digest), None)

    def _may(self, name: str, credentials: Credentials | None) -> bool:
        return parse(name).name not in self.private or self._known(credentials)

    def _known(self, credentials: Credentials | None) -> bool:
        return credentials is not None and self.accounts.get(credentials.username) == credentials.password

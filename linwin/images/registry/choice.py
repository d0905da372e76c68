"""Which image of a manifest list is meant: the one that the templates here serve best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from linwin.errors import InvalidRequest
from linwin.images.configs import ImageConfig, parse_config
from linwin.images.platforms import Rank, rank, require_windows
from linwin.images.registry.manifests import Instance, Manifest, ManifestList, parse_manifest
from linwin.images.registry.source import Source
from linwin.model.image import Platform
from linwin.model.template import Template

_MAXIMUM_DEPTH = 4
_MAXIMUM_LOOKED_INTO = 32


@dataclass(frozen=True, slots=True)
class Chosen:
    """One platform's image: its manifest and its config, as bytes and read."""

    manifest: Manifest
    config_bytes: bytes
    config: ImageConfig


async def choose(source: Source, top: bytes, templates: Sequence[Template]) -> Chosen:
    """The image that ``top``, a manifest or a list of them, has for the templates.

    Lists that leave the Windows build out are looked behind: the config tells
    it. Raises InvalidRequest when there is no image for Windows.
    """
    return await _Choice(source, templates).among(top, 0)


class _Choice:
    def __init__(self, source: Source, templates: Sequence[Template]) -> None:
        self._source = source
        self._templates = templates
        self._name = source.subject.name
        self._looked_into = 0

    async def among(self, data: bytes, depth: int) -> Chosen:
        document = parse_manifest(data, self._name)
        if isinstance(document, Manifest):
            return await self._image(document)
        if depth > _MAXIMUM_DEPTH:
            raise InvalidRequest(f"the manifest of image {self._name} nests too many lists")
        best = await self._best(document, depth)
        if isinstance(best, Chosen):
            return best
        return await self.among(await self._source.manifest(best.descriptor.digest), depth + 1)

    async def _best(self, document: ManifestList, depth: int) -> Instance | Chosen:
        """The entry that fits best, the first of equals; looked into already where that was needed.

        Those that name no system count only when no other fits.
        """
        others: list[Platform] = []
        for named in (True, False):
            instances = [one for one in document.instances if one.names_system is named]
            best = await self._best_of(instances, depth, others)
            if best is not None:
                return best
        if others:
            require_windows(others[0], self._name)
        raise InvalidRequest(f"the manifest list of image {self._name} names no image")

    async def _best_of(
        self, instances: Sequence[Instance], depth: int, others: list[Platform]
    ) -> Instance | Chosen | None:
        """The same of some entries, None when none fits; platforms that do not are added to ``others``."""
        best: Instance | Chosen | None = None
        best_rank: Rank | None = None
        for instance in instances:
            found: Instance | Chosen = instance
            platform = instance.platform
            if platform is None:
                found = await self._look_into(instance, depth)
                platform = found.config.platform
            fit = rank(platform, self._templates)
            if fit is None:
                others.append(platform)
            elif best_rank is None or fit > best_rank:
                best, best_rank = found, fit
        return best

    async def _look_into(self, instance: Instance, depth: int) -> Chosen:
        self._looked_into += 1
        if self._looked_into > _MAXIMUM_LOOKED_INTO:
            raise InvalidRequest(
                f"the manifest list of image {self._name} leaves the platforms of more than "
                f"{_MAXIMUM_LOOKED_INTO} images open"
            )
        return await self.among(await self._source.manifest(instance.descriptor.digest), depth + 1)

    async def _image(self, manifest: Manifest) -> Chosen:
        what = f"the config of image {self._name} ({manifest.config.digest})"
        data = await self._source.document(manifest.digest, manifest.config, what)
        config = parse_config(data, what)
        if len(config.diff_ids) != len(manifest.layers):
            raise InvalidRequest(
                f"the manifest of image {self._name} lists {len(manifest.layers)} layers, "
                f"but its config has {len(config.diff_ids)}"
            )
        return Chosen(manifest, data, config)

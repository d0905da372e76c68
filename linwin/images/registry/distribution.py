"""What a registry has under a reference, without pulling it: its descriptor and its platforms."""

from __future__ import annotations

from linwin.images.aliases import Aliases
from linwin.images.contents import sha256
from linwin.images.documents import Document
from linwin.images.registry.limits import Limits
from linwin.images.registry.manifests import Manifest, ManifestList, parse_manifest
from linwin.images.registry.pull import pullable
from linwin.images.registry.skopeo import credentials_for, subject_of
from linwin.images.registry.source import Source
from linwin.model.registry import Credentials, Distributed, Distribution
from linwin.paths import Paths

_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
"""What a document is that does not name its type: only OCI's may leave it out."""


async def distribution(
    paths: Paths, aliases: Aliases, limits: Limits, text: str, credentials: Credentials | None
) -> Distribution:
    """See :meth:`linwin.engine.interfaces.Images.distribution`."""
    named = pullable(text)
    home = aliases.home(named)
    subject = subject_of("pull", named, home.domain, paths)
    async with Source(paths, subject, home, credentials_for(credentials, named, home), limits) as source:
        data = await source.manifest()
        found = parse_manifest(data, subject.name)
        platforms = _listed(found) if isinstance(found, ManifestList) else await _of_config(source, found)
    return Distribution(_media_type(found), sha256(data), len(data), platforms)


def _media_type(found: Manifest | ManifestList) -> str:
    named = Document.parse(found.data, "the manifest").text("mediaType")
    return named or (_INDEX if isinstance(found, ManifestList) else _IMAGE)


def _listed(found: ManifestList) -> tuple[Distributed, ...]:
    """All that the list names, as docker does: attestations are listed as of an unknown platform."""
    entries = Document.parse(found.data, "the manifest list").objects("manifests")
    return tuple(_platform(entry.object("platform")) for entry in entries)


async def _of_config(source: Source, found: Manifest) -> tuple[Distributed, ...]:
    what = f"the config of image {source.subject.name} ({found.config.digest})"
    config = Document.parse(await source.document(found.digest, found.config, what), what)
    platform = _platform(config)
    return (platform,) if platform.os or platform.architecture else ()


def _platform(document: Document) -> Distributed:
    return Distributed(
        os=document.text("os"),
        architecture=document.text("architecture"),
        os_version=document.text("os.version"),
        os_features=document.texts("os.features"),
        variant=document.text("variant"),
    )

"""Image archives of either kind, told apart by what lies in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from linwin.errors import InvalidRequest
from linwin.images import docker_archive, oci_archive
from linwin.images.contents import PackedImage
from linwin.images.tarball import TarArchive
from linwin.model.template import Template


def read_images(archive: TarArchive, templates: Sequence[Template]) -> list[PackedImage]:
    """Read the images of an archive, at least one.

    Docker since 25 writes both layouts into one archive. The OCI one is read
    then, for it keeps the manifest, with the names of both; linwin also writes
    images that have no manifest, which only docker's layout can list.
    """
    is_docker = docker_archive.MANIFEST in archive
    if oci_archive.LAYOUT in archive and oci_archive.INDEX in archive:
        images, listed = oci_archive.read_oci_archive(archive, templates)
        if is_docker:
            names = docker_archive.read_names(archive)
            images = [
                replace(image, references=image.references + names.get(image.id, ())) for image in images
            ]
            images += docker_archive.read_docker_archive(archive, besides=listed)
    elif is_docker:
        images = docker_archive.read_docker_archive(archive)
    else:
        raise InvalidRequest(
            f"{archive.label} is neither a docker-archive nor an OCI archive",
            hint="It holds no manifest.json and no index.json; make one with: docker save IMAGE -o FILE",
        )
    if not images:
        raise InvalidRequest(f"{archive.label} holds no image")
    return images

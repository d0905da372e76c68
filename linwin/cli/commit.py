"""``linwin commit``: an image of what a container has become."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.references import split

changes_option = click.option(
    "-c",
    "--change",
    "changes",
    multiple=True,
    metavar="INSTRUCTION",
    help="Apply an instruction of a Dockerfile, such as CMD, ENV or LABEL, to the image. Repeatable.",
)


@click.command()
@click.option("-a", "--author", metavar="NAME", help="Who made it, such as: Jane Doe <jane@example.com>.")
@changes_option
@click.option("-m", "--message", metavar="TEXT", help="A line for its history.")
@click.option(
    "-p",
    "--pause/--no-pause",
    default=True,
    show_default=True,
    help="Keep the container's programs from running meanwhile.",
)
@arguments(1, 2, "CONTAINER [REPOSITORY[:TAG]]")
def commit(
    author: str | None, changes: tuple[str, ...], message: str | None, pause: bool, names: tuple[str, ...]
) -> None:
    """Make an image of what a container's C: has become."""
    target = split(names[1]) if len(names) > 1 else None
    made = connect().post(
        "/commit",
        container=names[0],
        repo=target.name if target else None,
        tag=target.label if target else None,
        author=author,
        comment=message,
        changes=changes,
        pause=pause,
    )
    click.echo(made["Id"])

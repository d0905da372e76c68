"""``linwin context``: the daemons that docker's contexts name."""

from __future__ import annotations

from typing import Any

import click

from linwin.cli import docker_contexts
from linwin.cli.docker_contexts import IN_MEMORY, Context
from linwin.cli.groups import Group
from linwin.cli.inspect import show_each
from linwin.cli.options import arguments, listing_format, object_format
from linwin.cli.output import Listing, one_line

HEADERS = {
    "Name": "NAME",
    "Marked": "NAME",
    "Description": "DESCRIPTION",
    "DockerEndpoint": "DOCKER ENDPOINT",
    "Error": "ERROR",
    "Current": "CURRENT",
}
LISTING = Listing(HEADERS, ("Marked", "Description", "DockerEndpoint", "Error"), "Name")


@click.group(cls=Group)
def context() -> None:
    """See the daemons that docker's contexts name; linwin --context NAME talks to one."""


@context.command("ls")
@listing_format()
@click.option("-q", "--quiet", is_flag=True, help="Show names only.")
@arguments(0, 0, "")
def ls(form: str | None, quiet: bool, names: tuple[str, ...]) -> None:
    """List contexts."""
    current = _current()
    LISTING.show([_row(one, current) for one in docker_contexts.all_contexts()], form, quiet=quiet)


@context.command("show")
@arguments(0, 0, "")
def show(names: tuple[str, ...]) -> None:
    """Print the name of the context that commands use."""
    click.echo(_current())


@context.command("inspect")
@object_format()
@arguments(0, None, "[CONTEXT...]")
def inspect(form: str | None, names: tuple[str, ...]) -> int:
    """Show everything about contexts, the one that commands use by default."""
    return show_each(names or (_current(),), lambda name: _described(docker_contexts.find(name)), form)


def _current() -> str:
    """The name of the one that this command line talks to."""
    return click.get_current_context().find_root().obj or docker_contexts.DEFAULT


def _row(one: Context, current: str) -> dict[str, Any]:
    return {
        "Name": one.name,
        "Marked": f"{one.name} *" if one.name == current else one.name,
        "Description": one_line(one.description),
        "DockerEndpoint": one_line(one.host),
        "Current": one.name == current,
        "Error": one_line(one.error),
    }


def _described(one: Context) -> dict[str, Any]:
    """docker's words for it."""
    files = [path.name for path in one.tls_files.values()]
    return {
        "Name": one.name,
        "Metadata": {"Description": one.description} if one.meta and one.description else {},
        "Endpoints": {"docker": {"Host": one.host, "SkipTLSVerify": False}},
        "TLSMaterial": {"docker": files} if files else {},
        "Storage": {
            "MetadataPath": str(one.meta or IN_MEMORY),
            "TLSPath": str(one.folder or IN_MEMORY),
        },
    }

"""``linwin logout``: forget the credentials for a registry."""

from __future__ import annotations

import click

from linwin.cli.credentials import erase_credentials, registry_key
from linwin.cli.options import arguments


@click.command()
@arguments(0, 1, "[SERVER]")
def logout(names: tuple[str, ...]) -> None:
    """Log out from a registry, Docker Hub by default."""
    server = registry_key(names[0] if names else "")
    known = erase_credentials(server)
    click.echo(f"{'Removing login credentials for' if known else 'Not logged in to'} {server}")

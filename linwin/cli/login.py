"""``linwin login``: credentials for a registry, checked by the daemon and then kept."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from linwin.cli import failures
from linwin.cli.connect import connect
from linwin.cli.credentials import auth_config, find_credentials, registry_key, store_credentials
from linwin.cli.options import arguments
from linwin.errors import InvalidRequest, Unauthorized
from linwin.model.registry import Credentials


@click.command()
@click.option(
    "-p", "--password", metavar="PASSWORD", help="Password or access token; others may see it here."
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("-u", "--username", default="", metavar="NAME", help="User name.")
@arguments(0, 1, "[SERVER]")
def login(password: str | None, password_stdin: bool, username: str, names: tuple[str, ...]) -> None:
    """Log in to a registry, Docker Hub by default.

    The credentials are kept where docker keeps them: by the credential helper
    that ~/.docker/config.json names, else in that file.
    """
    server = registry_key(names[0] if names else "")
    if password:
        click.echo("WARNING! Using --password via the CLI is insecure. Use --password-stdin.", err=True)
    if password_stdin:
        password = _piped(username, password)
    if not username and not password and _log_in_again(server):
        return
    _log_in(_asked(server, username, password or ""))


def _piped(username: str, password: str | None) -> str:
    """The password on standard input, without the line end that echo and editors add."""
    if password:
        raise InvalidRequest("conflicting options: cannot specify both --password and --password-stdin")
    if not username:
        raise InvalidRequest("the --password-stdin option requires --username to be set")
    piped = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not piped:
        raise InvalidRequest("the password on standard input is empty")
    return piped


def _log_in_again(server: str) -> bool:
    """Try the credentials that are kept; False where there are none, or they are no longer accepted."""
    kept = find_credentials(server)
    if kept is None or not kept.password:
        return False
    click.echo(f"Authenticating with existing credentials... [Username: {kept.username}]", err=True)
    try:
        answer = _authenticate(kept)
    except Unauthorized as error:
        failures.say(error.message)
        return False
    click.echo(answer["Status"])
    return True


def _asked(server: str, username: str, password: str) -> Credentials:
    """Credentials, what the command line left open asked from the terminal."""
    if username and password:
        return Credentials(username, password, server=server)
    if not sys.stdin.isatty():
        raise InvalidRequest(
            "Cannot perform an interactive login from a non TTY device",
            hint="linwin login -u NAME --password-stdin [SERVER]",
        )
    username = username or click.prompt("Username", err=True)
    password = password or click.prompt("Password", hide_input=True, err=True)
    return Credentials(username, password, server=server)


def _log_in(credentials: Credentials) -> None:
    answer = _authenticate(credentials)
    if token := answer.get("IdentityToken"):
        credentials = replace(credentials, password="", identity_token=token)
    if shown := store_credentials(credentials):
        click.echo(
            f"\nWARNING! Your credentials are stored unencrypted in '{shown}'.\n"
            'A credential helper keeps them better: name one as "credsStore" in that file.\n',
            err=True,
        )
    click.echo(answer["Status"])


def _authenticate(credentials: Credentials) -> dict[str, Any]:
    answer = connect().post("/auth", body=auth_config(credentials)) or {}
    return {**answer, "Status": answer.get("Status") or "Login Succeeded"}

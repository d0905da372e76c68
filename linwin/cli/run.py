"""``linwin run``: create a container, start it, and be its terminal."""

from __future__ import annotations

from typing import Any

import click

from linwin.cli import failures
from linwin.cli.connect import connect
from linwin.cli.container_body import creation, streams_to_attach
from linwin.cli.container_options import container_options
from linwin.cli.creation import create_container
from linwin.cli.options import detach_keys_option
from linwin.cli.session import run_attached
from linwin.cli.starting import start_container
from linwin.cli.template_notice import tell_template
from linwin.client import Client
from linwin.errors import LinwinError


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("-d", "--detach", is_flag=True, help="Leave it running in the background and print its id.")
@click.option(
    "--sig-proxy/--no-sig-proxy", default=True, show_default=True, help="Forward SIGINT, SIGTERM and SIGQUIT."
)
@detach_keys_option()
@container_options
def run(detach: bool, sig_proxy: bool, detach_keys: str | None, **options: Any) -> int:
    """Create and run a new container from an image.

    The exit code is the container's; 125 when it could not be run, 126 and 127
    when its entrypoint could not be run or does not exist.
    """
    if detach and options["attached"]:
        raise click.UsageError("conflicting options: cannot specify both --attach and --detach")
    if options["tty"] and options["interactive"] and not detach:
        from linwin.cli import terminal

        terminal.require("Leave out -t: run -i passes standard input on as it is.")
    try:
        return _run(connect(), options, detach=detach, forward=sig_proxy, detach_keys=detach_keys)
    except LinwinError as error:
        return failures.refused(error)


def _run(
    client: Client, options: dict[str, Any], *, detach: bool, forward: bool, detach_keys: str | None
) -> int:
    attach = streams_to_attach(options, detach=detach)
    container = create_container(client, creation(options, attach=attach), options)
    tell_template(client, container)

    def start() -> None:
        start_container(client, container)

    if detach:
        start()
        click.echo(container)
        return 0
    if not attach & {"stdout", "stderr"}:
        click.echo(container)
    condition = "removed" if options["auto_remove"] else "next-exit"
    return run_attached(
        client,
        container,
        attach,
        condition=condition,
        start=start,
        forward=forward,
        tty=options["tty"],
        detach_keys=detach_keys,
    )

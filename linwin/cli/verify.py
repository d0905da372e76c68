"""``linwin template verify``: a line for each check as it is made, and a report of them all."""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from linwin.cli import failures
from linwin.cli.connect import connect
from linwin.cli.options import arguments, listing_format
from linwin.cli.output import Listing
from linwin.cli.verify_progress import CheckProgress
from linwin.cli.verify_report import report
from linwin.cli.whole_file import whole_file
from linwin.client import quote
from linwin.errors import LinwinError

Check = Mapping[str, Any]

LISTING = Listing(
    headers={
        "Group": "GROUP",
        "Name": "CHECK",
        "Outcome": "OUTCOME",
        "Seconds": "SECONDS",
        "Proves": "PROVES",
        "Detail": "DETAIL",
        "Expected": "EXPECTED",
        "Got": "GOT",
    },
    columns=("Group", "Name", "Outcome", "Seconds", "Detail"),
    quiet="Name",
)
NO_REPORT = "-"


@click.command()
@listing_format()
@click.option(
    "--only", multiple=True, metavar="GROUP", help="Make the checks of this group only; may be repeated."
)
@click.option(
    "--report",
    "target",
    metavar="FILE",
    help="Write the report to this file, - for none (default linwin-verify-NAME-TIME.md here).",
)
@arguments(1, 1, "NAME")
def verify(form: str | None, only: tuple[str, ...], target: str | None, names: tuple[str, ...]) -> int:
    """Try everything that the guests of a template are to do, and write a report.

    Whatever fails, all checks are made; what could not be checked says why. The report is for a bug:
    it has the results, versions of all that is involved, and a guest's last words, and no names of
    hosts or users. The exit code is 0 when nothing failed, 1 when something did, and 125 when the
    checks could not be made.
    """
    (name,) = names
    target = target or time.strftime(f"linwin-verify-{name}-%Y%m%d-%H%M%S.md")
    try:
        return _verify(name, form, only, target)
    except LinwinError as error:
        failures.show(error)
        return failures.REFUSED


def _verify(name: str, form: str | None, only: tuple[str, ...], target: str) -> int:
    checks: list[Check] = []
    with ExitStack() as files:
        file = files.enter_context(whole_file(target)) if target != NO_REPORT else None
        found: Mapping[str, Any] = {}
        with CheckProgress(quiet=form is not None) as progress:
            path = f"/linwin/templates/{quote(name)}/verify"
            for line in connect().lines("POST", path, only=only):
                if (check := line.get("check")) is not None:
                    progress.show(check)
                    checks += [check] if check["Outcome"] else []
                found = line.get("aux") or found
        picture = _picture(found, target) if file else ""
        if file:
            file.write_text(report(name, checks, found, picture))
    if form is None:
        click.echo(summary(checks))
    else:
        LISTING.show([{field: check[field] for field in LISTING.headers} for check in checks], form)
    if file:
        words = f"The report is {target}" + (f", with {picture}" if picture else "")
        click.echo(words, err=form is not None)
    return failures.FAILED if any(check["Outcome"] == "failed" for check in checks) else 0


def summary(checks: list[Check]) -> str:
    """How many checks came out how."""
    count = Counter(check["Outcome"] for check in checks)
    return f"{count['passed']} passed, {count['failed']} failed, {count['unchecked']} could not be checked."


def _picture(found: Mapping[str, Any], target: str) -> str:
    """Write what a screen showed beside the report; its file's name, empty where there is none."""
    if not found.get("Picture"):
        return ""
    name = str(Path(target).with_suffix(".png"))
    with whole_file(name) as file:
        file.write_bytes(base64.b64decode(found["Picture"]))
    return name

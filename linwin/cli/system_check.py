"""``linwin system check``: does everything that linwin keeps still fit together?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from linwin.cli import failures
from linwin.cli.connect import connect
from linwin.cli.options import arguments, listing_format
from linwin.cli.output import Listing, write_lines
from linwin.cli.progress import Progress

Finding = Mapping[str, Any]

LISTING = Listing(
    headers={"Subject": "SUBJECT", "Problem": "PROBLEM", "Remedy": "REMEDY", "Repaired": "REPAIRED"},
    columns=("Subject", "Problem", "Remedy", "Repaired"),
    quiet="Subject",
)


@click.command()
@listing_format()
@click.option("-q", "--quiet", is_flag=True, help="Do not show progress.")
@click.option("--repair", is_flag=True, help="Mend what can be mended without losing anything.")
@arguments(0, 0, "")
def check(form: str | None, quiet: bool, repair: bool, names: tuple[str, ...]) -> int:
    """Verify every blob, chain and record against each other.

    The exit code is 0 when all is well or repaired, and 1 when problems remain.
    """
    findings: list[Finding] = []
    with Progress(quiet=quiet) as progress:
        for line in connect().lines("POST", "/linwin/check", repair=repair):
            progress.show(line)
            if "aux" in line:
                findings.append(line["aux"])
    if form is None:
        write_lines(_sentences(findings))
    else:
        LISTING.show([{name: finding[name] for name in LISTING.headers} for finding in findings], form)
    return 0 if all(finding["Repaired"] for finding in findings) else failures.FAILED


def _sentences(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding['Subject']} {finding['Problem']}"
        yield "  repaired" if finding["Repaired"] else f"  to mend it: {finding['Remedy']}"
    if not findings:
        yield "No problems found."
        return
    found, repaired = len(findings), sum(bool(finding["Repaired"]) for finding in findings)
    yield f"{found} problem{'' if found == 1 else 's'} found, {repaired} repaired, {found - repaired} left."

"""`polaris eval votes`: what readers chose in blind comparisons."""

import sys
from dataclasses import asdict
from typing import Annotated

from typer import Option

from polaris_cli.evaluate.statistics import check_installed
from polaris_cli.evaluate.tally import Tally, tally
from polaris_cli.library.store import Library
from polaris_cli.screen.messages import note
from polaris_cli.screen.printing import print_json
from polaris_cli.screen.tables import print_table

HEADERS = ("model", "preferred to", "votes", "share", "95%")


def votes(
    as_json: Annotated[bool, Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Count the choices that readers made with polaris compare --blind.

    The share is of the votes for one of the two models, with its 95% interval (Wilson).

    Example:  polaris eval votes
    """
    check_installed()
    found = tally(Library().votes())
    if not found:
        note("No votes yet. Vote: polaris compare PREMISE -m M,M --blind", sys.stderr)
    if as_json:
        for one in found:
            print_json({**asdict(one), "share": one.share})
    else:
        print_table(HEADERS, [_row(one) for one in found], sys.stdout)


def _row(one: Tally) -> tuple[str, ...]:
    interval = f"{100 * one.low:.0f}-{100 * one.high:.0f}%"
    return (one.model, one.other, str(one.votes), f"{100 * one.share:.0f}%", interval)

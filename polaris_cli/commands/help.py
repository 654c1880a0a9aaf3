"""`polaris help`: prints the Markdown pages in the folder help_pages.

A terminal gets formatted text, a pipe the Markdown. Does not know what the pages say.
"""

import sys
from pathlib import Path
from typing import Annotated

from rich.markdown import Markdown
from rich.theme import Theme
from typer import Argument

from polaris_cli.commands.app import COMMANDS
from polaris_cli.errors import UsageError, did_you_mean
from polaris_cli.screen.capabilities import can_redraw, encodable
from polaris_cli.screen.printing import print_text
from polaris_cli.screen.region import painter
from polaris_cli.screen.tables import print_table

FOLDER = Path(__file__).with_name("help_pages")
MAX_WIDTH = 100  # cells: longer lines are hard to read
BULLET = "\N{BULLET}"  # rich prints it before list items

EPILOG = """Examples:

\b
  polaris help             list the pages
  polaris help plan        the format of a plan file
  polaris help json | less
"""


def help(
    page: Annotated[
        str | None, Argument(metavar="PAGE", help="The page; leave it out for a list.")
    ] = None,
) -> None:
    """Show help pages: batch, config, engines, eval, exit-codes, json, lengths, plan, preset."""
    if page is None:
        rows = [tuple(_title(name)) for name in pages()]
        print_table(("page", "about"), rows, sys.stdout)
    elif page in pages():
        _print(text_of(page))
    else:
        raise _unknown(page)


def pages() -> list[str]:
    """The names of the pages."""
    return sorted(path.stem for path in FOLDER.glob("*.md"))


def text_of(page: str) -> str:
    """A page in Markdown; its first line is "# name: about"."""
    return (FOLDER / f"{page}.md").read_text("utf-8")


def _title(page: str) -> list[str]:
    return text_of(page).partition("\n")[0].removeprefix("# ").split(": ", 1)


def _print(text: str) -> None:
    if not can_redraw(sys.stdout) or encodable(BULLET, sys.stdout) != BULLET:
        print_text(text, end="", wrap=True)
        return
    console = painter(sys.stdout)
    with console.use_theme(
        Theme({"markdown.code": "bold cyan"})
    ):  # rich's default is a black box, ugly on white
        console.print(Markdown(text, code_theme="ansi_dark"), width=min(console.width, MAX_WIDTH))


def _unknown(page: str) -> UsageError:
    meant = did_you_mean(page, pages())
    if page in COMMANDS:
        meant = f"For the command: polaris {page} --help. "
    return UsageError(
        f"There is no help page {page!r}.", hint=f"{meant}Pages: {', '.join(pages())}"
    )

"""`polaris library`: list, show, search, export and remove the stories that were kept.

Turns options into calls of the library; knows no SQL and no file format.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from polaris_cli.commands.quick import QuickGroup
from polaris_cli.errors import UsageError
from polaris_cli.library.store import Entry, library_path, open_library
from polaris_cli.screen.capabilities import encodable, harmless, is_terminal
from polaris_cli.screen.messages import note
from polaris_cli.screen.tables import print_table

HEADERS = ("id", "when", "title", "model", "words", "asked", "ratio", "state")
SHOWN = 20  # stories in a list, unless asked otherwise

EPILOG = """Examples:

\b
  polaris library                          the newest stories
  polaris library show last                the story written last
  polaris library search fog letter        stories with both words
  polaris library export 3f9c -o tale.epub
  polaris library backup stories.db        a copy of all stories

ID is a story's id, its beginning, or the word last. A state other than those of a report:
writing (at this moment), killed (its process ended without a word; the text is kept).
"""

app = typer.Typer(
    cls=QuickGroup,
    help="List, show, search, export and remove the stories written.",
    epilog=EPILOG,
    invoke_without_command=True,
    rich_markup_mode=None,
)

Ref = Annotated[str, typer.Argument(metavar="ID", help="An id, its beginning, or last.")]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="List at most so many.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for each story, by line.")]


@app.callback()
def library(ctx: typer.Context, limit: Limit = SHOWN, as_json: AsJson = False) -> None:
    """List the stories, newest first, with their length and how they ended."""
    if ctx.invoked_subcommand is None:
        entries = open_library().entries(limit)
        if not entries:
            note("No stories yet: polaris write begins one.", sys.stderr)
        _print_entries(entries, as_json)


@app.command()
def show(
    id: Ref,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole record.")] = False,
    thinking: Annotated[
        bool, typer.Option("--thinking", help="Print the thinking instead of the story.")
    ] = False,
) -> None:
    """Print a story as it is, to read or to pipe.

    Example:  polaris library show last | less
    """
    if as_json and thinking:
        raise UsageError(
            "--json and --thinking do not go together.", hint="The record holds the thinking too."
        )
    story = open_library().get(id)
    if as_json:
        from polaris_cli.formats.export import render

        sys.stdout.write(render(story, "json").decode())
    else:
        _print_text(story.thinking if thinking else story.text)


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="All must be in it.")],
    limit: Limit = SHOWN,
    as_json: AsJson = False,
) -> None:
    """Find stories by words of title, premise or text.

    Example:  polaris library search lighthouse letter
    """
    entries = open_library().search(words, limit)
    if not entries:
        note("No story in the library has all of these words.", sys.stderr)
    _print_entries(entries, as_json)


@app.command()
def export(
    id: Ref,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="txt, md, html, epub, docx or json."),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a story to a file, in the format of its suffix.

    Example:  polaris library export last -o story.epub
    """
    from polaris_cli.formats.export import check_output, save
    from polaris_cli.formats.files import check_distinct

    check_output(output, force=force)
    check_distinct({"--output": output, "the library": library_path()})
    save(open_library().get(id), output, force=force)


@app.command()
def rm(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids, beginnings, or last.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove stories for good, after asking.

    Example:  polaris library rm 3f9c 81d0
    """
    stories = open_library()
    entries = {entry.id: entry for entry in map(stories.entry, ids)}.values()
    if yes or _agreed(entries):
        for entry in entries:
            stories.remove(entry.id)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy is written.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Copy the whole library to a file, also while stories are being written.

    The copy is a library: read it with  POLARIS_LIBRARY=FILE polaris library

    Example:  polaris library backup stories.db
    """
    from polaris_cli.formats.files import check_distinct, check_place, whole_file

    source = library_path()
    check_distinct({"FILE": file, "the library": source})
    check_place(file, force=force)
    with whole_file(file, force=force) as temporary:
        open_library().back_up(temporary)


@app.command()
def path() -> None:
    """Print where the library is (set by POLARIS_LIBRARY).

    Example:  ls -l "$(polaris library path)"
    """
    print(library_path())


def _print_entries(entries: Iterable[Entry], as_json: bool) -> None:
    if as_json:
        for entry in entries:
            print(json.dumps({**asdict(entry), "ratio": round(entry.ratio, 4)}))
    else:
        print_table(HEADERS, [_row(entry) for entry in entries], sys.stdout)


def _row(entry: Entry) -> tuple[str, ...]:
    when = datetime.fromisoformat(entry.created).astimezone()
    length = (str(entry.written), str(entry.requested), f"{entry.ratio:.2f}")
    return (entry.id, f"{when:%Y-%m-%d %H:%M}", entry.title, entry.model, *length, entry.state)


def _print_text(text: str) -> None:
    """Text and one line break; to a pipe the bytes of the text, whatever the locale."""
    if text and is_terminal(sys.stdout):
        print(encodable(harmless(text), sys.stdout))
    elif text:
        sys.stdout.flush()
        sys.stdout.buffer.write(f"{text}\n".encode("utf-8", "replace"))
        sys.stdout.buffer.flush()


def _agreed(entries: Iterable[Entry]) -> bool:
    if not _on_terminal():
        raise UsageError("Nobody can be asked before stories are removed.", hint="Add --yes.")
    for entry in entries:
        print(f"{entry.id}  {entry.title}", file=sys.stderr)
    return typer.confirm("Remove for good?", err=True)


def _on_terminal() -> bool:
    return sys.stdin.isatty()

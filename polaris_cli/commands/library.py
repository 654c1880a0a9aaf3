"""`polaris library`: lists, shows, searches, exports and removes saved stories.

Turns options into library calls; knows no SQL and no file format.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from polaris_cli.commands import options as o
from polaris_cli.commands.quick import QuickGroup, runs_alone
from polaris_cli.commands.standard_streams import encoding_note
from polaris_cli.errors import LibraryError, UsageError
from polaris_cli.library.store import WRITING, Entry, Library, check_at_rest, library_path
from polaris_cli.screen.endings import STATES
from polaris_cli.screen.messages import note
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.tables import print_table
from polaris_cli.story.result import Story

HEADERS = ("id", "when", "title", "model", "words", "asked", "ratio", "state")
DROPPED = ("when", "model", "asked", "ratio", "words")  # first to last, on a narrow terminal
DEFAULT_LIMIT = 20  # stories in a list
LONGEST_TITLE = 80  # characters in a list: some models begin with a heading of many lines

EPILOG = """Examples:

\b
  polaris library                          list the newest stories
  polaris library show last                print the newest story
  polaris library search fog letter        find stories with both words
  polaris library export 3f9c -o tale.epub
  polaris library backup stories.db        copy all stories

ID is a story's id, its first digits, or "last" for the newest story. States: ended (by itself, or
closed at its length), cut off (at the token limit), looped, decayed (and was stopped), interrupted,
failed, writing (right now), killed (its process was killed; the text is kept).
"""

app = typer.Typer(
    cls=QuickGroup,
    help="List, show, search, export and remove your stories.",
    epilog=EPILOG,
    invoke_without_command=True,
    rich_markup_mode=None,
)

Ref = Annotated[str, typer.Argument(metavar="ID", help="An id, its first digits, or last.")]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="Number of stories to list.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


@app.callback()
def library(ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, as_json: AsJson = False) -> None:
    """List the stories, newest first, with length and state."""
    if runs_alone(ctx):
        entries = Library().entries(limit + 1)
        if not entries:
            note('No stories yet. Write one: polaris write "a lighthouse keeper"', sys.stderr)
        _print_entries(entries, limit, as_json)


@app.command()
def show(
    id: Ref,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole record.")] = False,
    thinking: Annotated[
        bool, typer.Option("--thinking", help="Print the thinking instead of the story.")
    ] = False,
) -> None:
    """Print the text of a story.

    Example:  polaris library show last | less
    """
    if as_json and thinking:
        raise UsageError(
            "--json and --thinking contradict each other.",
            hint="Leave out --thinking: the record contains the thinking.",
        )
    if as_json:
        print_json(_story(id).as_dict(), indent=2)
    elif text := _story(id).thinking if thinking else _text(id):
        _print_story(text)
    else:
        note(f"The story has no {'thinking' if thinking else 'text'}.", sys.stderr)


@app.command()
def search(
    words: Annotated[
        list[str], typer.Argument(metavar="WORDS", help="A story must contain all of them.")
    ],
    limit: Limit = DEFAULT_LIMIT,
    as_json: AsJson = False,
) -> None:
    """Find stories by words in the title, premise or text.

    The best match is first.

    Example:  polaris library search lighthouse letter
    """
    entries = Library().search(words, limit + 1)
    if not entries:
        note("No story contains all of these words.", sys.stderr)
    _print_entries(entries, limit, as_json)


@app.command()
def export(
    id: Ref,
    output: Annotated[
        list[Path],
        o.written_file("--output", "-o", help="txt, md, html, epub, docx or json."),
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    title: o.Title = None,
    author: o.Author = None,
    language: o.Language = None,
    cover: o.CoverImage = None,
) -> None:
    """Save a story to files; each suffix sets a format. - prints the text.

    Example:  polaris library export last -o story.epub -o story.md
    """
    from polaris_cli.commands.delivery import save_files, story_files
    from polaris_cli.commands.outputs import Outputs
    from polaris_cli.formats.files import STDOUT

    outputs = Outputs(output, force=force)
    outputs.check()
    said = {"title": title, "author": author, "language": language, "cover": cover}
    story = _with_book(_story(id), said)
    try:
        save_files(story_files(story, outputs), outputs)
    finally:  # a pipe that is closed must not cost the files
        if STDOUT in output:
            _print_story(story.text)


@app.command()
def choose(id: Ref) -> None:
    """Mark a draft as the one you choose.

    Example:  polaris library choose 3f9c
    """
    Library().choose(id)


@app.command()
def rm(
    ids: Annotated[
        list[str], typer.Argument(metavar="ID", help="Ids, their first digits, or last.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete stories permanently, after asking.

    Example:  polaris library rm 3f9c 81d0
    """
    stories = Library()
    entries = {entry.id: entry for entry in map(stories.entry, ids)}.values()
    for entry in entries:
        check_at_rest(entry)
    if not yes:
        _confirm(entries)
    for entry in entries:
        stories.remove(entry.id)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write the copy to.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Copy the library to a file, even while stories are written.

    To read the copy:  POLARIS_LIBRARY=FILE polaris library

    Example:  polaris library backup stories.db
    """
    from polaris_cli.commands.delivery import say_saved
    from polaris_cli.commands.outputs import check_apart
    from polaris_cli.formats.files import atomic_file, check_writable
    from polaris_cli.library.database import remove_logs

    check_apart([("FILE", file)])
    if file.is_dir():
        raise UsageError(f"{file} is a folder.", hint=f"Use a file in it: {file / 'stories.db'}")
    check_writable(file, force=force)
    with atomic_file(file, force=force) as temporary:
        Library().back_up(temporary)
        remove_logs(file)
    say_saved(file, file.stat().st_size)


@app.command()
def path() -> None:
    """Print the path of the library; POLARIS_LIBRARY sets another.

    Example:  ls -l "$(polaris library path)"
    """
    print_text(library_path())


def _story(ref: str) -> Story:
    """A story of the library; a note says if more of it may follow."""
    stories = Library()
    entry = stories.entry(ref)
    story = stories.get(entry.id)
    if entry.state == WRITING:
        note(f"Story {entry.id} is being written right now; this is its text so far.", sys.stderr)
    return story


def _text(ref: str) -> str:
    """The text of a story; if its record cannot be read, a note says so."""
    try:
        return _story(ref).text
    except LibraryError as problem:
        text = Library().text(ref)
        note(problem.message, sys.stderr)
        return text


def _with_book(story: Story, said: Mapping[str, str | None]) -> Story:
    """The story with these values in its files. Raises UsageError for one that is not valid."""
    from polaris_cli.formats.cover import read_cover
    from polaris_cli.request.settings import from_options

    book = replace(story.request.book, **from_options(said))
    if said["cover"]:
        read_cover(Path(book.cover))
    return replace(story, request=replace(story.request, book=book))


def _print_entries(entries: Sequence[Entry], limit: int, as_json: bool) -> None:
    """Print as many entries as the limit says; a note tells if there are more."""
    shown = entries[:limit]
    if as_json:
        for entry in shown:
            print_json({**asdict(entry), "ratio": round(entry.ratio, 4)})
    else:
        rows = [_row(entry) for entry in shown]
        print_table(HEADERS, rows, sys.stdout, drop=DROPPED)
    if len(entries) > limit:
        note(f"The list ends here; for more stories, add --limit {10 * limit}", sys.stderr)


def _row(entry: Entry) -> tuple[str, ...]:
    try:
        when = f"{datetime.fromisoformat(entry.created).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):  # a damaged row
        when = entry.created
    length = (str(entry.written), str(entry.requested), f"{entry.ratio:.2f}")
    state = STATES.get(entry.state, entry.state)
    return (entry.id, when, _title(entry), entry.model, *length, state)


def _title(entry: Entry) -> str:
    """The title, shortened; of a draft also its number, and whether it is the chosen one."""
    fits = len(entry.title) <= LONGEST_TITLE
    title = entry.title if fits else f"{entry.title[: LONGEST_TITLE - 1].rstrip()}…"
    if entry.draft is None:
        return title
    return f"{title} (draft {entry.draft}{', chosen' if entry.chosen else ''})"


def _print_story(text: str) -> None:
    if problem := encoding_note(sys.stdout):
        note(problem, sys.stderr)
    print_text(text, wrap=True)


def _confirm(entries: Iterable[Entry]) -> None:
    """Ask whether to delete these. Raises Abort after a no, which has an exit code of its own."""
    if not _on_terminal():
        raise UsageError(
            "Cannot ask for confirmation: stdin is not a terminal.",
            hint="Add --yes to delete without asking.",
        )
    for entry in entries:
        print_text(f"{entry.id}  {_title(entry)}", stream=sys.stderr)
    typer.confirm("Delete permanently?", abort=True, err=True)


def _on_terminal() -> bool:
    return sys.stdin.isatty()

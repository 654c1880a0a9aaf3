"""Renders a story in one of the formats, and saves it atomically.

Renders txt, md and json here; `html`, `epub` and `docx` render the others.
"""

import json
from collections.abc import Callable
from pathlib import Path

from polaris_cli.errors import DEBUG_HINT, OutputError, UsageError
from polaris_cli.formats.epub import epub
from polaris_cli.formats.files import check_no_folder, check_writable, write_atomic
from polaris_cli.formats.html import created_utc, html
from polaris_cli.formats.structure import printable, structure
from polaris_cli.languages import is_known, is_right_to_left
from polaris_cli.quoting import json_text
from polaris_cli.story.result import Story


def render(story: Story, format: str) -> bytes:
    """The bytes of a file in one of `FORMATS`; the same story gives the same bytes.

    Raises OutputError if a library cannot do it, so that the story's other files are written.
    """
    try:
        return _RENDERERS[format](story)
    except Exception as error:
        raise OutputError(f"Cannot make a {format} file: {error!r}.", hint=DEBUG_HINT) from error


def save(story: Story, path: Path, *, force: bool) -> None:
    """Save the story atomically; the suffix of `path` sets the format.

    Raises UsageError for an unknown suffix, or an existing file without `force`; OutputError if
    writing fails.
    """
    write_atomic(path, render(story, format_of(path)), force=force)


def check_output(path: Path, *, force: bool) -> None:
    """Raise UsageError if `save` could not write here. Call it before writing a story."""
    check_no_folder(path)
    format_of(path)
    check_writable(path, force=force)


def format_of(path: Path) -> str:
    """The format that the suffix of a file names; raises UsageError if it names none."""
    format = path.suffix.lower().removeprefix(".")
    if format not in FORMATS:
        problem = f"unknown suffix .{format}" if format else "no suffix"
        raise UsageError(
            f"Cannot choose a format for {path}: {problem}.",
            hint=f"Use one of: {', '.join(f'.{known}' for known in FORMATS)}",
        )
    return format


def _text(story: Story) -> bytes:
    return f"{story.text}\n".encode("utf-8", "replace")


def _markdown(story: Story) -> bytes:
    """The text with YAML front matter."""
    matter: dict[str, str | int | float] = {
        "title": structure(story).title,
        **_book(story),
        "premise": story.premise,
        "words_requested": story.requested,
        "words_written": story.counted,
        "ratio": round(story.ratio, 2),
        "model": story.model.name,
        "date": created_utc(story),
        "finish": story.finish,
        "id": story.id,
    }
    lines = [f"{key}: {_scalar(value)}" for key, value in matter.items()]
    return "\n".join(["---", *lines, "---", "", ""]).encode() + _text(story)


def _book(story: Story) -> dict[str, str]:
    """Author, language and cover under the names that pandoc reads, as far as they are known."""
    book, language = story.request.book, story.language
    found = {
        "author": book.author,
        "lang": language if is_known(language) else "",
        "dir": "rtl" if is_right_to_left(language) else "",
        "cover-image": book.cover,
    }
    return {name: value for name, value in found.items() if value}


def _scalar(value: str | int | float) -> str:
    """A YAML scalar."""
    return json_text(printable(value)) if isinstance(value, str) else str(value)


def _json(story: Story) -> bytes:
    record = json.dumps(story.as_dict(), ensure_ascii=False, indent=2)
    return f"{record}\n".encode("utf-8", "backslashreplace")  # a valid escape in JSON


def _docx(story: Story) -> bytes:
    from polaris_cli.formats.docx import docx  # python-docx is slow to import

    return docx(story)


_RENDERERS: dict[str, Callable[[Story], bytes]] = {
    "txt": _text,
    "md": _markdown,
    "html": lambda story: html(story).encode(),
    "epub": epub,
    "docx": _docx,
    "json": _json,
}

FORMATS: tuple[str, ...] = tuple(_RENDERERS)

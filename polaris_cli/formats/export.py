"""A story as a file: which formats there are, and saving one whole or not at all.

Knows the plain formats (txt, md, json) itself; `html`, `epub` and `docx` make the others.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from polaris_cli.errors import UsageError
from polaris_cli.formats.epub import epub
from polaris_cli.formats.files import check_place, write_atomic
from polaris_cli.formats.html import html, moment
from polaris_cli.formats.structure import printable, structure
from polaris_cli.story.result import Story


def render(story: Story, format: str) -> bytes:
    """The content of a file in one of `FORMATS`; the same story gives the same bytes."""
    return _RENDERERS[format](story)


def save(story: Story, path: Path, *, force: bool) -> None:
    """Write the story in the format of the suffix, whole or not at all.

    Raises UsageError for a suffix that is not known and for a file that is there already without
    `force`, PolarisError when writing fails.
    """
    write_atomic(path, render(story, _format(path)), force=force)


def check_output(path: Path, *, force: bool) -> None:
    """Raise UsageError if `save` could not write here, before any time is spent on a story."""
    _format(path)
    check_place(path, force=force)


def _format(path: Path) -> str:
    format = path.suffix.lower().removeprefix(".")
    if format not in FORMATS:
        what = f"the suffix .{format}" if format else "no suffix"
        raise UsageError(
            f"{path} has {what}, which names no format that stories are written in.",
            hint=f"End the name in one of: {', '.join(f'.{known}' for known in FORMATS)}",
        )
    return format


def _text(story: Story) -> bytes:
    return f"{story.text}\n".encode("utf-8", "replace")


def _markdown(story: Story) -> bytes:
    """The text as it is, under YAML front matter."""
    matter: dict[str, str | int | float] = {
        "title": structure(story).title,
        "premise": story.premise,
        "words_requested": story.requested,
        "words_written": story.written,
        "ratio": round(story.ratio, 2),
        "model": story.model.name,
        "date": moment(story),
        "finish": story.finish,
        "id": story.id,
    }
    lines = [f"{key}: {_scalar(value)}" for key, value in matter.items()]
    return "\n".join(["---", *lines, "---", "", ""]).encode() + _text(story)


def _scalar(value: str | int | float) -> str:
    """A value in YAML, where a JSON string is one too once the odd line ends are written out."""
    if not isinstance(value, str):
        return str(value)
    quoted = json.dumps(printable(value), ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda odd: f"\\u{ord(odd[0]):04x}", quoted)


def _json(story: Story) -> bytes:
    record = json.dumps(story.as_dict(), ensure_ascii=False, indent=2)
    return f"{record}\n".encode("utf-8", "backslashreplace")  # which is JSON's own escape


def _docx(story: Story) -> bytes:
    from polaris_cli.formats.docx import docx  # python-docx takes as long as a light command

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

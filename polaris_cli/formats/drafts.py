"""Reading a text of the user's own to go on with, or an exported story: `read_draft`.

Knows the plain formats (txt, md, json) and takes off what an export puts around a story. The text
itself is never changed but for its line ends. Knows nothing of how a story goes on.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from polaris_cli.errors import UsageError
from polaris_cli.request.settings import read_text
from polaris_cli.request.story_request import Draft

UTF8_HINT = "Save it as UTF-8, for instance: iconv -f LATIN1 -t UTF-8 draft.txt"
OTHER_FORMATS = {".html", ".htm", ".epub", ".docx", ".doc", ".odt", ".rtf", ".pdf"}
FENCE, FENCES = "---", ("---", "...")


def read_draft(name: str) -> Draft:
    """The draft of a file, or of stdin for "-".

    Raises UsageError for what cannot be read, is not UTF-8, holds no text or is in a format that
    is not read back.
    """
    what = "standard input" if name == "-" else name
    suffix = Path(name).suffix.lower()
    if suffix in OTHER_FORMATS:
        raise UsageError(
            f"{what} is in a format that --continue does not read.",
            hint="Give the text as txt, md or json: polaris library export ID -o draft.md",
        )
    text = _text_of(name, what)
    found = _of_json(text, what) if suffix == ".json" else _of_text(text, markdown=suffix != ".txt")
    if not found.text.strip():
        raise UsageError(
            f"{what} holds no text.",
            hint='Begin a new story: polaris write "a lighthouse keeper" --words 800',
        )
    return found


def _text_of(name: str, what: str) -> str:
    """The text with its line ends as line breaks, without a byte order mark."""
    if name != "-":
        return read_text(Path(name))
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeError as error:
        raise UsageError(f"{what} is not UTF-8 text.", hint=UTF8_HINT) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _of_text(text: str, *, markdown: bool) -> Draft:
    """A plain text is all story; Markdown may have front matter above it."""
    matter, values, body = _front_matter(text) if markdown else ("", {}, text)
    premise, words = values.get("premise"), values.get("words_requested")
    return Draft(
        _ended(body),
        matter,
        premise if isinstance(premise, str) else "",
        words if isinstance(words, int) and words > 0 else None,
    )


def _of_json(text: str, what: str) -> Draft:
    try:
        record = json.loads(text)
        story, premise = record["story"], record["premise"]
        words = record["words"]["requested"]
        if not (isinstance(story, str) and isinstance(premise, str) and isinstance(words, int)):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{what} is not a story that polaris exported.",
            hint="Give a text (txt, md), or a file of: polaris library export ID -o story.json",
        ) from error
    return Draft(_ended(story), premise=premise, words=words)


def _front_matter(text: str) -> tuple[str, Mapping[str, Any], str]:
    """The YAML block above a text, its values, and the text below it.

    A story may begin with a scene break, so only a block that holds names with values counts.
    """
    lines = text.split("\n")
    if lines[0].rstrip() != FENCE:
        return "", {}, text
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() in FENCES), 0)
    matter = "\n".join(lines[1:end])
    try:
        values = yaml.safe_load(matter)
    except (yaml.YAMLError, ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        return "", {}, text
    return matter, values, "\n".join(lines[end + 1 :]).removeprefix("\n")


def _ended(text: str) -> str:
    """The text without the white space at its end, but for the blank line of a paragraph's end."""
    body = text.rstrip()
    return body + "\n\n" if text[len(body) :].count("\n") > 1 else body

"""Reading a text of the user's own to go on with, or an exported story: `read_draft`.

Knows the plain formats (txt, md, json) and takes off what an export puts around a story; their text
is never changed but for its line ends. Other formats have readers, whose blocks become Markdown.
Knows nothing of how a story goes on.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from polaris_cli.errors import UsageError
from polaris_cli.formats.epub_reader import read_epub
from polaris_cli.formats.html_reader import HTMLReader
from polaris_cli.formats.markdown import Block, to_markdown
from polaris_cli.formats.structure import printable
from polaris_cli.request.settings import read_text
from polaris_cli.request.story_request import Draft

UTF8_HINT = "Save it as UTF-8, for instance: iconv -f LATIN1 -t UTF-8 draft.txt"
UNREAD_FORMATS = {".doc", ".odt", ".rtf", ".pdf"}
FENCE, FENCES = "---", ("---", "...")


def read_draft(name: str) -> Draft:
    """The draft of a file, or of stdin for "-".

    Raises UsageError for what cannot be read, is not UTF-8, holds no text or is in a format that
    is not read back.
    """
    what = "standard input" if name == "-" else name
    suffix = Path(name).suffix.lower()
    if suffix in UNREAD_FORMATS:
        raise UsageError(
            f"{what} is in a format that --continue does not read.",
            hint="Save it as docx, html, epub, md or txt, then give that file.",
        )
    if suffix in _READERS:
        found = _of_blocks(Path(name))
    elif suffix == ".json":
        found = _of_json(_text_of(name, what), what)
    else:
        found = _of_text(_text_of(name, what), markdown=suffix != ".txt")
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


def _of_blocks(path: Path) -> Draft:
    kind, read = _READERS[path.suffix.lower()]
    try:
        blocks, premise = read(path)
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # the libraries name no errors of their own for a bad file
        raise UsageError(
            f"{path} is no {kind} file that can be read.",
            hint="It may be broken, encrypted or over 100 MB. Save it again, or as md or txt.",
        ) from error
    return Draft(to_markdown(blocks), premise=printable(premise))


def _html(path: Path) -> tuple[list[Block], str]:
    page = HTMLReader(read_text(path))
    if not page.has_elements:
        raise ValueError("no element of HTML")
    is_ours = page.meta.get("generator") == "polaris"
    return page.blocks, page.meta.get("description", "") if is_ours else ""


def _docx(path: Path) -> tuple[list[Block], str]:
    from polaris_cli.formats.docx_reader import read_docx  # python-docx is slow to import

    return read_docx(path)


_READERS: dict[str, tuple[str, Callable[[Path], tuple[list[Block], str]]]] = {
    ".html": ("HTML", _html),
    ".htm": ("HTML", _html),
    ".epub": ("EPUB", read_epub),
    ".docx": ("Word", _docx),
}


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

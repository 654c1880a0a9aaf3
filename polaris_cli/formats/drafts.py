"""`read_draft`: reads a text to continue, which may be an exported story; `front_matter`.

Reads txt, md and json here and removes what an export adds to the story; the text stays the same
except for line ends and, in json, control characters. Other formats have readers, whose blocks
become Markdown. What a file says of its story (premise, title, author, language) goes with the
text. Does not know how a story continues.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import yaml

from polaris_cli.errors import UsageError
from polaris_cli.formats.epub_reader import read_epub
from polaris_cli.formats.html_reader import HTMLReader
from polaris_cli.formats.markdown import Block, to_markdown
from polaris_cli.formats.structure import printable
from polaris_cli.languages import is_known
from polaris_cli.request.settings import SETTINGS
from polaris_cli.request.story_request import MAX_WORDS, Draft
from polaris_cli.request.text_files import read_stdin, read_text, unreadable

Said = Mapping[str, Any]
"""What a file says of its story, of any type, by the names of settings, and its "premise"."""

UNREAD_FORMATS = {
    ".doc", ".docm", ".odt", ".fodt", ".rtf", ".pdf", ".pages", ".fb2", ".mobi", ".azw3", ".mht",
    ".mhtml", ".jsonl",
}  # fmt: skip
OPENING_FENCE, CLOSING_FENCES = "---", ("---", "...")
_MATTER_KEY = re.compile(r"[\w-]+:(\s|$)")
_MATTER_LINE = re.compile(rf"{_MATTER_KEY.pattern}|[\s#-]|$")  # also comments, lists, indents
_SOFT_HYPHEN = "\u00ad"  # where a line may end: books have it in most words
_NO_VALUES = ("", "~", "null")
_DIGITS = re.compile(r"[0-9]{1,9}")


def read_draft(name: str) -> Draft:
    """The draft in a file, or from stdin for "-".

    Raises UsageError if it cannot be read, is not UTF-8, is empty or has an unsupported format.
    """
    what = "standard input" if name == "-" else name
    suffix = Path(name).suffix.lower()
    if suffix in UNREAD_FORMATS:
        raise UsageError(
            f"--continue cannot read {suffix} files: {what}.",
            hint="Save it as docx, html, epub, md or txt, and use that file.",
        )
    if suffix in _READERS:
        found = _from_blocks(Path(name))
    elif suffix == ".json":
        found = _from_json(_read_text(name, what), what)
    else:
        text = _read_text(name, what)
        found = Draft(_trim_end(text)) if suffix == ".txt" else _from_markdown(text, what)
    if not found.text.strip():
        raise UsageError(
            f"{what} is empty.",
            hint='Start a new story: polaris write "a lighthouse keeper" --words 800',
        )
    return found


def _read_text(name: str, what: str) -> str:
    return read_stdin(what) if name == "-" else read_text(Path(name))


def _from_markdown(text: str, what: str) -> Draft:
    """A draft from Markdown, which may have front matter."""
    matter, values, body = front_matter(text, what)
    premise, words = values.get("premise"), str(values.get("words_requested"))
    return Draft(
        _trim_end(body),
        matter,
        printable(premise) if isinstance(premise, str) else "",
        _length(int(words)) if _DIGITS.fullmatch(words) else None,
        **_book(
            {**values, "author": _joined(values.get("author")), "language": values.get("lang")}
        ),
    )


def _from_json(text: str, what: str) -> Draft:
    try:
        record = json.loads(text)
        story, premise = record["story"], record["premise"]
        words = record["words"]["requested"]
        if not (isinstance(story, str) and isinstance(premise, str) and isinstance(words, int)):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{what} is not a story exported by polaris.",
            hint="Export one (polaris library export ID -o story.json), or use a txt or md file.",
        ) from error
    said = {"premise": printable(premise), "words": _length(words), **_book(record)}
    return Draft(_trim_end(printable(story)), **said)  # escapes can name half a character


def _length(words: object) -> int | None:
    """A number of words that a story can have; None for anything else."""
    if isinstance(words, bool) or not isinstance(words, int):
        return None
    return words if 1 <= words <= MAX_WORDS else None


def _from_blocks(path: Path) -> Draft:
    kind, read = _READERS[path.suffix.lower()]
    try:
        blocks, said = read(path)
    except UsageError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # the libraries raise all kinds of errors for bad files
        raise UsageError(
            f"{path} is not a readable {kind} file.",
            hint="It may be damaged, encrypted or over 100 MB. Save it again, or as md or txt.",
        ) from error
    text = to_markdown(blocks).replace(_SOFT_HYPHEN, "")
    return Draft(text, premise=printable(said.get("premise", "")), **_book(said))


def _joined(authors: object) -> object:
    """A list of authors, as pandoc has it, in one text."""
    several = isinstance(authors, list) and all(isinstance(author, str) for author in authors)
    return ", ".join(cast(list[str], authors)) if several else authors


def _book(said: Said) -> dict[str, Any]:
    """Title, author and language, each if it is there and valid."""
    found: dict[str, Any] = {}
    for name in ("title", "author", "language"):
        with suppress(ValueError):
            found[name] = printable(SETTINGS[name].parse(said.get(name)))
    return found if is_known(found.get("language", "")) else {**found, "language": ""}


def _html(path: Path) -> tuple[list[Block], Said]:
    page = HTMLReader(read_text(path))
    if not page.has_elements:
        raise ValueError("no HTML elements")
    said = {
        "premise": page.meta.get("description", ""),
        "title": page.title,
        "author": page.meta.get("author"),
        "language": page.language,
    }
    return page.blocks, said if page.is_ours else {}


def _docx(path: Path) -> tuple[list[Block], Said]:
    from polaris_cli.formats.docx_reader import read_docx  # python-docx is slow to import

    return read_docx(path)


_READERS: dict[str, tuple[str, Callable[[Path], tuple[list[Block], Said]]]] = {
    ".html": ("HTML", _html),
    ".htm": ("HTML", _html),
    ".xhtml": ("HTML", _html),
    ".epub": ("EPUB", read_epub),
    ".docx": ("Word", _docx),
}


def front_matter(text: str, what: str) -> tuple[str, Mapping[str, Any], str]:
    """The YAML front matter, its values as text, and the text below it.

    A story may start with a scene break ("---"), so the block must be a mapping. Raises UsageError
    for one that looks like a mapping but is not valid YAML.
    """
    lines = text.split("\n")
    if lines[0].rstrip() != OPENING_FENCE:
        return "", {}, text
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() in CLOSING_FENCES), 0)
    matter = "\n".join(lines[1:end])
    try:
        values = yaml.load(matter, yaml.BaseLoader)  # no types: a title may be 1984, or No
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if _looks_like_matter(lines[1:end]):
            raise _invalid_matter(what, error) from error
        values = None
    if not isinstance(values, dict):
        return "", {}, text
    values = {name: value for name, value in values.items() if value not in _NO_VALUES}
    return matter, values, "\n".join(lines[end + 1 :]).removeprefix("\n")


def _looks_like_matter(lines: Sequence[str]) -> bool:
    """Whether the first line is a key and its value, and no other line is a sentence."""
    return bool(_MATTER_KEY.match(lines[0])) and all(map(_MATTER_LINE.match, lines))


def _invalid_matter(what: str, error: Exception) -> UsageError:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 2} of {what}" if mark else what
    return UsageError(
        f"The front matter in {place} is not valid YAML.",
        hint='Write values in quotes (title: "Fog: a story"), or delete the lines from --- to ---.',
    )


def _trim_end(text: str) -> str:
    """The text without trailing white space; a blank line at the end, if any, is kept."""
    body = text.rstrip()
    return body + "\n\n" if text[len(body) :].count("\n") > 1 else body

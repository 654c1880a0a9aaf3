"""What a story's Markdown says: its title, its chapters, its blocks and their inline styles.

markdown-it-py reads the Markdown; the rules that would spoil prose are off (see `parser`). Knows
nothing of files or formats: they are made from the tokens that it gives.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from polaris_cli.story.result import Story

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

    Rule = Callable[[StateBlock, int, int, bool], bool]

DEEPEST = 3  # levels of headings that are told apart
DEEPEST_NESTING = 12  # quotes and lists in each other; markdown-it drops what lies below 20
ADDRESS = re.compile(  # what epubcheck takes as a URL too: ports end at 65535, one # at most
    r"(https?://[\w-]+(\.[\w-]+)*(:[0-5]?\d{1,4})?(?=[/?#]|$)|mailto:[^@/#]+@)[!-\"$-~]*(#[!-\"$-~]*)?",
    re.ASCII,
)

_OFF = [
    "code",  # an indented paragraph is prose
    "lheading",  # a line of hyphens below a paragraph is a scene break
    "reference",  # "[Kim]: hello" is dialogue
    "image",
]
_ENDS = ["paragraph", "reference", "blockquote"]  # what such a block ends without a blank line
_LONE_MARKER = r"([-+*]|[0-9]+[.)])[ \t]*$"  # as of a section: "2."
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Span:
    """Text within a block. `marks` are "em", "strong", "code" and the address of a link."""

    text: str
    marks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Structure:
    """A story's title, whether it is a line of the text, and the blocks without that line."""

    title: str
    in_text: bool
    body: "list[Token]"


@lru_cache(maxsize=1)
def parser() -> "MarkdownIt":
    """CommonMark but for the rules that would take prose for something else.

    A line break stays one. HTML is text. Only web and mail addresses are links. Lines of
    underscores or tildes and a number alone on its line are text, and so are quotes and lists
    that are nested too deep.
    """
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import blockquote, fence, hr, list_block

    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(_OFF)
    markdown.validateLink = lambda url: bool(ADDRESS.fullmatch(url))  # type: ignore[method-assign]
    rules = markdown.block.ruler
    rules.at("hr", _unless("_", hr), {"alt": [*_ENDS, "list"]})
    rules.at("fence", _unless("~", fence), {"alt": [*_ENDS, "list"]})
    rules.at("blockquote", _shallow(blockquote), {"alt": [*_ENDS, "list"]})
    rules.at("list", _shallow(_unless(_LONE_MARKER, list_block)), {"alt": _ENDS})
    return markdown


def parse(text: str) -> "list[Token]":
    """The blocks of a text as markdown-it's tokens. Raises nothing, whatever the text.

    An item of an ordered list keeps its number: a paragraph that begins "1990." is no item 2.
    """
    tokens = parser().parse(printable(text))
    for token in tokens:
        if token.type == "list_item_open" and token.info:
            token.attrSet("value", str(int(token.info)))
    return tokens


def structure(story: Story) -> Structure:
    """The structure of a story, with the highest headings of its body raised to `h2`."""
    tokens = parse(story.text)
    title = _take_title(tokens, story.title)
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    top = min((int(token.tag[1]) for token in headings), default=1)
    for token in headings:
        token.tag = f"h{min(int(token.tag[1]) - top + 1, DEEPEST) + 1}"
    return Structure(title or printable(story.title).strip() or "Untitled", bool(title), tokens)


def chapters(story: Structure) -> "Iterator[tuple[str, list[Token]]]":
    """Name and blocks of each chapter; what stands before the first heading bears the title."""
    name = story.title
    chapter: list[Token] = []
    for number, token in enumerate(story.body):
        if token.type == "heading_open" and token.tag == "h2" and token.level == 0:
            if chapter:
                yield name, chapter
            name, chapter = " ".join(plain(story.body[number + 1]).split()) or "Chapter", []
        chapter.append(token)
    yield name, chapter


def spans(inline: "Token") -> list[Span]:
    """The text of a heading or paragraph by its styles. Line breaks are "\\n"."""
    found, marks = list[Span](), list[str]()
    for token in inline.children or []:
        if token.nesting == 1:
            marks.append(str(token.attrs.get("href", token.tag)))
        elif token.nesting == -1:
            marks.pop()
        else:
            text = "\n" if token.tag == "br" else printable(token.content)
            found.append(Span(text, frozenset([*marks, token.tag]) - {"", "br"}))
    return merged(found)


def merged(found: Iterable[Span]) -> list[Span]:
    """The spans with neighbours of the same style as one, and without empty ones."""
    groups = groupby((span for span in found if span.text), key=lambda span: span.marks)
    return [Span("".join(span.text for span in group), marks) for marks, group in groups]


def plain(inline: "Token") -> str:
    """The text of a heading or paragraph without its styles."""
    return "".join(span.text for span in spans(inline))


def printable(text: str) -> str:
    """A text without the control characters and half characters that XML forbids."""
    return _FORBIDDEN.sub("", text)


def _unless(begins: str, rule: "Rule") -> "Rule":
    """The rule, but for lines that begin like this regular expression."""
    pattern = re.compile(begins)

    def guarded(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
        line = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
        return not pattern.match(line) and rule(state, start, end, silent)

    return guarded


def _shallow(rule: "Rule") -> "Rule":
    """The rule, but for what is nested too deep."""

    def guarded(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
        return state.level < DEEPEST_NESTING and rule(state, start, end, silent)

    return guarded


def _take_title(tokens: "list[Token]", title: str) -> str:
    """Remove the story's own title, a heading or bold line at the very start; "" without one."""
    if not tokens or tokens[0].type not in ("heading_open", "paragraph_open"):
        return ""
    inline = tokens[1]
    line, _, rest = inline.content.partition("\n")
    marked = tokens[0].type == "heading_open" or line.startswith("**")
    if not marked or _bare(line) != _bare(printable(title)):
        return ""
    found = plain(inline).partition("\n")[0].strip()
    if rest:
        children = inline.children or []
        end = next(number for number, child in enumerate(children) if child.tag == "br")
        tokens[1] = replace(inline, content=rest, children=children[end + 1 :])
    else:
        del tokens[:3]
    return found


def _bare(line: str) -> str:
    return line.replace("*", "").strip("_# ")

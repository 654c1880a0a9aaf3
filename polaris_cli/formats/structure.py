"""Parses a story's Markdown: its title, chapters, blocks and inline styles.

Uses markdown-it-py without the rules that damage prose (see `parser`). Knows nothing about files:
the formats are made from its tokens.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from polaris_cli.characters import CJK, HANGUL, WIDE_SIGNS
from polaris_cli.story.result import Story
from polaris_cli.streaming.headings import (
    is_bare_chapter_heading,
    is_chapter_heading,
    is_hyphen_speech,
    is_scene_break,
    title_in,
    without_fence,
)

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

    Rule = Callable[[StateBlock, int, int, bool], bool]

MAX_HEADING = 3  # deeper levels of headings become this one
MAX_LEVEL = 12  # nested quotes and lists; markdown-it drops text deeper than 20
ADDRESS = re.compile(  # URLs that epubcheck accepts: no large port numbers, at most one #
    r"(https?://[\w-]+(\.[\w-]+)*(:[0-5]?\d{1,4})?(?=[/?#]|$)|mailto:[^@/#]+@)[!-\"$-~]*(#[!-\"$-~]*)?",
    re.ASCII,
)

_OFF = [
    "code",  # an indented paragraph is prose
    "lheading",  # a line of hyphens below a paragraph is a scene break
    "reference",  # "[Kim]: hello" is dialogue
    "image",
]
_BLOCKS = ("paragraph_open", "heading_open")
_INTERRUPTS = ["paragraph", "reference", "blockquote"]  # blocks that a new one can interrupt
_LINE_END = re.compile(r"\r\n?|\n")
_INDENT = re.compile("[\u00a0\u2000-\u200a\u202f\u3000]+")
_LONE_MARKER = r"([-+*]|[0-9]+[.)])[ \t]*$"  # a section number: "2."
_EAST_ASIAN = re.compile(f"[{CJK}{HANGUL}{WIDE_SIGNS}]")
_FENCE = re.compile(r"(`{3,})[ \t]*[^\s`]*[ \t]*")  # with the name of a language at most
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Span:
    """Text in a block. `marks` are "em", "strong", "code" and the address of a link."""

    text: str
    marks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Structure:
    """A story's title, whether it is a line of the text, and the blocks after it."""

    title: str
    in_text: bool
    body: "list[Token]"


@lru_cache(maxsize=1)
def parser() -> "MarkdownIt":
    """A CommonMark parser without the rules that misread prose.

    Line breaks are kept. HTML is text. Only web and mail addresses are links. Lone list markers,
    quotes and lists nested too deep, and code fences that are not closed are text. Emphasis may
    touch East Asian text.
    """
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import blockquote, fence, hr, list_block

    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(_OFF)
    markdown.validateLink = lambda url: bool(ADDRESS.fullmatch(url))  # type: ignore[method-assign]
    rules = markdown.block.ruler
    rules.at("hr", _unless("_", hr), {"alt": [*_INTERRUPTS, "list"]})
    rules.at("fence", _closed(fence), {"alt": [*_INTERRUPTS, "list"]})
    rules.at("blockquote", _shallow(blockquote), {"alt": [*_INTERRUPTS, "list"]})
    rules.at("list", _shallow(_unless(_LONE_MARKER, list_block)), {"alt": _INTERRUPTS})
    markdown.inline.ruler.at("emphasis", _emphasis)
    return markdown


def parse(text: str, *, speech: bool = False) -> "list[Token]":
    """The blocks of a text as markdown-it tokens. Accepts any text.

    If a text has speech behind hyphens, all that is behind them is paragraphs and no list item;
    `speech` says that the whole has some of which this is a part.
    List items keep their numbers: a paragraph that starts with "1990." must not become "2.".
    """
    source = printable(without_fence(text))
    tokens = [*_with_breaks(_with_indents(parser().parse(source), _LINE_END.split(source)))]
    if speech or any(map(is_hyphen_speech, _hyphen_items(tokens))):
        tokens = [*_with_speech(tokens)]
    for token in tokens:
        if token.type == "list_item_open" and token.info:
            token.attrSet("value", str(int(token.info)))
    return tokens


def _with_indents(tokens: "list[Token]", lines: list[str]) -> "list[Token]":
    """The tokens, with the wide spaces at the start of a paragraph, as in Japanese prose, which the
    parser strips as if they were ASCII."""
    for at, token in enumerate(tokens):
        if token.type == "paragraph_open" and not token.level and token.map:
            indent = _INDENT.match(lines[token.map[0]])
            tokens[at + 1] = _prefixed(tokens[at + 1], indent[0] if indent else "")
    return tokens


def _with_breaks(tokens: "list[Token]") -> "Iterator[Token]":
    """The tokens, with scene breaks for paragraphs of ornaments and for headings without text."""
    from markdown_it.token import Token

    left = iter(range(len(tokens)))
    for at in left:
        token = tokens[at]
        text = tokens[at + 1].content if token.type in _BLOCKS else ""
        empty = token.type == "heading_open" and not text
        if empty or is_scene_break(text):
            yield Token("hr", "hr", 0, map=token.map, level=token.level, block=True)
            next(left), next(left)
        else:
            yield token


def _hyphen_items(tokens: "list[Token]") -> "Iterator[str]":
    """The texts of list items behind a hyphen, with it."""
    for item, inline in zip(tokens, tokens[2:], strict=False):
        if item.type == "list_item_open" and item.markup == "-":
            yield f"- {inline.content}".replace("\n", " ")


def _with_speech(tokens: "list[Token]") -> "Iterator[Token]":
    """The tokens without lists of items behind a hyphen, which their paragraphs keep."""
    inside, hyphens = 0, ""
    for token in tokens:
        if token.markup == "-" and token.type.startswith(("bullet_list", "list_item")):
            inside += token.nesting
            hyphens = hyphens + "- " * (token.type == "list_item_open") if token.nesting > 0 else ""
            continue
        if inside and token.type.startswith("paragraph"):
            token.hidden = False  # in a list without empty lines, they are
        if token.type == "inline" and hyphens:
            token = _prefixed(token, hyphens)
            hyphens = ""
        token.level -= inside
        yield token


def _prefixed(inline: "Token", text: str) -> "Token":
    from markdown_it.token import Token

    if not text:
        return inline
    children = [Token("text", "", 0, content=text), *(inline.children or [])]
    return replace(inline, content=text + inline.content, children=children)


def structure(story: Story) -> Structure:
    """The structure of a story; the top level of headings in its body becomes `h2`."""
    tokens = parse(story.text)
    own = "" if _first_chapter_has_title(story) else _take_title(tokens, story.own_title)
    _mark_chapters(tokens)
    set_levels(tokens, 2)
    title = story.request.book.title or own or story.title
    return Structure(printable(title).strip() or "Untitled", bool(own), tokens)


def _first_chapter_has_title(story: Story) -> bool:
    """Whether the first chapter is named as its book, so that its heading is not the title."""
    plan = story.plan
    return bool(plan and story.request.headings and plan.chapters[0].title == story.own_title)


def set_levels(tokens: "list[Token]", highest: int) -> None:
    """Make the top level of headings this one, and that of the others at most 2 more.

    The level of a heading in a quotation says nothing of the others.
    """
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    outer = [token for token in headings if not token.level]
    top = min((int(token.tag[1]) for token in outer or headings), default=1)
    for token in headings:
        below = max(int(token.tag[1]) - top, 0)
        token.tag = f"h{highest + min(below, MAX_HEADING - 1)}"


def chapters(story: Structure) -> "Iterator[tuple[str, list[Token]]]":
    """The name and blocks of each chapter; text before the first heading is named by the title."""
    name = story.title
    chapter: list[Token] = []
    for number, token in enumerate(story.body):
        if token.type == "heading_open" and token.tag == "h2" and token.level == 0:
            if chapter:
                yield name, chapter
            name, chapter = " ".join(plain_text(story.body[number + 1]).split()) or "Chapter", []
        chapter.append(token)
    yield name, chapter


def spans(inline: "Token") -> list[Span]:
    """The text of a heading or paragraph, split by marks. Line breaks are "\\n"."""
    found, marks = list[Span](), list[str]()
    for token in inline.children or []:
        if token.nesting == 1:
            marks.append(str(token.attrs.get("href", token.tag)))
        elif token.nesting == -1:
            marks.pop()
        else:
            text = "\n" if token.tag == "br" else printable(token.content)
            found.append(Span(text, frozenset([*marks, token.tag]) - {"", "br"}))
    return merge_spans(found)


def merge_spans(found: Iterable[Span]) -> list[Span]:
    """Join neighbouring spans with the same marks, and drop empty ones."""
    groups = groupby((span for span in found if span.text), key=lambda span: span.marks)
    return [Span("".join(span.text for span in group), marks) for marks, group in groups]


def plain_text(inline: "Token") -> str:
    """The text of a heading or paragraph without marks."""
    return "".join(span.text for span in spans(inline))


def printable(text: str) -> str:
    """Remove the control characters and lone surrogates that XML forbids."""
    return _FORBIDDEN.sub("", text)


def _unless(regex: str, rule: "Rule") -> "Rule":
    """The rule, skipped for lines whose start matches `regex`."""
    pattern = re.compile(regex)

    def guarded(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
        return not pattern.match(_line(state, start)) and rule(state, start, end, silent)

    return guarded


def _closed(fence: "Rule") -> "Rule":
    """The rule, skipped for a fence of "~", one that is not closed, or one with text behind it."""

    def guarded(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
        found = _FENCE.fullmatch(_line(state, start))
        if not found:
            return False
        closing = re.compile(rf"{found[1]}`*[ \t]*")
        lines = (_line(state, number) for number in range(start + 1, end))
        return any(map(closing.fullmatch, lines)) and fence(state, start, end, silent)

    return guarded


def _emphasis(state: "StateInline", silent: bool) -> bool:
    """The rule for emphasis; next to East Asian characters, asterisks may begin and end it.

    CommonMark expects white space between a letter and a mark such as **“so.”** here.
    """
    from markdown_it.rules_inline import emphasis

    start, before = state.pos, len(state.delimiters)
    found = emphasis.tokenize(state, silent)
    last, following = state.src[start - 1 : start], state.src[state.pos : state.pos + 1]
    if state.src[start] == "*" and _EAST_ASIAN.search(last + following):
        for delimiter in state.delimiters[before:]:
            delimiter.open = delimiter.open or bool(following.strip())
            delimiter.close = delimiter.close or bool(last.strip())
    return found


def _line(state: "StateBlock", number: int) -> str:
    """A line without its indentation."""
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]


def _shallow(rule: "Rule") -> "Rule":
    """The rule, skipped if it is nested too deep."""

    def guarded(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
        return state.level < MAX_LEVEL and rule(state, start, end, silent)

    return guarded


def _take_title(tokens: "list[Token]", title: str) -> str:
    """Remove and return the title if the text starts with it as a heading or bold line, else "".

    A title in a style that goes on below its line stays in the text.
    """
    if not tokens or tokens[0].type not in ("heading_open", "paragraph_open"):
        return ""
    inline = tokens[1]
    line, _, rest = inline.content.partition("\n")
    stated = title_in(f"# {line}" if tokens[0].type == "heading_open" else line)
    if not stated or _plain_line(stated) != _plain_line(printable(title)):
        return ""
    shown = plain_text(inline).partition("\n")[0].strip()
    found = title_in("# " + shown.replace("*", r"\*")) or shown
    if not rest:
        del tokens[:3]
    elif below := _below_first_line(inline.children or []):
        tokens[1] = replace(inline, content=rest, children=below)
        tokens[:] = [*_with_breaks(tokens)]
    else:
        return ""
    return found


def _below_first_line(children: "list[Token]") -> "list[Token]":
    """The inline tokens below the first line; none if a style or code goes on into them."""
    end = next((at for at, child in enumerate(children) if child.tag == "br"), len(children))
    goes_on = sum(child.nesting for child in children[:end])
    return [] if goes_on else children[end + 1 :]


def _mark_chapters(tokens: "list[Token]") -> None:
    """Turn paragraphs that are a chapter's heading, bold or alone, into headings."""
    from markdown_it.token import Token

    tag = _chapter_tag(tokens)
    for before, inline, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if before.type != "paragraph_open" or before.level or "\n" in inline.content:
            continue
        found = spans(inline)
        text = "".join(span.text for span in found)
        bold = all("strong" in span.marks for span in found) and is_chapter_heading(text)
        if bold or is_bare_chapter_heading(text):
            before.type, after.type = "heading_open", "heading_close"
            before.tag = after.tag = tag
            inline.content, inline.children = text, [Token("text", "", 0, content=text)]


def _chapter_tag(tokens: "list[Token]") -> str:
    """The level of the headings of chapters: of those marked as headings, else the highest."""
    headings = [
        pair for pair in pairwise(tokens) if pair[0].type == "heading_open" and not pair[0].level
    ]
    of_chapters = [head.tag for head, text in headings if is_chapter_heading(plain_text(text))]
    return next(iter([*of_chapters, *sorted(head.tag for head, _ in headings)]), "h1")


def _plain_line(line: str) -> str:
    return line.replace("*", "").strip("_# ")

"""Finds what a model says around a story: "Sure! Here is a story:" and "(Word count: 512)".

Knows English wording only, and only the two ends of an answer: a story may contain any sentence.
Does not know about models or what becomes of the text that is found.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from polaris_cli.events import AnswerEvent, Chunk, closing
from polaris_cli.streaming.headings import LONGEST_BOLD, heads_chapter, may_head_chapter

_MARKS = " \t*_>#~-"
LONGEST = 300  # characters of a preamble; what is longer is a paragraph of the story

_TEXT = (
    r"(?:story|tale|narrative|chapter|scene|essay|review|episode|script|flash fiction|version"
    r"|continuation|piece(?! of (?!writing|fiction|prose)))"
)
_REST = r"(?:[^\n:.!]|(?<=\d)[.,](?=\d))*"  # of a sentence
_WORDS = r"\d[\d,.]*k?[- ]?words?\b"
_YES = r"(?:sure(?: thing)?|certainly|of course|absolutely|gladly|ok(?:ay)?|alright|great|got it)"
_OFFER = (
    r"i(?:'d| would|'ll| will|'m| am| can)(?: be)? "
    rf"(?:happy|glad|delighted|love|try|do my best|write)\b{_REST}\b"
    rf"(?:{_TEXT}|(?:help|assist) you)\b"
)
_HERE = (
    r"(?:here(?:'s| is| are)|below is|the following is) "
    rf"(?:(?!where|who|when|why|how)[\w'-]+,? ){{0,8}}?(?:{_TEXT}|{_WORDS})\b"
)
_HERE_IS_A = (
    r"(?:here(?:'s| is)|below is|the following is) (?:an?|your|the next) "
    rf"(?:(?!where|who|when|why|how)[\w'-]+,? ){{0,8}}?(?:{_TEXT}|{_WORDS})"
    r"(?: (?:about|based|inspired|for|in|with|set|featuring|titled|called|on|that (?:takes|is))\b"
    rf"{_REST})?"
)
_FOR_YOU = r"\b(?:you(?:'ve| have)? (?:asked|requested)|your (?:request|prompt|premise)|for you)\b"
_SPEECH = re.compile(
    r"[“”\"«»]|\b(?:said|says|asked|replied|cried|whispered|thought|told|answered|shouted)\b"
    r"(?! for\b)"
)
_PREAMBLE = re.compile(
    # "Of course, here is ...", "Certainly! I'd be happy to write a story"
    rf"(?:{_YES}[!.,:]+[ ]+(?:{_OFFER}{_REST}(?:[:.!]|$)|{_HERE}{_REST}[:.!])|"
    # "Here is a story about a fox:", but not "Here is the story of my life:"
    rf"{_HERE_IS_A}:|"
    rf"{_HERE}{_REST}(?:{_FOR_YOU}|{_WORDS}){_REST}[:.!]|"
    rf"i(?:'d| would) be (?:happy|glad|delighted) to (?:write|help you|create)\b{_REST}\b{_TEXT}\b"
    rf"{_REST}(?:[:.!]|$))[*_]*(?=\s|$)",
    re.IGNORECASE,
)
_ASSENT = re.compile(rf"{_YES}[!.]", re.IGNORECASE)
_OPENERS = (
    "sure", "certainly", "of course", "absolutely", "gladly", "ok", "alright", "great", "got it",
    "here's", "here is", "here are", "here goes", "below is", "the following is", "i'd", "i would",
    "i'll", "i will", "i'm", "i am", "i can",
)  # fmt: skip
_RULE = re.compile(r"[ \t]*(?:[-*_~][ \t]*){3,}")
_COUNT = re.compile(
    rf"[\s*_(\[~]*(?:(?:approx\w*|total|final|about|the)?[ ]*word[ ]?count\b.*|{_WORDS}.{{0,15}})",
    re.IGNORECASE,
)


def preamble_in(line: str) -> str:
    """The start of an answer's first line that speaks to the reader about the story that follows.

    "" if there is none. The story may begin behind it, in the same line.
    """
    marks = len(line) - len(line.lstrip(_MARKS))
    found = _PREAMBLE.match(line.replace("’", "'"), marks, marks + LONGEST)  # noqa: RUF001
    if not found or len(found[0]) == LONGEST or _SPEECH.search(found[0]):
        return ""
    return line[: found.end()]


def is_assent(line: str) -> bool:
    """Whether a line is only "Sure!" or the like: a preamble if one follows, else a story's."""
    return bool(_ASSENT.fullmatch(line.strip(_MARKS)))


def is_word_count(text: str) -> bool:
    """Whether a text behind a story is a count of its words, such as "(Word count: 512)"."""
    lines = [line for line in text.splitlines() if line.strip() and not _RULE.fullmatch(line)]
    return bool(lines) and all(_COUNT.fullmatch(line.strip(_MARKS)) for line in lines)


def without_preamble(
    events: Iterator[AnswerEvent], title: str | None = None
) -> Iterator[AnswerEvent]:
    """Yield an answer's events; a preamble is an "aside" in place of story.

    So is a heading, if the answer is a part with this `title` ("" for none), which polaris heads.
    The first line is held back until it is complete or cannot be one of these. Tokens and ids keep
    their order; a token that is in both has its id in the story.
    """
    front = _Front(title)
    with closing(events):
        try:
            for event in events:
                if isinstance(event, Chunk) and event.kind == "story":
                    yield from front.feed(event)
                else:
                    yield from front.flush()
                    yield event
        except (Exception, KeyboardInterrupt):
            yield from front.flush()
            raise


class _Front:
    """The start of a story, held back while it may be a preamble."""

    def __init__(self, title: str | None) -> None:
        self._title = title
        self._held: list[Chunk] = []
        self._text = ""
        self._aside = 0  # characters that are a preamble for certain
        self._open = True  # whether more may follow

    def feed(self, chunk: Chunk) -> Iterator[Chunk]:
        """Add a chunk; yield what is decided."""
        if not self._open:
            yield chunk
            return
        self._held.append(chunk)
        self._text += chunk.text
        if not self._is_undecided():
            yield from self.flush()

    def flush(self) -> Iterator[Chunk]:
        """Yield all that is held, for the answer ends or its story has begun."""
        if self._held:
            self._open = False
            if self._aside:  # with the empty lines after it
                story = self._text[self._aside :].lstrip("\n ")
                self._aside = len(self._text) - len(story)
            yield from _divided(self._held, self._aside)
            self._held = []

    def _is_undecided(self) -> bool:
        """Move `aside` behind the preamble's lines; whether more text is needed."""
        place = self._aside
        while True:
            rest = self._text[place:]
            line, line_end, _ = rest.lstrip().partition("\n")
            if not line_end:
                return self._may_head(line) or (
                    len(line) <= LONGEST and _may_begin(line, after=place > 0)
                )
            is_rule = self._aside > 0 and bool(_RULE.fullmatch(line))
            preamble = preamble_in(line)
            if preamble and line[len(preamble) :].strip(_MARKS):  # the story begins behind it
                self._aside = place + rest.index(line) + len(preamble)
                return False
            certain = is_rule or bool(preamble) or self._heads(line)
            if not certain and not (place == 0 and is_assent(line)):
                return False
            place += len(rest) - len(rest.lstrip()) + len(line) + len(line_end)
            if certain:
                self._aside = place
            if place == len(self._text):
                return True

    def _heads(self, line: str) -> bool:
        return self._title is not None and heads_chapter(line, self._title)

    def _may_head(self, line: str) -> bool:
        if self._title is None or len(line) >= LONGEST_BOLD:
            return False
        return may_head_chapter(line, self._title)


def _may_begin(line: str, *, after: bool) -> bool:
    """Whether a line with this start may be a preamble, or a rule `after` one."""
    start = line.strip(_MARKS).lower().replace("’", "'")  # noqa: RUF001
    if not start:
        return not line or after or len(line) < 4
    return any(start.startswith(opener) or opener.startswith(start) for opener in _OPENERS)


def _divided(chunks: list[Chunk], length: int) -> Iterator[Chunk]:
    """The chunks, with the first `length` characters as an aside."""
    for chunk in chunks:
        before, behind = chunk.text[:length], chunk.text[length:]
        length -= len(before)
        if not before:
            yield chunk
        elif not behind:
            yield replace(chunk, kind="aside")
        else:
            yield Chunk("aside", before)
            yield replace(chunk, text=behind)

"""Tells titles, chapter headings, scene breaks and speech from the other lines of a story.

Knows single lines, not Markdown as a whole (`formats.structure` parses that).
"""

import re

LONGEST_BOLD = 100  # characters; a longer bold line is a sentence

_CARDINAL = (
    r"(?:\d+|[ivxlc]{2,}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen"
    r"|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|(?:twenty|thirty|forty|fifty)"
    r"(?:-\w+)?)"
)
_NUMBER = rf"(?:{_CARDINAL}|[ivxlc]|first|second|third|last|final)"
_CHAPTER_WORDS = (
    "chapter", "kapitel", "chapitre", "capítulo", "capitolo", "hoofdstuk", "rozdział", "глава",
    "bölüm",
)  # fmt: skip
WORD_FOR_CHAPTER = rf"(?:{'|'.join(_CHAPTER_WORDS)})"
_NUMBERED = rf"(?:{WORD_FOR_CHAPTER}|part|book|act|scene|episode|section)[ .#]*{_NUMBER}|\d+[장화]"
_NAME = r"(?:\s*[:：.–—-].{0,80})?"  # noqa: RUF001
# "Chapter 2 The Fog": in a sentence, a small letter or a full stop follows.
_NAMED = rf"{WORD_FOR_CHAPTER} {_CARDINAL} (?-i:[^\Wa-z_]).{{0,80}}(?<![.!?…])"
# Chinese, Japanese and Korean. A sentence that begins so ends with a full stop.
_EAST_ASIAN_NUMBERED = (
    r"第\s*[\d〇零一二三四五六七八九十百]+\s*[章回节節話话幕卷部]|제\s*\d+\s*[장화막부]"  # noqa: RUF001
)
_EAST_ASIAN_FIRST = rf"(?:{_EAST_ASIAN_NUMBERED}|序章|序幕|プロローグ|프롤로그)"
_EAST_ASIAN = rf"(?:{_EAST_ASIAN_FIRST}|終章|终章|尾声|尾聲|エピローグ|에필로그)"
_EAST_ASIAN_NAME = r"(?:(?:\s*[:：.–—-]|\s|(?=[「『《【“]))[^。\n]{0,60})?"  # noqa: RUF001
# Compiled when first used: that takes longer than the rest of this module's import.
_CHAPTER = (
    rf"(?i)(?:{_NUMBERED}|{_NUMBER} (?:chapter|part|act)|prolog(?:ue)?|epilog(?:ue)?|interlude|"
    rf"coda){_NAME}|{_NAMED}|{_EAST_ASIAN}{_EAST_ASIAN_NAME}"
)
_FIRST_CHAPTER = (  # what heads the first part of a story, and no whole one
    rf"(?i)(?:{_NUMBERED}|prolog(?:ue)?){_NAME}|{_NAMED}|{_EAST_ASIAN_FIRST}{_EAST_ASIAN_NAME}"
)
_BARE_CHAPTER = (
    rf"(?i){WORD_FOR_CHAPTER} {_NUMBER}(?:\s*[:–—-] ?.{{0,60}})?"  # noqa: RUF001
    rf"|{_EAST_ASIAN}{_EAST_ASIAN_NAME}"
)
_FIRST_WORDS = ("title", "story title", *_CHAPTER_WORDS)
_HEADING = re.compile(r"#{1,6}(?:\s|$)")
_CLOSING_MARKS = re.compile(r"[ \t]+#+[ \t]*$")
_EMPHASIS = re.compile(r"(?<!\\)(\*{1,3})(?![\s*])(.+?)(?<![\s\\])\1(?!\*)")
_ESCAPED = re.compile(r"\\([*_#])")
_LABEL = re.compile(r"(?:story )?title\s*[:：]\s*(?=\S)", re.IGNORECASE)  # noqa: RUF001
_MARKS = "*_# \t"
_QUOTES = "\"'“”‘’«»"  # noqa: RUF001
# A lone sign, or several; dashes and dots only where no sentence can be meant.
_SIGN = "[#~*•·§※⁂❦❧❀⚜◆◇❖◊♦✦✧✶✻✽★☆＊∗⁕○●◎■□▪⸻]"  # noqa: RUF001
_GAP = r"[^\S\n]*"  # also the wide spaces of Japanese, and those that do not break
_FENCE = re.compile(r"^ {0,3}`{3,}[ \t]*([^\s`]*)[ \t\r]*$", re.MULTILINE)
_SPEECH = re.compile(r"\s*-\s[^\n]*(?:[?!]|\s-\s)")
_BREAK = re.compile(
    rf"(?:{_SIGN}{_GAP})+|(?:[_+=]{_GAP}){{3,}}|(?:[-–—―─]{_GAP}){{3,}}"  # noqa: RUF001
)


def title_in(line: str) -> str:
    """The title that the first line of a story states; "" if it states none.

    It is a Markdown heading, a short bold line, or behind "Title:"; "Chapter 1" is not a title.
    """
    line = line.strip()
    bare = line.strip(_MARKS)
    label = _LABEL.match(bare.replace("**", "").replace("__", ""))
    bold = _is_bold(line) and len(line) < LONGEST_BOLD
    if not (label or bold or _HEADING.match(line)):
        return ""
    title = _without_marks(_CLOSING_MARKS.sub("", line).lstrip("# \t"))
    title = title[label.end() :].strip(_QUOTES + " ") if label else title.strip("_ ")
    return "" if re.fullmatch(_FIRST_CHAPTER, title) or is_scene_break(title) else title


def _is_bold(line: str) -> bool:
    """Whether all of a line is bold, in one: not "**Run!** she shouted **again.**"."""
    return line.startswith("**") and line.endswith("**") and "**" not in line.strip("*")


def _without_marks(line: str) -> str:
    """A line without its marks of emphasis, but with other asterisks: "Sagittarius A*"."""
    for _ in ("bold", "italics in it"):
        line = _EMPHASIS.sub(r"\2", line)
    return _ESCAPED.sub(r"\1", line.replace("**", "").replace("__", "")).strip()


def is_chapter_heading(text: str) -> bool:
    """Whether a line that is marked as a heading or bold is that of a chapter."""
    return bool(re.fullmatch(_CHAPTER, text.strip(_MARKS)))


def is_bare_chapter_heading(text: str) -> bool:
    """Whether a line without any marks is a chapter's heading: "Chapter 2: Fog", "第二章 雾"."""
    return bool(re.fullmatch(_BARE_CHAPTER, text.strip())) and not text.rstrip().endswith(
        (".", "!")
    )


def heads_chapter(line: str, title: str) -> bool:
    """Whether a line at the start of a chapter is its heading: any Markdown heading, "Chapter 2",
    "Title: Fog", or the chapter's `title` ("" for none), also with a number."""
    line = line.strip()
    name = line.strip(_MARKS)
    if is_scene_break(line):
        return False
    if _HEADING.match(line) or _LABEL.match(name) or is_bare_chapter_heading(name):
        return True
    if line.startswith("**") and len(line) < LONGEST_BOLD and is_chapter_heading(name):
        return True
    return bool(title) and _bare_title(name) == _bare_title(title)


def may_head_chapter(start: str, title: str) -> bool:
    """Whether a line that begins so may be the heading of a chapter (`heads_chapter`)."""
    line, bare = start.strip(), _bare_title(start)
    marked = line[:1] in ("", *_MARKS, *_QUOTES) or line[0].isdecimal()
    words = any(word.startswith(bare) or bare.startswith(word) for word in _FIRST_WORDS)
    named = bool(title) and _bare_title(title).startswith(bare)
    return marked or words or named or not line[0].isascii()


def _bare_title(line: str) -> str:
    """A title without number, quotation marks and full stop, in lower case."""
    return re.sub(r"^\d+\s*[.:)-]\s*", "", line).strip(f"{_QUOTES}.{_MARKS}").casefold()


def is_scene_break(line: str) -> bool:
    """Whether a line alone in its paragraph is a scene break: "* * *", "#", "⁂", "___", "~"."""
    return bool(_BREAK.fullmatch(line.strip()))


def is_hyphen_speech(line: str) -> bool:
    """Whether a line behind a hyphen is speech, as in Polish or Spanish, and no list item: it
    asks, calls out or has a further hyphen."""
    return bool(_SPEECH.match(line))


def without_fence(text: str) -> str:
    """The text without a code fence around all of it: "```markdown" and "```". One may be missing,
    as in a story that is not finished."""
    fences = list(_FENCE.finditer(text))
    if not fences:
        return text
    first, last = fences[0], fences[-1]
    begins = not text[: first.start()].strip()
    ends = not text[last.end() :].strip() and not last[1]
    if len(fences) != begins + ends:  # there is code in the text
        return text
    return text[first.end() if begins else 0 : last.start() if ends else None]

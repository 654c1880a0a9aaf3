"""Messages and help texts are plain English: none contains a phrase from a list of bad ones.

`python -m tests.test_wording` prints all of them, so that a person can read them in one list.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from polaris_cli.commands.app import COMMANDS
from tests.cli import ROOT

PACKAGE = ROOT / "polaris_cli"
PAGES = PACKAGE / "commands" / "help_pages"
PROSE = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "presets").glob("*.toml"))]
SKIPPED = "demo"  # its sentences are the demo model's training data

CALLS = re.compile(
    r"\w+Error|ModelUnavailable|OutOfMemory|NoStory|OffTarget|Option|Argument|Typer|callback"
    r"|note|notify|say|warn|print|print_line|loading|confirm|\w*(fault|unavailable|conflict)"
)
SENTENCE = re.compile(r"[A-Z{][^\n]* [^\n]* [^\n]*[.:!?)}]", re.DOTALL)

# Translated or private phrases, and what to write instead.
PHRASES = {
    r"\bleave\b.{0,40}\baway\b": "leave out",
    r"\banew\b": "again",
    r"\bspare\b": "free, extra",
    r"may be had|to be had|can be had": "is available",
    r"has come\b|have come\b": "say what happened",
    r"is known of|are known for|which is not known": "there is no ...",
    r"which cannot be read|cannot be right": "'x' is not one of ..., invalid value 'x'",
    r"speaks? of|spoken of": "says",
    r"\bnobody\b": "cannot ask: not a terminal",
    r"\bbecame\b|\bbecome of\b": "is",
    r"exists already|is there already": "already exists",
    r"(?<!there )\bis no (?!longer|such)": "is not a",
    r"\bgoes? on with|\bgone on with": "continues",
    r"\bso many\b": "this many",
    r"do(es)? not go together": "contradict each other",
    r"graphics cards?": "GPU",
    r"(?<!logits )(?<!word )\bprocessors?\b": "CPU",
    r"one's own|of yours|of (his|her|their|the user's) own": "your own",
    r"\bas it stands\b": "unchanged",
    r"\bin turns\b": "alternating",
    r"\bit says itself\b|\bsays of itself\b": "contains",
    r"\bmust (stand|lie)\b|\blies? (beside|in)\b": "is",
    r"\bbegun\b": "started",
    r"\bmakes? room\b": "free some space",
    r"\bwhatever\b": "any",
}
REFUSED = {re.compile(pattern, re.IGNORECASE): better for pattern, better in PHRASES.items()}


def text_of(node: ast.AST) -> str:
    """A string as it is read, with "{…}" for the values of an f-string; "" for other nodes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "{…}" for part in node.values)
    return ""


def strings_in(node: ast.AST) -> Iterator[str]:
    """The strings below a node; an f-string is one, and those in its values are others."""
    if text := text_of(node):
        yield text
        values = node.values if isinstance(node, ast.JoinedStr) else []
        children: list[ast.AST] = [v.value for v in values if isinstance(v, ast.FormattedValue)]
    else:
        children = [*ast.iter_child_nodes(node)]
    for child in children:
        yield from strings_in(child)


def called(node: ast.Call) -> str:
    """The name of the function or class that is called."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def help_of(node: ast.AST) -> str:
    """The docstring of a command, which is its help."""
    if not isinstance(node, ast.FunctionDef):
        return ""
    is_command = node.name in COMMANDS or any(isinstance(d, ast.Call) for d in node.decorator_list)
    return (ast.get_docstring(node) or "") if is_command else ""


def messages_of(path: Path) -> Iterator[str]:
    """The messages and help texts in a module."""
    tree = ast.parse(path.read_text("utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    in_commands = path.parent.name == "commands"
    for node in ast.walk(tree):
        if in_commands and (text := help_of(node)):
            yield text
        if in_commands and isinstance(node, ast.Assign) and "\n" in text_of(node.value):
            yield text_of(node.value)
        elif isinstance(node, ast.Call) and CALLS.fullmatch(called(node)):
            yield from (text for text in strings_in(node) if " " in text.strip())
        elif id(node) not in documentation and SENTENCE.fullmatch(text := text_of(node)):
            yield text


@cache
def messages() -> dict[str, list[str]]:
    """All messages, help texts and help pages, by file, without repetitions."""
    found = {
        str(path.relative_to(PACKAGE)): [*dict.fromkeys(messages_of(path))]
        for path in sorted(PACKAGE.rglob("*.py"))
        if SKIPPED not in path.parts
    }
    pages = {f"help {path.stem}": [path.read_text("utf-8")] for path in sorted(PAGES.glob("*.md"))}
    return {place: texts for place, texts in {**found, **pages}.items() if texts}


def faults(text: str) -> list[str]:
    """The refused phrases in a text, each with what to write instead."""
    flat = " ".join(text.split())
    hits = ((pattern.search(flat), better) for pattern, better in REFUSED.items())
    return [f"{hit[0]!r}: write {better!r}" for hit, better in hits if hit]


def test_messages_and_documents_are_plain_english() -> None:
    prose = {path.name: [path.read_text("utf-8")] for path in PROSE}
    found = [
        f"{place}: {fault} in {text[:200]!r}"
        for place, texts in {**messages(), **prose}.items()
        for text in texts
        for fault in faults(text)
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "Leave --strict away.",
        "no figures are known for demo",
        "'novel', which cannot be read",
        "Nobody can be asked",
        "The premise itself speaks of 500 words",
    ],
)
def test_a_refused_phrase_is_found(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("commands/library.py", "Cannot ask for confirmation: stdin is not a terminal."),
        ("commands/options.py", "Use CUDA graphs."),
        (
            "commands/app.py",
            "Write a story from the library again, with the same settings and seed.",
        ),
        (
            "commands/help.py",
            "Show help pages: batch, config, engines, eval, exit-codes, json, lengths, plan, "
            "preset.",
        ),
        ("commands/running.py", "The story did not end by itself ({…})."),
        ("errors.py", "{…} is {…}, but must {…}."),
        ("formats/files.py", "{…} is not a regular file."),
    ],
)
def test_messages_of_all_kinds_are_collected(place: str, text: str) -> None:
    assert text in messages()[place]


if __name__ == "__main__":
    for place, texts in messages().items():
        print(f"\n{place}", *(" ".join(text.split()) for text in texts), sep="\n  ")

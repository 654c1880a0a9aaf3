"""Reads the text that the demo stories are made of: files of lists, one entry a line.

A line "# name" begins a list. Knows nothing of what the entries mean.
"""

from pathlib import Path


def read_lists(file: str) -> dict[str, list[str]]:
    """The lists of a file in this folder, by name."""
    lists: dict[str, list[str]] = {}
    entries: list[str] = []
    for line in Path(__file__).with_name(file).read_text("utf-8").splitlines():
        if line.startswith("# "):
            entries = lists.setdefault(line.removeprefix("# "), [])
        elif line:
            entries.append(line)
    return lists


SENTENCES = read_lists("sentences.txt")
PHRASES = read_lists("phrases.txt")

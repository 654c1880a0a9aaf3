"""Reads the sentences and phrases of the demo stories: text files of lists, one entry per line.

A line "# name" begins a list. Does not know what the entries mean.
"""

from pathlib import Path


def read_lists(file: str) -> dict[str, list[str]]:
    """The lists in a file of this folder, by name."""
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

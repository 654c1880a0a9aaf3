"""A story's first line states a title, or is the first of its text."""

import pytest

from polaris_cli.streaming.headings import title_in


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("# The Fog", "The Fog"),
        ("**The Fog**", "The Fog"),
        ("***The Fog***", "The Fog"),
        ("**The *Old* Fog**", "The Old Fog"),
        (r"**Sagittarius A\***", "Sagittarius A*"),
        ("Title: **The Fog**", "The Fog"),
        ("**Title:** **The Fog**", "The Fog"),
        ("**Run!** she shouted, and he ran **fast.**", ""),
        ("**Run!** she shouted, and he ran ***fast.***", ""),
        ("**Fog** and **bells**", ""),
        ("****", ""),
        ("The Fog", ""),
    ],
)
def test_a_title_is_a_heading_or_one_bold_line(line: str, title: str) -> None:
    assert title_in(line) == title

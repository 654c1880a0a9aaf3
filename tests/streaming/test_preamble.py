"""What a model says around its story is told from the story's own words, however it is cut."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.events import AnswerEvent, Chunk, Finish
from polaris_cli.streaming.preamble import is_word_count, preamble_in, without_preamble

PREAMBLES = [
    "Sure! Here is a 500-word story:",
    "Sure, here's a story about a fox who finds a key:",
    "Certainly! Here's a short story for you.",
    "Of course! I'd be happy to write a story for you.",
    "Here is a 500-word story about two sisters and a violin:",
    "**Here's a story of approximately 800 words:**",
    "Here's the story you requested:",
    "Below is a 1,200-word tale based on your prompt:",
    "Okay, here is the next chapter:",
    "Absolutely! Here's a scene that takes place in a lighthouse:",
    "I'd be happy to help you with a story about the sea!",
    "Great! Here is the story.",
]
STORIES = [
    "Sure, said the king",
    "Sure, said the king, and sat down.",
    "Here is the house where I was born.",
    "Here is the house where the story began:",
    "Here is the story of my life:",
    "Here is the story as my grandmother told it.",
    "Here's how the story goes, said the old man:",
    "Here is the tale of the fox and the hen:",
    "“Sure! Here is a story,” said Tom.",
    "Certainly it was raining when she arrived.",
    "Of course the story was a lie.",
    "Of course, nobody believed the tale that the sailor told.",
    "Okay was the first word that the machine learned.",
    "Great was the joy in the village when the rain came.",
    "Great stories begin with a door.",
    "I am the last of the lighthouse keepers.",
    "I can write a story with my eyes closed, the boy thought.",
    "I'd love to say that it ended well.",
    "I'll tell you a story, the old woman said.",
    "I will write this down before I forget.",
    "I would be happy to die here, he told her.",
    "Below is the sea, and above it the story of the wind.",
    "Alright, the captain said, here is the plan.",
    "Got it, thought Mara, and closed the book.",
    "Sure as the tide, he came back each spring.",
    "Sure enough, there was a letter in the box.",
    "Here are the things they carried: a lamp, a rope, a letter.",
    "Here goes nothing, she thought, and jumped.",
    "The following is a true story.",
    "# Here is the House",
    "Title: The Fox",
    "Dear Anna,",
    "Chapter 1",
    "In 500 words, the law changed everything.",
    "Once upon a time there was a story.",
    "Okay.",
    "Great!",
    "Of course.",
    "I'll try to write down what happened the night the lighthouse went dark.",
    "I would love to help you find him, but the sea keeps its own counsel.",
    "I'd be happy to share my bread with the fox, if the fox were not so proud.",
    "I am happy to write that the winter is over, dear sister.",
    "Here is the true story of what happened at the lighthouse:",
    "Here are the last words of the chapter my father never finished:",
    "Here is the story about my mother:",
    "Great! I am happy for you.",
    "Of course, I am glad you came home to me at last.",
    "Here is the piece of bread I promised for you.",
]


@pytest.mark.parametrize("line", PREAMBLES)
def test_a_preamble_is_found(line: str) -> None:
    assert preamble_in(line)


@pytest.mark.parametrize("line", STORIES)
def test_a_story_may_begin_so(line: str) -> None:
    assert not preamble_in(line)


def test_no_opening_of_smollm2_is_a_preamble() -> None:
    """First lines of 80 of its stories, drawn by seed, each with whatever it began with."""
    lines = (Path(__file__).parent / "data" / "openings.txt").read_text("utf-8").splitlines()
    assert len(lines) == 80
    assert not [line for line in lines if preamble_in(line)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(Word count: 512)", True),
        ("**Word Count: 1,204 words**", True),
        ("---\n\n[512 words]", True),
        ("Approximate word count: about 500", True),
        ("Total word count: 498 words.", True),
        ("~500 words", True),
        ("Five hundred words were not enough.", False),
        ("She wrote 500 words that night, and no more.", False),
        ("The end.", False),
        ("", False),
    ],
)
def test_a_word_count_is_found(text: str, found: bool) -> None:
    assert is_word_count(text) == found


def split(text: str, cuts: list[int]) -> list[AnswerEvent]:
    edges = [0, *sorted(cuts), len(text)]
    chunks = [Chunk("story", text[a:b], 1, (n,)) for n, (a, b) in enumerate(pairwise(edges))]
    thinking = Chunk("thinking", "plan", 1, (99,))
    return list(without_preamble(iter([thinking, *chunks, Finish("stop")])))


def text(events: list[AnswerEvent], kind: str) -> str:
    return "".join(
        event.text for event in events if isinstance(event, Chunk) and event.kind == kind
    )


CASES = [
    ("Sure! Here is a 500-word story:\n\nOnce upon a time", "Once upon a time"),
    ("Sure!\n\nHere is a 500-word story:\n\n---\n\n# Fox\n\nOnce", "# Fox\n\nOnce"),
    ("\n\nCertainly! Here's a story:\n**The Fox**\n\nOnce", "**The Fox**\n\nOnce"),
    ("Sure, said the king.\n\nHe sat down.", "Sure, said the king.\n\nHe sat down."),
    ("Here is the house where\nhe lived.", "Here is the house where\nhe lived."),
    ("---\n\nOnce.", "---\n\nOnce."),
    ("  Once\n\nSure! Here is a story:\n\nTwice", "  Once\n\nSure! Here is a story:\n\nTwice"),
    ("Sure", "Sure"),
    ("Okay.\n\nThe sea was calm.", "Okay.\n\nThe sea was calm."),
    ("Here's a 20-word story for you: The fox ran.\n\nIt slept.", "The fox ran.\n\nIt slept."),
    ("Sure! Here is a story. The fox: red.\nIt ran.", "The fox: red.\nIt ran."),
    ("**Here is a 60-word story:** The fox ran!\n", "The fox ran!\n"),
    ("Great!\n\n---\n\nIt rained.", "Great!\n\n---\n\nIt rained."),
    ("", ""),
]


@pytest.mark.parametrize(("whole", "story"), CASES)
@given(data=st.data())
def test_every_cut_gives_the_same_story(whole: str, story: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=8))
    events = split(whole, cuts)
    assert text(events, "story").lstrip("\n") == story.lstrip("\n")
    assert text(events, "aside") + text(events, "story") == whole
    ids = [id_ for event in events if isinstance(event, Chunk) for id_ in event.ids]
    assert ids == [99, *range(len(cuts) + 1)]
    assert isinstance(events[-1], Finish)


@given(st.lists(st.sampled_from([*"abc.\n -", "Sure!", "Here is a", " story", ":", "500-word"])))
def test_nothing_is_lost(parts: list[str]) -> None:
    whole = "".join(parts)
    events = split(whole, [sum(map(len, parts[:n])) for n in range(1, len(parts))])
    assert text(events, "aside") + text(events, "story") == whole


def test_the_story_streams_as_soon_as_it_is_no_preamble() -> None:
    chunks = [Chunk("story", "Once", 1, (1,)), Chunk("story", " upon", 1, (2,))]
    source: Iterator[AnswerEvent] = iter([*chunks, Finish("stop")])
    stream = without_preamble(source)
    assert next(stream) == Chunk("story", "Once", 1, (1,))
    assert len(list(source)) == 2  # nothing more was read


def test_held_text_comes_out_when_the_stream_breaks() -> None:
    def broken() -> Iterator[AnswerEvent]:
        yield Chunk("story", "Sure", 1, (1,))
        raise KeyboardInterrupt

    stream = without_preamble(broken())
    assert next(stream) == Chunk("story", "Sure", 1, (1,))
    with pytest.raises(KeyboardInterrupt):
        next(stream)


BODY = "\n\nThe fox ran into the storm.\n"
OF_THE_CHAPTER = [
    "## Chapter 2: The Storm",
    "**Chapter Two: The Storm**",
    "Chapter 2",
    "Chapter 2: The Storm",
    "# The Storm",
    "The Storm",
    "**The Storm.**",
    "2. The Storm",
    "“The Storm”",
    "Title: The Storm",
    "**Kapitel 2**",
    "第二章：灯塔",
    "제2장 등대",
    "## Chapter 2\n\n### The Storm",
    "Sure! Here is chapter 2:\n\n## The Storm",
]
OF_THE_STORY = [
    "The storm came at noon.",
    "**Bang!**",
    "#",
    "* * *",
    "“Chapter two,” she read.",
    "Chapter 2 was the one that she liked best.",
    "2. It was the second of May.",
    "第二章是她最喜欢的。",
]


def dropped(text: str, title: str | None) -> tuple[str, str]:
    """What of a text is set aside, and what is story, if it comes letter by letter."""
    chunks: list[AnswerEvent] = [Chunk("story", letter, 1, (ord(letter),)) for letter in text]
    events = [*without_preamble(iter(chunks), title)]
    assert [id_ for each in events if isinstance(each, Chunk) for id_ in each.ids] == [
        *map(ord, text)
    ]
    aside, story = (
        "".join(each.text for each in events if isinstance(each, Chunk) and each.kind == kind)
        for kind in ("aside", "story")
    )
    return aside, story


@pytest.mark.parametrize("line", OF_THE_CHAPTER)
def test_a_heading_by_the_model_is_no_second_one(line: str) -> None:
    assert dropped(line + BODY, "The Storm") == (f"{line}\n\n", BODY.lstrip("\n"))
    assert not dropped(line + BODY, None)[0] or line.startswith("Sure")


@pytest.mark.parametrize("line", OF_THE_STORY)
def test_a_chapter_may_begin_so(line: str) -> None:
    assert dropped(line + BODY, "The Storm") == ("", line + BODY)


def test_a_part_without_a_title_has_no_heading_either() -> None:
    assert (
        dropped(f"Title: Fog{BODY}", "")[1] == dropped(f"## Fog{BODY}", "")[1] == BODY.lstrip("\n")
    )
    assert dropped(f"Fog{BODY}", "") == ("", f"Fog{BODY}")

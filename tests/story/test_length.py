"""What both ways of reaching a length go by: where a chapter closes, how words are shared out."""

import pytest

from polaris_cli.events import Chapter, Chunk, Event, Finish
from polaris_cli.story.length import (
    MAX_CORRECTION,
    MIN_SCENE_WORDS,
    QUOTATION_WORDS,
    LengthTarget,
    Pace,
    close_at,
    closes,
    most_missing,
    place_for_ending,
    place_nearer,
    place_of_overrun,
    words_for_ending,
)
from tests.scripts import text_of


def closed(paragraph: float, sentence: float = 1000) -> list[Event]:
    """A chapter of two paragraphs, of three words and of one, closed after so many words."""
    pieces = ("One two", " three.", "\n", "\n", "Four.")
    return list(
        close_at((Chunk("story", piece) for piece in pieces), LengthTarget(paragraph, sentence))
    )


def test_a_chapter_closes_at_the_end_of_the_paragraph_that_has_its_words() -> None:
    assert closed(3) == [*closed(4)[:-1], Finish("stop", closed=True)]
    assert text_of(closed(4)) == "One two three.\n\nFour."


def test_a_break_within_a_piece_is_one_too() -> None:
    pieces = [Chunk("story", "One.\n\n"), Chunk("story", "Two.")]
    assert list(close_at(iter(pieces), LengthTarget(1, 9))) == [
        pieces[0],
        Finish("stop", closed=True),
    ]


def told(*pieces: str) -> str:
    """What is told of a text that is too long from its second word on."""
    chunks = (Chunk("story", piece) for piece in pieces)
    events = list(close_at(chunks, LengthTarget(1, 2)))
    assert events[-1] == Finish("stop", closed=True) or text_of(events) == "".join(pieces)
    return text_of(events)


@pytest.mark.parametrize("end", ["。", "！」", "？！", "؟", "।", "。”", "……。"])
def test_a_sentence_of_any_script_ends_a_text_that_is_too_long(end: str) -> None:
    assert told("狐狸睡", *end, "狐", "狸") == f"狐狸睡{end}"


@pytest.mark.parametrize("end", [".", "?!", "…", ".«", '."', ".’", ".)", ".*"])
def test_a_sentence_ends_where_a_new_word_begins(end: str) -> None:
    assert told("It", " slept", *end, " A", " fox") == f"It slept{end}"
    assert told("It", " slept", *end, " ", "A") == f"It slept{end}"
    assert told("It slept", f"{end}\n", "A") == f"It slept{end}\n"


@pytest.mark.parametrize(
    "pieces",
    [
        ("It has", " 3", ".", "5", " legs"),
        ("It met", " Mr", ".", " Fox"),
        ("It met", " Mrs", ".", " Fox"),
        ("It met", " J", ".", " Fox"),
        ("See foxes", ".", "example", " too"),
        ("It left", "."),
        ("It left", ".", '"'),
    ],
)
def test_a_point_within_a_number_or_a_name_ends_nothing(pieces: tuple[str, ...]) -> None:
    assert told(*pieces) == "".join(pieces)


@pytest.mark.parametrize(
    ("start", "end"),
    [('He said, "', '."'), ("He said, “", ".”"), ("Er sagte: „", ".“"), ("Il dit : « ", ". »")],
)
def test_a_text_does_not_end_within_a_quotation(start: str, end: str) -> None:
    pieces = (start, "I slept", ".", " Then", " I woke", end, " She", " left", ".", " Then")
    assert told(*pieces) == f"{start}I slept. Then I woke{end}"
    unclosed = told(start, "I slept", *[".", " And then I woke"] * 9)
    assert unclosed.endswith("woke.") and QUOTATION_WORDS < len(unclosed.split()) - 2 < 24
    assert told(f"{start}I slept.\n\n", "Then", " I woke") == f"{start}I slept.\n\n"


@pytest.mark.parametrize(
    "paragraph",
    [
        'It slept."',
        'a 5" nail.',
        "Er schlief.“",
        "»Ich«, sagte er.",
        "Il dort. »",
        '"Go," he said.',
    ],
)
def test_a_mark_that_closes_or_measures_opens_no_quotation(paragraph: str) -> None:
    assert closes(paragraph, " Then", 0) and not closes(paragraph, " Then", -1)


@pytest.mark.parametrize("paragraph", ["»Ich schlief.", "「走吧。", "他说：“走吧。", '—"Go.'])
def test_a_quotation_may_open_in_any_language(paragraph: str) -> None:
    assert not closes(paragraph, " Then", 0)


def test_some_words_are_always_left() -> None:
    """Enough for the last chapter to come to its end: half an even share."""
    pace = Pace(300, 3, 1000)
    pace.record(100, 120)
    assert pace.remaining == 180
    pace.record(100, 400)
    assert pace.remaining == 50
    assert Pace(1, 3, 1000).remaining == 1


def test_words_are_shared_out_over_the_chapters_that_are_left() -> None:
    chapters = [Chapter("A", 100, "a"), Chapter("B", 300, "b")]
    pace = Pace(800, 2, 1000)
    assert pace.share(chapters) == 200
    pace.record(200, 250)
    assert pace.share(chapters[1:]) == 550
    pace.record(550, 700)
    assert pace.share(chapters[1:]) == MIN_SCENE_WORDS


def test_what_was_delivered_corrects_the_next_ask_within_limits() -> None:
    pace = Pace(10_000, 10, 1000)
    assert pace.words_to_request(400) == 400
    pace.record(400, 0)  # tells nothing of how long its chapters become
    assert pace.words_to_request(400) == 400
    pace.record(400, 1000)
    assert pace.words_to_request(400) == 320
    assert pace.words_to_request(10) == MIN_SCENE_WORDS
    terse = Pace(10_000, 10, 1000)
    terse.record(1000, 10)
    assert terse.words_to_request(400) == round(400 * MAX_CORRECTION)
    assert terse.words_to_request(900) == 1000  # the most that the model writes well


def test_a_story_ends_within_its_band() -> None:
    def target(band: tuple[float, float], written: int = 0) -> tuple[int, int]:
        found = LengthTarget.of_ending(1000, band, written)
        return round(found.paragraph), round(found.sentence)

    assert target((0.9, 1.1), written=100) == (880, 950)
    assert target((0.5, 2.0)) == (1880, 1950)
    assert target((0.98, 1.02)) == (980, 1000)
    assert target((0.5, 0.8)) == (880, 1000)


def test_a_short_story_leaves_room_for_its_last_sentence() -> None:
    assert LengthTarget.of_ending(150, (0.9, 1.1)) == LengthTarget(135, 150, 150, 135, 165)
    assert LengthTarget.of_ending(200, (0.5, 1.5)) == LengthTarget(270, 285, 200, 100, 300)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("One two three.\n\nFour five. Six seven eight nine ten.", "One two three."),
        ("One two.\n\nThree four. Five six seven eight nine.", "One two.\n\nThree four."),
        ('One two. "Three. Four five six seven eight."', "One two."),
        ("One two. Mr. Three four five six seven.", "One two."),
        ("One two three four five.", ""),
        ("One.\n\nTwo.", "One.\n\nTwo."),
    ],
)
def test_an_ending_follows_a_paragraph_or_a_sentence(text: str, kept: str) -> None:
    assert text[: place_for_ending(text, 4)].rstrip() == kept


@pytest.mark.parametrize(
    ("text", "words", "kept"),
    [
        ("One two three four. Five six seven eight.", 5, "One two three four."),
        ("One two three four. Five six seven eight.", 6, ""),  # as near: the text stays
        ("One two three four. Five six seven eight.", 9, ""),  # too short already
        ("One two. Three four five six seven eight.", 5, ""),  # too few words would be left
        ('One two three. "Four. Five." Six seven eight nine.', 4, 'One two three. "Four. Five."'),
        ('One two three four. "Five six. Seven eight nine."', 5, "One two three four."),
        ("One two three four. Five six seven eight", 5, "One two three four."),
        ("One two three four.", 2, ""),
        ("", 2, ""),
    ],
)
def test_the_last_sentence_is_left_out_if_the_text_is_then_nearer(
    text: str, words: int, kept: str
) -> None:
    for end in ("", "\n\n"):
        found = place_nearer(text + end, LengthTarget(0, 0, words, least=3))
        assert text[:found].rstrip() == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("One two three. Four five six seven.", "One two three."),
        ("One two three. Four five six.", ""),  # within the band
        ("One two three four five. Six seven.", "One two three four five."),
        ("One two. Three. Four five six seven eight.", "One two. Three."),
        ("One two three four five six. Seven.", ""),  # it is too long without it
        ("One two three four five six seven", ""),
        ("", ""),
    ],
)
def test_a_last_sentence_takes_a_text_beyond_its_band(text: str, kept: str) -> None:
    target = LengthTarget(5, 5, 5, least=4, most=6)
    for end in ("", "\n\n"):
        assert text[: place_of_overrun(text + end, target)].rstrip() == kept


def test_parts_are_added_only_as_long_as_each_can_have_a_scene() -> None:
    def needed(words: int, first: int) -> int:
        pace = Pace(words, 1, 1000)
        pace.record(words, first)
        return next(count for count in range(1, 100) if not pace.needs_another(count))

    assert [needed(80, 20), needed(50, 10), needed(100, 15), needed(130, 5)] == [1, 1, 2, 3]
    assert needed(600, 200) == 2 and needed(600, 5) == 12


@pytest.mark.parametrize(
    ("words", "band", "missing"),
    [
        (1000, (0.9, 1.1), 100),
        (1000, (0.98, 1.1), 20),  # half of the shortest scene
        (1000, (0.5, 2.0), 150),
        (1000, (1.0, 1.2), 20),
        (200, (0.9, 1.1), 20),
        (60, (0.9, 1.1), 9),
    ],
)
def test_a_story_may_lack_what_keeps_it_in_its_band(
    words: int, band: tuple[float, float], missing: int
) -> None:
    assert round(most_missing(words, band), 6) == missing


def test_an_ending_is_a_third_of_a_story_at_most() -> None:
    assert [words_for_ending(words) for words in (50, 100, 300, 2_000)] == [0, 35, 105, 120]

"""The guard stops decayed stories soon, and leaves good ones alone.

`data/decay.jsonl.gz` holds stories of SmolLM2-135M: single passes, and stories forced on past their
end. `seen` is the character at which a reader sees the decay (null: none), `parts` are the
characters, tokens and mean surprise of every eight tokens.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.events import Chunk, Event, Finish
from polaris_cli.streaming.decay import guard_decay, length_before_decay
from tests.scripts import paragraph

STOP = Finish("stop")
CAUGHT = 47  # of 61
CAUGHT_WITH_ANY_TALK = 52
DATA = Path(__file__).parent / "data" / "decay.jsonl.gz"
PROSE = (
    "The ferry left at dusk, and Marta stood at the rail until the lamps of the harbour were gone. "
    "She had sold the house, the two fields and the mule. What was left fitted into one bag.\n\n"
    "A boy came by with tea. He looked at her boots and laughed, and she laughed too.\n\n"
)
SEA = ["boats", "nets", "tide", "gulls", "bread"]
SONG = "".join(f"{verb} the {thing}\n" for verb in ("Row", "Mend", "Sing", "Come") for thing in SEA)


def stories() -> list[dict[str, Any]]:
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


STORIES = stories()
DECAYED = [story for story in STORIES if story["seen"] is not None]
GOOD = [story for story in STORIES if story["seen"] is None]


def chunks_of(story: dict[str, Any]) -> list[Chunk]:
    at, chunks = 0, []
    for length, tokens, surprise in story["parts"]:
        text = story["text"][at : at + length]
        chunks.append(Chunk("story", text, tokens, (), (-surprise,) * tokens))
        at += length
    return chunks


def plain(text: str, surprise: float | None = None, kind: str = "story") -> list[Chunk]:
    log_probs = () if surprise is None else (-surprise,)
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    return [
        Chunk("thinking" if kind == "thinking" else "story", piece, 1, (), log_probs)
        for piece in pieces
    ]


def watch(chunks: list[Chunk], *, any_talk: bool = False) -> tuple[str, Event]:
    *passed, finish = guard_decay(iter([*chunks, STOP]), last_talk=any_talk, any_talk=any_talk)
    return "".join(event.text for event in passed if isinstance(event, Chunk)), finish


def decays(text: str) -> bool:
    return watch(plain(text))[1] == Finish("decay")


def caught(story: dict[str, Any], *, any_talk: bool = False) -> bool:
    """Whether a story is stopped within 150 words of where a reader sees the decay."""
    passed, finish = watch(chunks_of(story), any_talk=any_talk)
    late = len(passed.split()) - len(story["text"][: story["seen"]].split())
    return finish == Finish("decay") and -60 <= late <= 150


@pytest.mark.slow
def test_no_good_single_pass_is_stopped() -> None:
    assert len(GOOD) >= 50
    assert [story["text"][:60] for story in GOOD if watch(chunks_of(story))[1] is not STOP] == []


@pytest.mark.slow
def test_most_decayed_stories_are_stopped_within_150_words() -> None:
    assert len(DECAYED) >= 60
    assert sum(map(caught, DECAYED)) >= CAUGHT
    assert sum(caught(story, any_talk=True) for story in DECAYED) >= CAUGHT_WITH_ANY_TALK


def test_the_good_part_ends_before_the_decay_at_a_paragraph() -> None:
    talk = "Thank you for reading.\n\nI hope you enjoyed this story.\n\nHere is chapter 2:\n\n"
    text = PROSE * 4 + talk
    assert decays(text)
    assert length_before_decay(plain(text)) == len((PROSE * 4).rstrip())


def test_the_last_words_count_too() -> None:
    text = PROSE * 4 + "In conclusion, this story is over."
    *_, finish = guard_decay(iter([*plain(text), Finish("stop", 7)]), last_talk=True)
    assert finish == Finish("decay", 7)
    assert length_before_decay(plain(text), last_talk=True) == len((PROSE * 4).rstrip())
    *_, finish = guard_decay(iter([*plain(text), Finish("interrupted")]), last_talk=True)
    assert finish == Finish("interrupted")


def test_a_short_story_may_end_with_talk_but_not_be_all_of_it() -> None:
    def end(text: str) -> Event:
        return list(guard_decay(iter([*plain(text), STOP]), last_talk=True))[-1]

    assert end("It slept.\n\n(Word count: 10)") == Finish("decay")
    assert end("This is the story of a fox. It slept.") is STOP
    assert end("I hope you enjoyed it.\n\nLet me know if you want more.") == Finish("decay")


def test_a_long_paragraph_is_good_up_to_a_sentence() -> None:
    text = (PROSE * 4).replace("\n\n", " ")
    mixed = plain(text, 1.5) + plain("zrk blo " * 100, 4.0)
    assert text[: length_before_decay(mixed)].endswith("too.")


def test_a_long_chinese_paragraph_is_good_up_to_a_sentence() -> None:
    chinese = "".join(chr(0x4E00 + n) if n % 12 else "。" for n in range(1, 600))
    mixed = [*(Chunk("story", sign, 1, (), (-1.5,)) for sign in chinese), *plain("zrk " * 200, 4.0)]
    good = length_before_decay(mixed)
    assert good > 500 and chinese[:good].endswith("。")


def test_all_of_a_good_story_is_good() -> None:
    assert length_before_decay(plain(PROSE * 4, 1.5)) == len(PROSE * 4)


@pytest.mark.parametrize(
    "bad",
    [
        "#love #story #life @anna @ben\n#sea #hope #joy\n",
        "❤️ ✨ 🌉 🍰 ❤️ ✨\n",
        "- a single sentence\n- a short summary\n- a full essay\n" * 4,
        "Thanks.\nWow.\nI do too.\nYou are kind.\n" * 8,
    ],
)
def test_what_is_no_prose_ends_the_story(bad: str) -> None:
    assert not decays(PROSE * 5)
    assert decays(PROSE * 5 + bad)


@pytest.mark.parametrize(
    "told",
    [
        "- salt\n- lamp oil\n- two candles\n- rope\n- bread\n- a new knife\n",
        "1. No lamps.\n2. No dogs.\n3. No songs.\n4. Pay first.\n5. Knock.\n6. No mules.\n",
        SONG,
        "Ben: On my way ❤️\nAnn: Bring tea ☺\nBen: Yes ✨\nAnn: And cake 🍰\n",
        "She took it all (nothing else was left) and ran (evening had come) (everything but the "
        "rind) down to the sea (something thin) and back (being late).\n",
    ],
    ids=["shopping list", "rules", "song", "messages", "brackets"],
)
def test_what_a_story_may_hold_does_not_end_it(told: str) -> None:
    assert not decays(f"{paragraph('a', 250)}\n\n{told}\n{paragraph('b', 60)}")


def test_chinese_paragraphs_are_no_fragments() -> None:
    line = "".join(chr(0x4E00 + n) for n in range(59)) + "。\n"
    assert not decays("“" + line[:30] + "”\n" + line * 40)


def test_a_scene_break_of_ornaments_is_no_emoji() -> None:
    assert not decays((PROSE + "✦ ✦ ✦\n\n") * 5)


def test_an_essay_may_speak_of_itself_and_to_its_reader() -> None:
    text = PROSE * 4 + "In conclusion, the reader is left alone. This essay explores why.\n\n" * 4
    assert decays(text)
    assert list(guard_decay(iter([*plain(text), STOP]), narrative=False))[-1] is STOP


def test_a_later_part_is_compared_with_the_beginning_of_the_story() -> None:
    start, gibberish = plain(PROSE * 4, 1.0), plain(PROSE * 4, 2.7)
    assert list(guard_decay(iter([*gibberish, STOP])))[-1] is STOP
    assert list(guard_decay(iter([*gibberish, STOP]), start))[-1] == Finish("decay")
    assert length_before_decay(gibberish, start) == 0


def test_verse_may_stay_verse_and_speech_may_be_short() -> None:
    assert not decays(
        "The rain came down,\nthe gate was shut,\nno light in town,\nno path, no rut.\n" * 9
    )
    assert not decays(PROSE * 5 + '"No," he said.\n"Yes."\n' * 15)


def test_a_story_to_a_reader_or_about_a_writer_goes_on() -> None:
    second = (
        "You open the door, and your hand shakes. You know this room, and you know your place.\n\n"
    )
    writer = "Her chapter was late again. The story had no ending, and the novel had no title.\n\n"
    assert not decays(second * 20)
    assert not decays(writer * 20)


def test_people_in_a_story_may_tell_tales() -> None:
    told = (
        "Kael had stories of the sea, tales of the north, and stories that nobody believed. The "
        "boy knew all these stories and tales by heart. "
    )
    assert not decays(f"{paragraph('a', 450)}\n\n{told}{paragraph('b', 20)} {told}")


MORAL = (
    "This story is for everyone who is afraid, and if you are, you should carry it on. People can "
    "change this world, or they can let it be. You must be kind to others, as every tale can be a "
    "light. "
)


def test_a_story_that_is_no_longer_told_has_decayed() -> None:
    story = PROSE * 5
    assert decays(story + MORAL * 3)
    assert not decays(story + MORAL), "a story may end like that"
    assert not decays(MORAL * 6), "it begins like that"
    end = length_before_decay(plain(story + MORAL * 3))
    assert len(story) - 40 <= end <= len(story) + 40


def test_a_scene_in_the_present_is_told_and_so_is_general_speech() -> None:
    now = (
        "I am old now, and the house is mine. The stairs are steep, and there's snow on the sill. "
        "I have the kettle, the cat and a chair that is too low. It's quiet. The boats are out. "
    )
    speech = f'"{MORAL.strip()}"\n\nShe nodded.\n\n'
    assert not decays(PROSE * 5 + now * 6)
    assert not decays(PROSE * 5 + speech * 4)


@pytest.mark.parametrize(
    ("surprise", "ends"), [(0.4, True), (1.0, False), (2.0, False), (3.5, True)]
)
def test_surprise_far_from_the_beginning_ends_the_story(surprise: float, ends: bool) -> None:
    chunks = plain(PROSE * 4, 1.5) + plain(PROSE * 4, surprise)
    assert (watch(chunks)[1] == Finish("decay")) is ends


def test_a_model_that_is_always_sure_is_not_in_a_rut() -> None:
    assert watch(plain(PROSE * 8, 0.3))[1] is STOP


def test_thinking_is_ignored() -> None:
    assert watch(plain("#a #b #c #d #e\n" * 90, 5.0, "thinking"))[1] is STOP


def test_the_source_is_closed() -> None:
    closed = []

    def source() -> Iterator[Event]:
        try:
            yield from plain(PROSE * 5 + "#a #b #c #d #e #f\n" * 50)
        finally:
            closed.append(True)

    assert list(guard_decay(source()))[-1] == Finish("decay")
    assert closed == [True]


@given(st.text(max_size=400), st.floats(0, 9))
def test_any_text_is_read(text: str, surprise: float) -> None:
    chunks = plain(text * 3, surprise)
    assert 0 <= length_before_decay(chunks) <= len(text * 3)
    assert watch(chunks)[0] in text * 3


RUT = (
    "He smiled at them again, and smiled at himself, and smiled at himself again after a while. "
    "He smiled at himself again, and smiled at his own reflection outside of his window, but it "
    "wasn't his reflection. It was himself, and he smiled at himself again, so happy that he could "
    "say anything. He smiled at himself several times, and smiled at himself again. His family had "
    "been watching him, but he hadn't told anyone about his family because he couldn't tell anyone "
    "about himself. He smiled at himself once more, and smiled down at himself two times until "
    "finally he smiled down at himself once last time, and smiled back at himself again. "
)


def test_phrases_that_come_again_and_again_are_a_rut() -> None:
    assert decays(f"{GOOD[0]['text'][:1500]}\n\n{RUT}")


def test_a_litany_that_begins_as_one_goes_on() -> None:
    assert not decays(RUT + RUT.replace("himself", "herself"))


REFRAIN = """“Who will help me {} the wheat?” asked the little red hen.

“Not I,” said the cat. “Not I,” said the goose. “Not I,” said the rat.

“Then I will do it myself,” said the little red hen, and she did."""


def test_a_refrain_is_no_rut() -> None:
    refrains = "\n\n".join(REFRAIN.format(verb) for verb in ("plant", "cut", "carry", "grind"))
    assert not decays(f"{GOOD[0]['text'][:1200]}\n\n{refrains}")


@pytest.mark.parametrize("line", ["Title: The Fox", "**Title: The Fox**", "# Title: The Story"])
def test_a_title_is_no_talk_about_the_text(line: str) -> None:
    events: list[Event] = [*plain(f"{line}\n\n{PROSE}"), STOP]
    assert [*guard_decay(iter(events), last_talk=True)][-1] == STOP


DIALOGUE = """- Dziadku, dlaczego morze jest słone? - zapytała Hania.
- Nie wiem. - Dziadek wzruszył ramionami.
- Przecież mówiłeś, że wiesz!
- Kiedyś wiedziałem.
- I zapomniałeś?
- Tak. - Westchnął.
- To smutne.
- Nie bardzo. - Uśmiechnął się.
"""
PODCAST = "HOST: (laughing) Go on. MARA: (sighing softly) I said no, and then I went.\n\n"


def test_speech_behind_hyphens_is_no_list() -> None:
    assert not decays(PROSE * 4 + DIALOGUE)
    replies = "".join(f"- Wiem {word}.\n" for word in paragraph("a", 20).split())
    assert not decays(f"{paragraph('b', 250)}\n\n{replies}")


def test_a_chat_may_have_emojis_from_its_first_line() -> None:
    line = "Ann: I am at the harbour ☺ and the ferry is late ✨\n\n"
    assert not decays((line + PROSE) * 4)


@pytest.mark.parametrize("text", [PODCAST * 3, "- It is long\n- It is sad\n" * 7])
def test_a_podcast_has_directions_and_a_review_may_have_a_list(text: str) -> None:
    events: list[Event] = [*plain(PROSE * 4 + text), STOP]
    assert list(guard_decay(iter(events), narrative=False))[-1] is STOP
    assert decays(PROSE * 4 + text)

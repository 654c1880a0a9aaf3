"""The guard stops loops of every kind, soon, and leaves alone what people write on purpose."""

import random
import time
from collections.abc import Iterator
from itertools import cycle, islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris_cli.events import Chunk, Finish, Kind
from polaris_cli.streaming import loops
from polaris_cli.streaming.loops import guard_loops, length_before_loop
from polaris_cli.words import count_words

STOP = Finish("stop", prompt_tokens=3)


def chunks(text: str, kind: Kind = "story", size: int = 5) -> Iterator[Chunk | Finish]:
    for start in range(0, len(text), size):
        yield Chunk(kind, text[start : start + size], 1)
    yield STOP


def watch(text: str, kind: Kind = "story", size: int = 5) -> tuple[str, Finish]:
    *passed, finish = guard_loops(chunks(text, kind, size))
    assert isinstance(finish, Finish)
    return "".join(chunk.text for chunk in passed if isinstance(chunk, Chunk)), finish


def passes(text: str) -> bool:
    return watch(text, "story")[1] is STOP and watch(text, "thinking")[1] is STOP


# --- what people write ---------------------------------------------------------------------------

CHORUS = """Roll on, roll on, you grey old sea,
Bring home the boat, bring home to me
The lad who laughed, the lad who swore
He would not leave me any more.
"""
VERSES = [
    """In {month} we mended all the nets,
And {she} kept count of all our debts,
The {bird}s came screaming down the quay
As if they knew what was to be.
""",
    """The {month} fog lay on the town,
Old {she} put her needle down,
A {bird} flew in and would not go;
That is the way that women know.
""",
    """They rang the bell in {month} rain,
Said {she}, "You'll not hear that again",
One {bird} was calling, one replied,
And all went slack with evening tide.
""",
]
FILLS = [
    {"month": month, "she": she, "bird": bird}
    for month, she, bird in zip(
        ["March", "June", "August", "October", "winter", "April"],
        ["Nan", "Mother", "Ruth", "Annie", "Bess", "Kate"],
        ["gull", "tern", "curlew", "crow", "wren", "gannet"],
        strict=True,
    )
]
SONG = "\n".join(
    verse.format(**fill) + "\n" + CHORUS for verse, fill in zip(cycle(VERSES), FILLS, strict=False)
)
FADING = SONG + "\n" + "\n".join([CHORUS] * 5)

REMEMBERED = """the smell of tar on the slipway|my brother's hands|the year the well ran dry
the red coat nobody wanted|how the stairs complained at night|Sunday, and the silence after it
the letters tied with kitchen string|a dog called Admiral|the taste of snow
the first lie I told and got away with|your name on a list|a song with no words left
the clock that was always ten minutes fast|her laugh, mostly|the train we did not take
the blue door, and the other blue door|peeling oranges in one long curl|the war on the radio
learning to whistle|the day I forgot how|every step of that road|nothing before the fire"""
LITANY = "\n".join(f"I remember {what}." for what in REMEMBERED.replace("\n", "|").split("|"))

SAINTS = [
    first + second
    for first in ("Hanna", "Odo", "Brigh", "Ivo", "Melor", "Una")
    for second in ("ford", "ric", "well", "mund", "burn", "thane", "lyn")
]
CALLS = "\n".join(f"{saint},\nstand beside us." for saint in SAINTS)
ANSWERS = "\n".join(f"Saint {saint}, pray for us." for saint in SAINTS)

NUMBERS = [
    "Twelve",
    "Eleven",
    "Ten",
    "Nine",
    "Eight",
    "Seven",
    "Six",
    "Five",
    "Four",
    "Three",
    "Two",
]
COUNTING = "\n\n".join(
    f"{n} small candles burning on the sill,\n{n} small candles burning, burning still;\n"
    f"In comes the wind and he blows as he will,\n{m} small candles burning on the sill."
    for n, m in pairwise(NUMBERS)
)
COUNTING_IN_DIGITS = "\n\n".join(
    f"{n} geese went over the frozen mere,\n{n} geese went over;\nOne fell behind and it landed "
    f"here,\n{n - 1} geese went over."
    for n in range(14, 0, -1)
)

LINKS = [
    "gate",
    "key",
    "child",
    "aunt",
    "letter",
    "clerk",
    "king",
    "crown",
    "thief",
    "moon",
    "cloud",
]
LINKS += ["wind", "mill", "stream", "pike", "heron", "reed", "piper", "tune", "well"]
VERBS = ["opened", "carried", "sent for", "paid", "weighed on", "lit", "hid", "feared"]
TAILS = [
    f"the {b} that {verb} the {a}"
    for (a, b), verb in zip(pairwise(LINKS), cycle(VERBS), strict=False)
]
CUMULATIVE = "\n\n".join(
    "This is " + ",\nand this is ".join(reversed(TAILS[:n])) + "." for n in range(1, len(TAILS) + 1)
)

A, B = "The lamp goes out and no one lights it more.", "I keep the hour my mother used to keep."
MIDDLES = [
    "a hand that rests against the door",
    "the tide that talks in someone's sleep",
    "a name that no one said before",
    "the stair too narrow and too steep",
    "the sand that drifts across the floor",
    "a promise that was never cheap",
]
VILLANELLE = "\n".join(
    f"{a}\nAnd what remains is {middle}.\n{b}\n"
    for middle, (a, b) in zip(
        MIDDLES, cycle([(A, B), ("So then.", A), ("So now.", B)]), strict=False
    )
)

ASKED = [
    "Are you coming",
    "Did you eat",
    "Is it late",
    "Will you stay",
    "Have you heard",
    "Was it you",
]
REPLIED = ["Not yet", "Yes", "No", "Perhaps", "You know I did", "Ask the sea", "Why", "Never again"]
DIALOGUE = "\n\n".join(
    f'"{asked}?" he said. "Or is it {what}?"\n\n"{replied}," she said.'
    for asked, replied, what in zip(
        cycle(ASKED), cycle(REPLIED), REMEMBERED.replace("\n", "|").split("|"), strict=False
    )
)

SHOPPING = "Shopping:\n" + "\n".join(
    f"- {n} {what}"
    for n, what in zip(
        cycle([2, 1, 6, "some", "a bag of", "1 tin of"]),
        """eggs;flour;apples;butter;rice;beans;milk;milk;candles;string;onions;tea;salt;pepper;oats
        honey;soap;matches;bread;bread rolls;lemons;a lemon;lamp oil;nails;cat food;jam""".replace(
            "\n", ";"
        ).split(";"),
        strict=False,
    )
)
NUMBERED = "\n".join(
    f"{n}. {what.capitalize()}"
    for n, what in enumerate(REMEMBERED.replace("\n", "|").split("|") * 2, 1)
)
TABLE = "| Day | Fish | Hours | Wind |\n|---|---|---|---|\n" + "\n".join(
    f"| {day} | {day * 7 % 23} | {day * 5 % 12} | {day % 9} |" for day in range(1, 41)
)

CHINESE = "".join(
    f"{who}走到{where},看见{what}。“{says}?”{who}问。没有人回答,只有{sound}的声音。\n"
    for who, where, what, says, sound in zip(
        cycle(["老人", "女孩", "船长"]),
        cycle(["河边", "灯塔下", "旧桥上", "码头", "集市里"]),
        ["一封信", "空船", "断了的绳子", "两只鞋", "火光", "鸟群", "脚印", "门", "雾", "钟", "伞"],
        ["谁来过", "你听见了吗", "还要等多久", "这是谁的"] * 3,
        cycle(["风", "水", "雨", "远处的狗"]), strict=False)
)  # fmt: skip

LAUGHTER = "He read it twice. " + "Ha " * 30 + "he went, and wiped his eyes. " + "Nooooooo" * 4
RULES = "One.\n\n" + "-" * 100 + "\n\nTwo.\n\n" + "* * *\n\n" * 12 + "=" * 100 + "\n" * 30
COUNTED = "Let me count the words: " + " ".join(
    f"{word}({n})" for n, word in enumerate(LITANY.split(), 1)
)
DRAFTS = "\n\n".join(f"Draft {n}:\n{VERSES[0].format(**FILLS[0])}" for n in range(1, 5))


def long_story(words: int, seed: int = 1) -> str:
    """Repetitive fiction: few templates, few names, over and over, but never in a circle."""
    pick = random.Random(seed)
    names, places = (
        ["Mara", "Old Tom", "the keeper", "Ines"],
        ["harbour", "tower", "kitchen", "cove"],
    )
    things = ["a letter", "the lamp", "a coil of rope", "the ledger", "her coat", "a cup of tea"]
    verbs = ["carried", "lost", "looked for", "put down", "remembered", "would not touch"]
    ends = [
        "and said nothing.",
        "as if it mattered.",
        "before the tide turned.",
        "again.",
        "while the rain went on.",
        "for the last time that year.",
        "and then laughed.",
    ]
    shapes = [
        "{n} {v} {t} in the {p} {e}",
        '"You {v} {t}," said {n}. "Not I," said {m}.',
        "In the {p}, {n} waited for {m} {e}",
        "{n} had always {v} {t}; {m} never had.",
        "It was late when {n} came down to the {p} {e}",
        "The {p} was empty. {n} {v} {t} {e}",
    ]
    parts: list[str] = []
    count = 0
    while count < words:
        n, m = pick.sample(names, 2)
        parts.append(
            pick.choice(shapes).format(
                n=n,
                m=m,
                v=pick.choice(verbs),
                t=pick.choice(things),
                p=pick.choice(places),
                e=pick.choice(ends),
            )
        )
        count += count_words(parts[-1])
        parts.append(pick.choice([" ", " ", "\n\n"]))
    return "".join(parts)


HUMAN = {
    "song": SONG, "fading song": FADING, "litany": LITANY, "calls": CALLS, "answers": ANSWERS,
    "counting rhyme": COUNTING, "counting in digits": COUNTING_IN_DIGITS,
    "cumulative rhyme": CUMULATIVE, "villanelle": VILLANELLE, "dialogue": DIALOGUE,
    "shopping list": SHOPPING, "numbered list": NUMBERED, "table": TABLE, "Chinese": CHINESE,
    "laughter": LAUGHTER, "rules": RULES, "counted words": COUNTED, "drafts": DRAFTS,
    "long story": long_story(10_000),
}  # fmt: skip


@pytest.mark.parametrize("name", HUMAN)
def test_no_alarm(name: str) -> None:
    assert count_words(HUMAN[name]) > 20
    assert passes(HUMAN[name])


@pytest.mark.slow
def test_no_alarm_in_all_of_it_together() -> None:
    each_once = [text for name, text in HUMAN.items() if name != "song"]  # the fading one has it
    assert passes("\n\n".join(each_once * 2))


# --- loops ---------------------------------------------------------------------------------------

SENTENCE = "She looked at the sea and waited for the light to change. "
PASSAGE = long_story(300, seed=5) + "\n\n"
PARAGRAPH = long_story(80, seed=6) + "\n\n"
MIXED = "".join(
    random.Random(3).choices(
        [SENTENCE, "He came back. ", "The wind rose, and the door blew open. "], k=4000
    )
)

LOOPS: dict[str, tuple[str, int]] = {  # the text, and the characters by which it must have ended
    "a sentence": (SENTENCE * 200, 1500),
    "a line": ("And the sea went on.\n" * 200, 1200),
    "a paragraph": (PARAGRAPH * 20, 2400),
    "a passage of 300 words": (PASSAGE * 4, 3 * len(PASSAGE) + 20),
    "the the the": ("the " * 500, 1000),
    "ha ha ha": ("Ha " * 500, 1000),
    "hahaha": ("ha" * 3000, 2000),
    "one letter": ("a" * 5000, 300),
    "line breaks": ("\n" * 600, 300),
    "line breaks with blanks": (" \n\t\n" * 600, 600),
    "blanks": (" " * 5000, 2000),
    "dashes": ("-" * 600, 300),
    "emoji": ("😂" * 600, 300),
    "joined emoji": ("👩🏽\u200d🚀" * 600, 300),
    "numbered steps": (
        "".join(f"Step {n}: open the box, look inside, close it again.\n" for n in range(1, 200)),
        3500,
    ),
    "Chinese": ("他看着大海,等待光的改变。" * 100, 300),
    "Chinese without marks": ("他看着大海等待光的改变" * 100, 300),
    "Japanese": ("彼は海を見ていた。" * 100, 300),
    "Thai": ("เขามองทะเลและรอ" * 300, 2500),
    "sentences in changing order": (MIXED, 14_000),
    "capitals that change": ("the end. The End. THE END. the END. " * 100, 800),
}


@pytest.mark.parametrize("kind", ["thinking", "story"])
@pytest.mark.parametrize("name", LOOPS)
def test_loops_end_soon(name: str, kind: Kind) -> None:
    loop, limit = LOOPS[name]
    good = long_story(200, seed=9) + "\n\n"
    passed, finish = watch(good + loop, kind)
    assert finish == Finish("loop")
    assert passed.startswith(good)
    assert len(good) + limit // 5 < len(passed) < len(good) + limit
    assert (good + loop).startswith(passed)


def test_a_loop_late_in_a_long_story_ends_as_soon_as_an_early_one() -> None:
    good = long_story(10_000)
    passed, finish = watch(good + SENTENCE * 200)
    assert finish == Finish("loop")
    assert len(passed) < len(good) + 1500


@pytest.mark.parametrize("units", [1, 200])
def test_a_copy_ends_the_stream_at_its_full_length_and_after_two_whole_rounds(units: int) -> None:
    """The first round is the original, and three units pass before a copy shows."""
    words = [f"{chr(0x3B1 + n // 20)}{chr(0x3B1 + n % 20)} " for n in range(units)]
    *passed, finish = guard_loops(Chunk("story", word, 1) for word in words * 500)
    assert finish == Finish("loop")
    assert len(passed) == units + 3 + max(loops.COPIED, 2 * units)


def test_a_letter_may_be_held_for_almost_its_limit() -> None:
    most = loops.SAME_LETTER + 8  # the first eight are the original
    assert watch("a" * most + "b" + "c")[1] == Finish("loop")
    assert passes("a" * (most - 1) + "b" + "c")


def test_a_text_is_stale_from_the_exact_share_on() -> None:
    stale = loops._Stale()
    grams = [*((str(n),) for n in range(300)), *[("same",)] * loops.RECENT]
    said = [stale.add(gram) for gram in grams]
    assert said.index(True) == 300 + int(loops.STALE * loops.RECENT) - 1


def test_two_rounds_of_a_passage_are_no_loop_yet() -> None:
    assert passes(PASSAGE * 2 + long_story(400, seed=8))


def test_thinking_and_story_do_not_add_up() -> None:
    half = "the " * 150
    events: list[Chunk | Finish] = [Chunk("thinking", half, 150), Chunk("story", half, 150), STOP]
    assert list(guard_loops(iter(events))) == events


def test_a_story_may_copy_its_draft() -> None:
    draft = long_story(2000, seed=4)
    events = [*chunks(draft, "thinking"), *chunks(draft + draft[:3000], "story")]
    events.remove(STOP)
    assert list(guard_loops(iter(events))) == events


@pytest.mark.parametrize("tokens", [0, 1, 50])
def test_tokens_that_make_no_text_end_it(tokens: int) -> None:
    empty: Iterator[Chunk | Finish] = iter([Chunk("thinking", "", tokens)] * 2000)
    *passed, finish = guard_loops(empty)
    assert finish == Finish("loop")
    assert len(passed) == loops.SILENT // max(1, tokens)


def test_text_between_resets_the_count_of_silent_tokens() -> None:
    events = [Chunk("story", text, 1) for text in long_story(5).split()]
    spaced: list[Chunk | Finish] = [e for c in events for e in (c, *[Chunk("story", "", 1)] * 900)]
    assert list(guard_loops(iter([*spaced, STOP])))[-1] is STOP


@given(st.data(), st.sampled_from(["the ", SENTENCE, "hahaha", "\n", "x" * 30 + " ", "大海"]))
@settings(max_examples=40)
def test_the_place_where_it_ends_does_not_depend_on_the_cut(data: st.DataObject, bit: str) -> None:
    text = (bit * 2500)[:2500]
    exact, _ = watch(text, size=1)
    places = [0, *sorted(data.draw(st.sets(st.integers(1, len(text) - 1)))), len(text)]
    parts = [text[a:b] for a, b in pairwise(places)]
    passed = [
        e for e in guard_loops(Chunk("story", part) for part in parts) if isinstance(e, Chunk)
    ]
    reached = 0
    for part in passed[:-1]:
        reached += len(part.text)
    assert reached < len(exact) <= reached + len(passed[-1].text)


def test_events_pass_through_as_they_are_and_the_finish_comes_last() -> None:
    error = Finish("error")
    events: list[Chunk | Finish] = [
        Chunk("thinking", "a", 1, (1,)),
        Chunk("story", "b", 2, (2, 3)),
        error,
    ]
    assert list(guard_loops(iter([*events, Chunk("story", "never")]))) == events
    assert list(guard_loops(iter(events[:2]))) == events[:2]


def test_the_source_is_closed_when_it_loops_and_when_the_guard_is_closed() -> None:
    closed: list[str] = []

    def source(name: str) -> Iterator[Chunk | Finish]:
        try:
            while True:
                yield Chunk("story", "the ", 1)
        finally:
            closed.append(name)

    for event in guard_loops(source("loop")):
        if isinstance(event, Finish):
            assert closed == ["loop"]
    stream = guard_loops(source("closed"))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert closed == ["loop", "closed"]


def test_it_keeps_little_and_takes_little_time() -> None:
    letters = str.maketrans("0123456789", "abcdefghij")
    words = (f"{number} ".translate(letters) for number in range(40_000))
    begun = time.process_time()
    sizes: list[int] = []
    state = loops._Detector()
    for word in words:
        assert not state.add(Chunk("story", word, 1))
        sizes.append(len(state._cycle._seen) + len(state._stale._count) + len(state._open))
    assert max(sizes) <= loops.WINDOW + loops.RECENT + 20
    assert time.process_time() - begun < 3


def test_an_endless_word_is_not_kept() -> None:
    letters = islice(cycle("abcdefghijklmnopqrstuvwxyzäöü"), 300)
    state = loops._Detector()
    for letter in letters:
        state.add(Chunk("story", letter, 1))
        assert len(state._open) <= 8 + 7


# --- where a loop began

ROUND = " ".join("abcdefghijklmnopqrst") + " "
LONG_ROUND = " ".join(f"w{n}" for n in range(100)) + " "


CHINESE = "".join(chr(0x4E00 + 7 * n) for n in range(200)) + "！\n\n"
CHINESE_ROUND = "他又点了一次灯，又吹灭了它。"
THAI = " ".join(chr(0x0E01 + n % 40) * 3 + chr(0x0E01 + n // 40) * 4 for n in range(200)) + " "
THAI_ROUND = "เขาจุดตะเกียงอีกครั้ง แล้วก็ดับมัน "


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (CHINESE + CHINESE_ROUND * 20, CHINESE + CHINESE_ROUND),
        (THAI + THAI_ROUND * 20, THAI + THAI_ROUND),
        ("one two three " + "la " * 90, "one two three la "),
        ("start " + "a b c d e " * 40, "start a b c d e "),
        ("o " + ROUND * 4, "o " + ROUND),  # copied for just long enough
        ("o " + (ROUND * 4)[1:], "o " + (ROUND * 2)[1:] + "a b c d e f g h "),  # a word too short
        (LONG_ROUND * 2, LONG_ROUND),
        (" ".join(f"w{n}" for n in range(100)), " ".join(f"w{n}" for n in range(60)) + " "),
        ("", ""),
    ],
)
def test_the_length_before_a_loop(text: str, kept: str) -> None:
    assert text[: length_before_loop(text)] == kept

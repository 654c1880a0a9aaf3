"""Thinking and story are told apart the same way however the text is cut and labelled."""

import re
import time
from collections.abc import Iterable, Iterator
from itertools import combinations, groupby, pairwise
from operator import attrgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris_cli.errors import PolarisError
from polaris_cli.events import Chunk, Event, Finish, Kind, Piece, RawEvent
from polaris_cli.streaming.thinking import Splitter, ends_inside, split_thinking

STOP = Finish("stop", prompt_tokens=7)
OPENED = st.sampled_from([True, False, None])
TAGGED = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "<thinking>",
            "</thinking>",
            "<",
            "</",
            "think>",
            "nk>",
            "ing>",
            " ",
            "\n\n",
            "\t",
            "a",
            "Ä",
            "\u3000",
        ]
    ),
    max_size=14,
).map("".join)


def run(events: Iterable[RawEvent], opened: bool | None = False) -> list[Event]:
    return list(split_thinking(iter(events), opened=opened))


def texts(events: Iterable[Event]) -> tuple[str, str]:
    chunks = [event for event in events if isinstance(event, Chunk)]
    thinking, story = (
        "".join(chunk.text for chunk in chunks if chunk.kind == kind)
        for kind in ("thinking", "story")
    )
    return thinking, story


def whole(text: str, opened: bool | None) -> tuple[str, str]:
    return texts(run([Piece(text), STOP], opened))


def cut(text: str, places: Iterable[int], kind: Kind | None = None) -> list[Piece]:
    edges = [0, *sorted(places), len(text)]
    return [Piece(text[a:b], 1, kind, (n,)) for n, (a, b) in enumerate(pairwise(edges))]


CASES: list[tuple[str, bool | None, str, str]] = [
    # opened in the prompt
    ("plan\n</think>\n\nOnce upon", True, "plan", "Once upon"),
    ("\n plan a\n\nplan b </think>Once ", True, "plan a\n\nplan b", "Once "),
    ("\n</think>\n\nOnce", True, "", "Once"),
    ("</think>Once", True, "", "Once"),
    ("<think>\nplan</think>Once", True, "plan", "Once"),
    ("plan <think> more</think>Once", True, "plan <think> more", "Once"),
    ("plan, never closed\n", True, "plan, never closed", ""),
    ("plan </thin", True, "plan </thin", ""),
    ("", True, "", ""),
    # opened by the model
    ("<think>plan</think>Once", False, "plan", "Once"),
    ("\n <think>\nplan\n</think>\n\nOnce\n", False, "plan", "Once\n"),
    ("<think>plan, never closed", False, "plan, never closed", ""),
    ("<think>a</think>\n<think>b</think>\nOnce", False, "a\n\nb", "Once"),
    ("<think></think><think>b", False, "b", ""),
    # with the tags of other models
    ("[THINK]plan[/THINK]Once", False, "plan", "Once"),
    ("plan[/THINK]\n\nOnce", True, "plan", "Once"),
    ("plan[/THINK]Once", None, "plan", "Once"),
    ("<|channel>thought\nplan\n<channel|>Once", False, "plan", "Once"),
    ("<|channel>thought\n<channel|>Once", False, "", "Once"),
    ("[THE END]", False, "", "[THE END]"),
    ("<|channel>final", False, "", "<|channel>final"),
    # not at all
    ("  Once <think>not</think> ", False, "", "  Once <think>not</think> "),
    ("Once </think> more", False, "", "Once </think> more"),
    ("<thinking>plan</thinking>Once", False, "plan", "Once"),
    ("<thinking>plan</think></thinking>Once", False, "plan", "Once"),
    ("<thinking>plan</think>\n\nOnce", True, "plan", "Once"),
    ("<think>plan</thinking></think>Once", False, "plan</thinking>", "Once"),
    ("<thinker> thought", False, "", "<thinker> thought"),
    (" <thi", False, "", " <thi"),
    ("\n\n", False, "", "\n\n"),
    ("a < b", False, "", "a < b"),
    # tags in the story, and closing tags too many
    ("p</think>Once <think>she</think> said", True, "p", "Once <think>she</think> said"),
    ("p</think>\n</think>\n\nOnce", True, "p", "Once"),
    ("</think>\n\nOnce", False, "", "Once"),
    ("p</think> </thi", True, "p", "</thi"),
    ("p</think>Once [THINK]she[/THINK] said", True, "p", "Once [THINK]she[/THINK] said"),
    ("p</think>\n\u3000\u5f7c\u306f", True, "p", "\u3000\u5f7c\u306f"),
    # unknown
    ("plan\n</think>\n\nOnce", None, "plan", "Once"),
    ("<think>plan</think>Once", None, "plan", "Once"),
    ("  Once upon a time. ", None, "", "  Once upon a time. "),
    ("Once, an unfinished </think", None, "", "Once, an unfinished </think"),
    ("a</think><think>b</think>Once", None, "a\n\nb", "Once"),
    ("a <think>b</think>Once", None, "a <think>b", "Once"),
    ("</think>Once", None, "", "Once"),
    ("<thi", None, "", "<thi"),
]


@pytest.mark.parametrize(("text", "opened", "thinking", "story"), CASES)
def test_every_cut_of_every_case(text: str, opened: bool | None, thinking: str, story: str) -> None:
    assert whole(text, opened) == (thinking, story)
    for places in (*combinations(range(len(text) + 1), 1), *combinations(range(len(text) + 1), 2)):
        assert texts(run([*cut(text, places), STOP], opened)) == (thinking, story), places
    assert texts(run([*cut(text, range(1, len(text))), STOP], opened)) == (thinking, story)


@pytest.mark.parametrize(
    ("prompt", "inside"),
    [
        ("assistant\n<think>\n", True),
        ("assistant\n<think>\n\n</think>\n\n", False),
        ("Think so: [THINK]a plan[/THINK]Once [/INST]", False),
        ("[/INST][THINK]", True),
        ("<|turn>model\n<|channel>thought\n<channel|>", False),
        ("<|turn>model\n", False),
    ],
)
def test_a_prompt_may_end_inside_the_thinking(prompt: str, inside: bool) -> None:
    assert ends_inside(prompt) == inside


def by_the_rule(text: str, opened: bool | None) -> tuple[str, str]:
    """The rule of the module, said another way: over the whole text, with regular expressions."""
    space = "[ \t\r\n]*"
    self_opened = re.match(f"{space}</?think(ing)?>", text)
    if opened or (opened is None and not self_opened and "</think>" in text):
        text = "<think>" + text
    blocks: list[str] = []
    front = re.compile(f"{space}(?:</think(?:ing)?>{space}|(?:<think(?:ing)?>{space})+)")
    tagged = False
    while found := front.match(text):
        tagged, text = True, text[found.end() :]
        if "<think" in found[0]:
            last = found[0][found[0].rindex("<") :].strip(" \t\r\n")
            ends = "</think(?:ing)?>" if last == "<thinking>" else "</think>"
            end = re.search(ends, text)
            block = text[: end.start()] if end else text
            closed, text = bool(end), text[end.end() :] if end else ""
            text = text if closed else ""
            blocks.append(block.rstrip(" \t\r\n"))
            if not closed:
                break
    return "\n\n".join(filter(None, blocks)), text.lstrip(" \t\r\n") if tagged else text


@given(TAGGED, OPENED)
@settings(max_examples=200)
def test_the_whole_text_follows_the_rule(text: str, opened: bool | None) -> None:
    assert whole(text, opened) == by_the_rule(text, opened)


@given(st.data(), TAGGED, OPENED)
@settings(max_examples=150)
def test_no_cut_makes_a_difference(data: st.DataObject, text: str, opened: bool | None) -> None:
    places = data.draw(st.lists(st.integers(0, len(text))))
    assert texts(run([*cut(text, places), STOP], opened)) == whole(text, opened)


LABELLED = st.lists(
    st.builds(
        Piece,
        TAGGED,
        st.integers(0, 3),
        st.sampled_from(["thinking", "story", None]),
        st.lists(st.integers(0, 9), max_size=2).map(tuple),
    ),
    max_size=6,
)


@pytest.mark.slow
@given(LABELLED, OPENED, OPENED)
@settings(max_examples=200)
def test_chunks_fed_again_stay_as_they_are(
    pieces: list[Piece], opened: bool | None, opened_again: bool | None
) -> None:
    once = run([*pieces, STOP], opened)
    chunks = [event for event in once if isinstance(event, Chunk)]
    again = [Piece(chunk.text, chunk.tokens, chunk.kind, chunk.ids) for chunk in chunks]
    assert runs(run([*again, STOP], opened_again)) == runs(once)


def runs(events: list[Event]) -> list[tuple[str, str]]:
    """What is said, in order, each stretch of one kind in one."""
    said = [event for event in events if isinstance(event, Chunk) and event.text]
    stretches = groupby(said, key=attrgetter("kind"))
    return [(kind, "".join(chunk.text for chunk in chunks)) for kind, chunks in stretches]


@given(LABELLED, OPENED)
@settings(max_examples=150)
def test_tokens_and_ids_are_kept_and_one_finish_ends(
    pieces: list[Piece], opened: bool | None
) -> None:
    *chunks, finish = run([*pieces, STOP], opened)
    assert finish is STOP
    assert sum(chunk.tokens for chunk in chunks if isinstance(chunk, Chunk)) == sum(
        piece.tokens for piece in pieces
    )
    ids = [i for chunk in chunks if isinstance(chunk, Chunk) for i in chunk.ids]
    assert ids == [i for piece in pieces for i in piece.ids]


@pytest.mark.slow
@given(st.data(), LABELLED, OPENED)
@settings(max_examples=150)
def test_no_cut_of_a_labelled_piece_makes_a_difference(
    data: st.DataObject, pieces: list[Piece], opened: bool | None
) -> None:
    cuts: list[Piece] = []
    for piece in pieces:
        places = data.draw(st.lists(st.integers(0, len(piece.text)), max_size=3))
        cuts += cut(piece.text, places, piece.kind)
    assert texts(run([*cuts, STOP], opened)) == texts(run([*pieces, STOP], opened))


def labelled(*parts: tuple[Kind | None, str], opened: bool | None = True) -> tuple[str, str]:
    return texts(run([*(Piece(text, kind=kind) for kind, text in parts), STOP], opened))


@pytest.mark.parametrize("opened", [True, False, None])
def test_thinking_in_a_field_of_its_own(opened: bool | None) -> None:
    def split(*parts: tuple[Kind | None, str]) -> tuple[str, str]:
        return labelled(*parts, opened=opened)

    assert split(("thinking", "\npl"), ("thinking", "an\n"), ("story", "\n\nOnce")) == (
        "plan",
        "Once",
    )
    assert split(("thinking", "a </think> b"), ("story", "Once")) == ("a </think> b", "Once")
    assert split(("thinking", "plan"), (None, "\nOnce")) == ("plan", "Once")
    assert split(("thinking", "plan"), ("story", "\n</think>\n"), ("story", "Once")) == (
        "plan",
        "Once",
    )
    assert split(("story", "<think>plan</think> Once")) == ("plan", "Once")
    assert split(("story", " Once")) == ("", " Once")
    assert split(("thinking", "plan"), ("story", "On"), ("thinking", "more"), ("story", " ce")) == (
        "plan\n\nmore",
        "On ce",
    )


def test_a_label_ends_thinking_that_no_tag_closed() -> None:
    assert labelled((None, "plan </th"), ("story", "Once")) == ("plan </th", "Once")
    assert labelled((None, "Once </th"), ("story", "e end"), opened=None) == ("", "Once </the end")


def test_text_that_waited_for_a_tag_is_kept_where_a_label_decides() -> None:
    assert labelled((None, "Once"), ("story", " upon"), opened=None) == ("", "Once upon")
    assert labelled((None, "Once"), ("thinking", "plan"), (None, "\nmore"), opened=None) == (
        "plan",
        "Once\nmore",
    )


def test_space_before_labelled_thinking_is_no_story() -> None:
    assert labelled((None, " \n"), ("thinking", "plan"), ("story", "Once"), opened=False) == (
        "plan",
        "Once",
    )


def test_a_tag_at_the_front_goes_on_where_the_label_changes() -> None:
    parts: list[tuple[Kind | None, str]] = [(None, "<thi"), ("story", "nk>plan</think>Once")]
    assert labelled(*parts, opened=False) == ("plan", "Once")
    parts = [("story", "<think>plan "), (None, "more</think>Once")]
    assert labelled(*parts, opened=False) == ("plan more", "Once")


def test_a_label_settles_what_was_unknown() -> None:
    stream = split_thinking(iter([Piece("Once", kind="story"), STOP]), opened=None)
    assert next(stream) == Chunk("story", "Once", 1)
    stream = split_thinking(
        iter([Piece("plan", kind="thinking"), Piece("Once"), STOP]), opened=None
    )
    assert [next(stream) for _ in range(2)] == [
        Chunk("thinking", "plan", 1),
        Chunk("story", "Once", 1),
    ]


def test_the_story_streams_at_once_where_nothing_is_unknown() -> None:
    pieces = [Piece("Once"), Piece(" upon"), Piece(" a < b")]
    assert run(pieces, opened=False) == [
        Chunk("story", "Once", 1),
        Chunk("story", " upon", 1),
        Chunk("story", " a < b", 1),
    ]


def test_text_held_to_the_end_comes_piece_by_piece() -> None:
    *chunks, _ = run([Piece(" "), Piece("Once"), Piece(" upon"), Piece(" </th"), STOP], opened=None)
    said = [(chunk.text, chunk.tokens) for chunk in chunks if isinstance(chunk, Chunk)]
    signs_of_life = [("", 0)] * 3
    assert said == [*signs_of_life, (" ", 4), ("Once", 0), (" upon", 0), (" ", 0), ("</th", 0)]


def test_thinking_streams_at_once_but_for_what_may_be_its_tag() -> None:
    pieces = [Piece("a < b"), Piece(" <"), Piece("c </th"), Piece("e</think>")]
    said = [chunk.text for chunk in run(pieces, opened=True) if isinstance(chunk, Chunk)]
    assert said == ["a < b", "", " <c", " </the"]


@pytest.mark.parametrize("opened", [True, False, None])
def test_it_says_whether_what_comes_next_is_thinking(opened: bool | None) -> None:
    splitter = Splitter(opened)
    inside = [splitter.inside]
    for text in ("<think>", "plan", "</think>", "\n\nOnce"):
        list(splitter.feed(Piece(text)))
        inside.append(splitter.inside)
    assert inside == [bool(opened), True, True, False, False]
    list(splitter.feed(Piece("more", kind="thinking")))
    assert splitter.inside


def test_tokens_of_tags_and_trimmed_space_count_as_thinking_once_it_has_begun() -> None:
    pieces = [
        Piece(t) for t in ("<think>", "\n", "plan", "\n", "</think>", "\n\n", "Once", " upon")
    ]
    *chunks, _ = run([*pieces, STOP])
    tokens = {"thinking": 0, "story": 0}
    for chunk in chunks:
        assert isinstance(chunk, Chunk)
        tokens[chunk.kind] += chunk.tokens
    assert tokens == {"thinking": 6, "story": 2}


def test_each_token_inside_thinking_shows_at_once_even_without_text() -> None:
    stream = split_thinking(iter([Piece("\n"), Piece(""), Piece("</thi")]), opened=True)
    assert [next(stream) for _ in range(3)] == [Chunk("thinking", "", 1)] * 3


def test_a_source_without_finish_gets_none_and_its_held_back_text_is_given_out() -> None:
    assert texts(run([Piece("Once </th")], opened=None)) == ("", "Once </th")
    assert run([], opened=True) == []


def test_nothing_is_read_after_the_finish() -> None:
    assert run([Piece("a"), STOP, Piece("b"), STOP]) == [Chunk("story", "a", 1), STOP]


class Source:
    """A generator that tells whether it was closed, and may fail."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.closed = False
        self._error = error

    def stream(self) -> Iterator[RawEvent]:
        try:
            yield Piece("Once </th")
            if self._error:
                raise self._error
            yield Piece("ere")
            yield STOP
            yield Piece("never read")
        finally:
            self.closed = True


def test_closing_closes_the_source() -> None:
    source = Source()
    raw = source.stream()
    stream = split_thinking(raw, opened=True)
    next(stream)
    assert not source.closed
    stream.close()  # type: ignore[attr-defined]
    assert source.closed


def test_the_source_is_closed_before_the_finish_is_out() -> None:
    source = Source()
    for event in split_thinking(source.stream(), opened=True):
        if isinstance(event, Finish):
            assert source.closed


@pytest.mark.parametrize("error", [PolarisError("gone"), ValueError("odd"), KeyboardInterrupt()])
def test_an_error_goes_on_after_the_text_held_back(error: BaseException) -> None:
    source = Source(error)
    seen: list[Event] = []
    with pytest.raises(type(error)):
        seen.extend(iter(_collecting(split_thinking(source.stream(), opened=None), seen)))
    assert texts(seen) == ("", "Once </th")
    assert source.closed


def _collecting(events: Iterator[Event], seen: list[Event]) -> Iterator[Event]:
    for event in events:
        seen.append(event)
    yield from ()


@pytest.mark.slow
@pytest.mark.parametrize("opened", [True, False, None])
@pytest.mark.parametrize("bit", ["word ", "\n", "<", "</think", "x</think><think>"])
def test_time_grows_with_the_text_alone(bit: str, opened: bool | None) -> None:
    start = time.process_time()
    run([*(Piece(bit) for _ in range(20_000)), STOP], opened)
    assert time.process_time() - start < 1.5

"""What a trial answer says of a server's thinking, and what answers say later."""

from collections.abc import Iterator, Sequence

import pytest

from polaris_cli.engines.endpoint.thinking_marks import ANSWER, ThinkingMarks
from polaris_cli.errors import EndpointError
from polaris_cli.events import Chunk, Finish, Piece, RawEvent
from polaris_cli.request.story_request import Sampling

THINKING, PLAIN = Sampling(), Sampling(thinking=False)
STOP = Finish("stop")

TRIALS: dict[str, tuple[Sequence[RawEvent], bool | None]] = {
    "one word": ([Piece("Yes", 1), Piece(".", 1), STOP], False),
    "tags": ([Piece("<think>", 1), Piece("Hm.</think>Yes.", 1), STOP], None),
    "a closing tag": ([Piece("Hm.</think>Yes.", 1), STOP], None),
    "tags of another kind": ([Piece("[THINK]a[/THINK]Yes", 1), STOP], None),
    "a field": ([Piece("Hm.", 1, "thinking"), Piece("Yes.", 1, "story"), STOP], None),
    "long": ([Piece("a" * (ANSWER + 1), 1), STOP], None),
    "cut off": ([Piece("Hm", 1), Finish("length")], None),
    "nothing": ([Finish("length")], None),
    "white space": ([Piece(" \n", 1), STOP], None),
    "refused": ([Finish("error", error=EndpointError("No.", status=400))], None),
}


@pytest.mark.parametrize(("answer", "opened"), TRIALS.values(), ids=TRIALS)
def test_only_a_short_whole_answer_without_marks_says_that_there_is_no_thinking(
    answer: Sequence[RawEvent], opened: bool | None
) -> None:
    marks = ThinkingMarks(labelled=False)
    marks.learn(iter(answer), THINKING)
    assert marks.opened(THINKING) is opened
    assert marks.opened(PLAIN) is None  # which may be another prompt


def test_a_server_that_breaks_off_is_told_at_once() -> None:
    broken = Finish("error", error=EndpointError("The connection broke off."))
    with pytest.raises(EndpointError, match="broke off"):
        ThinkingMarks(labelled=False).learn(iter([Piece("Ye", 1), broken]), PLAIN)


def test_the_trial_is_read_no_further_than_needed() -> None:
    read = []

    def answer() -> Iterator[RawEvent]:
        for number in range(1000):
            read.append(number)
            yield Piece("thought ", 1)

    ThinkingMarks(labelled=False).learn(answer(), PLAIN)
    assert len(read) < 100


def test_later_answers_are_noted() -> None:
    marks = ThinkingMarks(labelled=False)

    def note(*events: Chunk | Finish) -> bool | None:
        assert [*marks.noting(iter(events), PLAIN)] == [*events]
        return marks.opened(PLAIN)

    assert note(Chunk("story", "Once.", 1), Finish("length")) is None
    assert note(Chunk("story", "Once.", 1), STOP) is False and not marks.thought(PLAIN)
    assert note(Chunk("thinking", "", 0), Chunk("story", "Once.", 1), STOP) is False
    assert note(Chunk("thinking", "Hm.", 1), STOP) is None and marks.thought(PLAIN)
    assert note(Chunk("story", "Once.", 1), STOP) is False and not marks.thought(PLAIN)


def test_a_server_that_labels_the_thinking_needs_no_trial() -> None:
    assert ThinkingMarks(labelled=True).opened(THINKING) is False

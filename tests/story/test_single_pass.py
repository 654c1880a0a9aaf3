"""One pass keeps the text whatever happens, and gives up thinking that goes round."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from polaris_cli.engines.base import GenerationRequest, ModelInfo
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import PolarisError
from polaris_cli.events import AnswerEvent, Chunk, Event, Finish, Inserted, Restart
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling, StoryRequest
from polaris_cli.story.accumulator import Accumulator, collect
from polaris_cli.story.result import Story, new_record
from polaris_cli.story.single_pass import ids_of, since_restart, stream_answer, with_log_probs

ASK = (Message("user", "Write a 5-word story about a fox."),)


def a_record(premise: str = "a fox") -> Story:
    return new_record(StoryRequest(premise, 5), ModelInfo("demo", "built in"), ASK, 7)


GOES_ROUND = ["and so on, "] * 500


@pytest.mark.parametrize("error", [PolarisError("gone"), ValueError("odd")])
def test_an_engine_that_fails_keeps_the_text_and_tells_why(error: Exception) -> None:
    engine = ScriptedEngine(Script(["Once"], error=error), opened=False)
    accumulator = Accumulator(a_record())
    list(accumulator.watch(stream_answer(engine, GenerationRequest(ASK, Sampling(), 100))))
    story, failed = accumulator.story(), accumulator.finish.error
    assert (story.text, story.finish) == ("Once", "error")
    assert failed and str(error) in failed.message


def test_thinking_that_loops_is_restarted() -> None:
    seeds: list[int] = []

    class Watching(ScriptedEngine):
        def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
            seeds.append(request.sampling.seed)
            return super().stream(request)

    engine = Watching(["A fox: ", *GOES_ROUND], ["a plan</think>", "Once."])
    events = list(stream_answer(engine, GenerationRequest(ASK, Sampling(seed=3), 2000)))
    story = collect(iter(events), a_record())
    assert (story.text, story.finish) == ("Once.", "stop")
    assert story.thinking.endswith("and so on,\n\na plan")
    assert seeds[0] == 3 and len(set(seeds)) == 2
    attempt, answer = since_restart(events)
    assert "".join(event.text for event in answer if isinstance(event, Chunk)) == "a planOnce."
    assert "".join(map(chr, ids_of(answer))) == "a plan</think>Once."
    assert attempt == 1 and engine.running == 0


def test_a_resumed_answer_is_not_restarted_more_often_than_a_new_one() -> None:
    engine = ScriptedEngine(["A fox: ", *GOES_ROUND])
    events = list(stream_answer(engine, GenerationRequest(ASK, Sampling(), 2000), attempt=1))
    assert [event for event in events if isinstance(event, Restart)] == [Restart(1), Restart(2)]
    assert len(engine.requests) == 2 and events[-1] == Finish("loop")


def test_an_answer_that_is_restarted_has_the_room_of_what_was_dropped() -> None:
    after = ScriptedEngine().encode("Hm")
    request = GenerationRequest(ASK, Sampling(), 2000, after=after)
    engine = ScriptedEngine(GOES_ROUND, ["a plan</think>", "Once."])
    list(stream_answer(engine, request))
    assert [(one.after, one.max_new_tokens) for one in engine.requests] == [
        (after, 2000), ((), 2002)
    ]  # fmt: skip


def test_the_white_space_of_an_answer_that_is_restarted_is_not_in_the_story() -> None:
    engine = ScriptedEngine(["\n", "\n"], ["\n", "Once."])
    events = list(stream_answer(engine, GenerationRequest(ASK, Sampling(thinking=False), 2000)))
    assert events[0] == Restart(1) and collect(iter(events), a_record()).text == "\nOnce."


def test_thinking_that_always_goes_round_ends_in_a_loop() -> None:
    engine = ScriptedEngine(GOES_ROUND)
    events = list(stream_answer(engine, GenerationRequest(ASK, Sampling(), 2000)))
    assert events[-1] == Finish("loop")
    assert len(engine.requests) == 3 and since_restart(events)[0] == 2


def test_a_story_that_loops_is_not_restarted() -> None:
    engine = ScriptedEngine(["</think>Once ", *GOES_ROUND])
    events = list(stream_answer(engine, GenerationRequest(ASK, Sampling(), 2000)))
    assert events[-1] == Finish("loop")
    assert len(engine.requests) == 1


def test_a_replayed_text_has_the_log_probabilities_of_its_first_run() -> None:
    earlier: list[Event] = [
        Chunk("thinking", "Hm.", 1, (9,), (-4.0,)),
        Chunk("story", "A fox", 2, (1, 2), (-1.0, -2.0)),
        Inserted("scene break", "* * *", (7,)),
        Chunk("story", " ran.", 1, (3,)),  # of an older library, which kept none
    ]
    replayed: list[Event] = [
        Chunk("thinking", "Hm.", 1, (9,)),
        Chunk("story", "A", 1, (1,), (-1.0,)),  # of a chapter that is taken over whole
        Chunk("story", " fox", 1, (2,)),
        Inserted("scene break", "* * *", (7,)),
        Chunk("story", " ran.", 1, (3,)),
        Chunk("story", " Off.", 1, (4,), (-0.5,)),
        Chunk("story", " Far", 1, (5,)),
        Finish("stop"),
    ]
    found = list(with_log_probs(iter(replayed), earlier))
    known = [event.log_probs for event in found if isinstance(event, Chunk)]
    assert known == [(), (-1.0,), (-2.0,), (), (-0.5,), ()]
    assert [replace(e, log_probs=()) if isinstance(e, Chunk) else e for e in found] == [
        replace(e, log_probs=()) if isinstance(e, Chunk) else e for e in replayed
    ]


def test_a_text_that_is_another_keeps_its_own() -> None:
    earlier = [Chunk("story", "A fox", 2, (1, 2), (-1.0, -2.0))]
    other = [Chunk("story", "A hen", 2, (1, 8)), Chunk("story", " fox", 1, (2,))]
    assert list(with_log_probs(iter(other), earlier)) == other

"""Lets a model judge texts by a rubric: `judge_all`.

A call is one question to the judge; each becomes a record, a JSON object. An answer that cannot be
read is asked for again, with another seed. Does not know where records are kept, nor what totals
the scores give.
"""

import hashlib
import json
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from polaris_cli.batch.threads import Stopped, in_threads
from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.errors import PolarisError, UsageError
from polaris_cli.evaluate.rubric import Criterion, Rubric, answer_schema, own_criteria, question
from polaris_cli.evaluate.samples import Sample
from polaris_cli.evaluate.verdicts import Verdict, read_verdict
from polaris_cli.events import Chunk, Finish, closing
from polaris_cli.request.story_request import Sampling
from polaris_cli.streaming.loops import guard_loops
from polaris_cli.words import count_words

TEMPERATURE = 0.2
ATTEMPTS = 3  # to get an answer that can be read
SEEDS_BETWEEN = 10**6  # the seeds of two attempts: more than there are repeats
LEAST_ANSWER = 256  # tokens; with less room for it, a judge is not asked
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How a judge is asked: its name, whether it thinks, and the most tokens of an answer."""

    judge: str
    thinks: bool = False
    max_tokens: int = 16_384

    def sampling(self, repeat: int, attempt: int) -> Sampling:
        """The sampling of a call; each repeat, and each attempt at it, has a seed of its own."""
        return Sampling(
            temperature=TEMPERATURE,
            top_p=1.0,
            top_k=0,
            repetition_penalty=1.0,
            seed=repeat + attempt * SEEDS_BETWEEN,
            thinking=self.thinks,
            thinking_budget=-1,
        )


@dataclass(frozen=True, slots=True)
class Call:
    """A question to the judge: a text, the criteria to score it by, and which repeat it is."""

    sample: Sample
    rubric: Rubric
    criteria: tuple[Criterion, ...]
    repeat: int

    def key(self, settings: JudgeSettings) -> str:
        """A digest of all that decides the answer."""
        asked = [message.content for message in question(self.rubric, self.criteria, self.sample)]
        return _digest(*asked, self.sample.model, asdict(settings), self.repeat)


def text_key(sample: Sample) -> str:
    """A digest of a text, its prompt and its model."""
    return _digest(sample.prompt, sample.text, sample.model)


def by_its_criteria(sample: Sample, records: Iterable[Record]) -> Iterator[Record]:
    """The records of a text without those by criteria that its checklist no longer has.

    Records that do not say their criteria are yielded too.
    """
    own = own_criteria(sample)
    for record in records:
        said = record.get("checklist")
        if not said:
            yield record
        elif said.items() <= own.items():
            yield {**record, "all_criteria": len(own)}


def calls_for(samples: Iterable[Sample], rubric: Rubric, repeats: int) -> Iterator[Call]:
    """Yield all questions on the texts."""
    for sample in samples:
        own = rubric.for_text(sample)
        for repeat in range(repeats):
            for criteria in own.calls:
                yield Call(sample, own, criteria, repeat)


def judge_all(
    calls: Iterable[Call],
    engine: Engine,
    settings: JudgeSettings,
    *,
    at_once: int,
    stop: threading.Event,
) -> Generator[Record | PolarisError, None, None]:
    """Yield a record for each call as it is answered, or the error of one that is not.

    Setting `stop`, or closing the generator, ends the calls that are running; they are not yielded.
    """

    def judge(call: Call, stopped: Stopped) -> Record | PolarisError | None:
        return None if stopped() else _judged(call, engine, settings, stopped)

    return in_threads(calls, judge, at_once=at_once, stop=stop)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A judge's answer without its thinking, what it says, its tokens with the thinking, and how it
    ended."""

    text: str
    verdict: Verdict
    tokens: int
    finish: Finish


def _judged(
    call: Call, engine: Engine, settings: JudgeSettings, stopped: Stopped
) -> Record | PolarisError | None:
    """The record of a call; None if it was stopped."""
    start = time.monotonic()
    try:
        answers = _answers(call, engine, settings, stopped)
    except PolarisError as error:
        return error
    if answers is None:
        return None
    *unread, answer = answers
    return {
        "key": call.key(settings),
        "text": text_key(call.sample),
        "model": call.sample.model,
        "prompt_id": call.sample.prompt_id,
        "asked": call.sample.asked,
        "rubric": call.rubric.name,
        "rubric_key": call.rubric.key,
        "aggregation": call.rubric.aggregation,
        "all_criteria": len(call.rubric.criteria),
        "judge": {**asdict(settings), "temperature": TEMPERATURE},
        "repeat": call.repeat,
        "criteria": [one.key for one in call.criteria],
        "checklist": {one.key: one.says for one in call.criteria} if call.rubric.own else {},
        "answer": answer.text,
        "unread": [each.text for each in unread],
        **asdict(answer.verdict),
        "finish": answer.finish.reason,
        "tokens": {
            "prompt": sum(each.finish.prompt_tokens for each in answers),
            "answer": sum(each.tokens for each in answers),
        },
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.monotonic() - start, 2),
    }


def _answers(
    call: Call, engine: Engine, settings: JudgeSettings, stopped: Stopped
) -> list[_Answer] | None:
    """The answers to a call up to the first that can be read; None if it was stopped.

    Raises PolarisError if the judge cannot answer.
    """
    answers: list[_Answer] = []
    for attempt in range(ATTEMPTS):
        answer = _answered(call, engine, _request(call, engine, settings, attempt), stopped)
        if answer is None:
            return None
        answers.append(answer)
        if not answer.verdict.error:
            break
    return answers


def _request(
    call: Call, engine: Engine, settings: JudgeSettings, attempt: int
) -> GenerationRequest:
    """What the judge is asked. Raises UsageError if the text does not fit its context."""
    messages = question(call.rubric, call.criteria, call.sample)
    sampling = settings.sampling(call.repeat, attempt)
    room = engine.context - engine.count_tokens(messages, sampling)
    if room < LEAST_ANSWER:
        raise UsageError(
            f"A text of {count_words(call.sample.text):,} words does not fit the judge's context "
            f"of {engine.context:,} tokens.",
            hint="Use a judge with a longer context.",
        )
    schema = answer_schema(call.rubric, call.criteria)
    limit = min(settings.max_tokens, room)
    return GenerationRequest(messages, sampling, limit, schema=schema)


def _answered(
    call: Call, engine: Engine, request: GenerationRequest, stopped: Stopped
) -> _Answer | None:
    """The answer to a request; None if it was stopped. Raises PolarisError if there is none."""
    text, tokens = "", 0
    events = guard_loops(engine.stream(request))  # a bad judge repeats itself up to its token limit
    with closing(events):
        for event in events:
            if stopped():
                return None
            if isinstance(event, Finish):
                if event.error:
                    raise event.error
                return _Answer(text, read_verdict(text, call.rubric, call.criteria), tokens, event)
            if isinstance(event, Chunk):
                tokens += event.tokens
                text += event.text if event.kind == "story" else ""
    return None


def _digest(*parts: object) -> str:
    data = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(data.encode()).hexdigest()[:24]


def estimated_tokens(calls: Sequence[Call]) -> tuple[int, int]:
    """About how many tokens the questions and the answers have, at 4 characters each."""
    asked = sum(
        len(message.content)
        for call in calls
        for message in question(call.rubric, call.criteria, call.sample)
    )
    return asked // 4, sum(40 * len(call.criteria) + 20 for call in calls)

"""Lets a model judge texts by a rubric: `judge_all`.

A call is one question to the judge; each becomes a record, a JSON object. Does not know where
records are kept, nor what totals the scores give.
"""

import hashlib
import json
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import Any

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.errors import PolarisError
from polaris_cli.evaluate.rubric import Criterion, Rubric, answer_schema, question
from polaris_cli.evaluate.samples import Sample
from polaris_cli.evaluate.verdicts import read_verdict
from polaris_cli.events import Chunk, Finish
from polaris_cli.request.story_request import Sampling

TEMPERATURE = 0.2
LEAST_ANSWER = 256  # tokens; with less room for it, a judge is not asked
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How a judge is asked: its name, whether it thinks, and the most tokens of an answer."""

    judge: str
    thinks: bool = False
    max_tokens: int = 16_384

    def sampling(self, repeat: int) -> Sampling:
        """The sampling of a call; each repeat has a seed of its own."""
        return Sampling(
            temperature=TEMPERATURE,
            top_p=1.0,
            top_k=0,
            repetition_penalty=1.0,
            seed=repeat,
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

    @property
    def text_key(self) -> str:
        """A digest of the text and its prompt."""
        return _digest(self.sample.prompt, self.sample.text, self.sample.model)

    def key(self, settings: JudgeSettings) -> str:
        """A digest of all that decides the answer."""
        asked = [message.content for message in question(self.rubric, self.criteria, self.sample)]
        return _digest(*asked, self.sample.model, asdict(settings), self.repeat)


def calls_for(samples: Iterable[Sample], rubric: Rubric, repeats: int) -> Iterator[Call]:
    """Yield all questions on the texts."""
    for sample in samples:
        for repeat in range(repeats):
            for criteria in rubric.calls:
                yield Call(sample, rubric, criteria, repeat)


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
    closed = threading.Event()
    running = set[Future[Record | PolarisError | None]]()
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="polaris judge")

    def stopped() -> bool:
        return stop.is_set() or closed.is_set()

    def judge(call: Call) -> Record | PolarisError | None:
        return None if stopped() else _judged(call, engine, settings, stopped)

    try:
        for call in calls:
            running.add(pool.submit(judge, call))
            if len(running) >= 2 * at_once:
                yield from _done(running)
            if stopped():
                break
        while running:
            yield from _done(running)
    finally:
        closed.set()
        pool.shutdown(cancel_futures=True)


def _done(
    running: set[Future[Record | PolarisError | None]],
) -> Iterator[Record | PolarisError]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    running -= done
    yield from (found for each in done if (found := each.result()) is not None)


def _judged(
    call: Call, engine: Engine, settings: JudgeSettings, stopped: Any
) -> Record | PolarisError | None:
    """The record of a call; None if it was stopped."""
    messages = question(call.rubric, call.criteria, call.sample)
    sampling = settings.sampling(call.repeat)
    room = engine.context - engine.count_tokens(messages, sampling)
    if room < LEAST_ANSWER:
        return PolarisError(
            f"A text of {len(call.sample.text.split()):,} words does not fit the judge's context "
            f"of {engine.context:,} tokens."
        )
    schema = answer_schema(call.rubric, call.criteria)
    limit = min(settings.max_tokens, room)
    start, answer, tokens = time.monotonic(), "", 0
    finish = Finish("interrupted")
    request = GenerationRequest(messages, sampling, limit, schema=schema)
    for event in engine.stream(request):
        if stopped():
            return None
        if isinstance(event, Finish):
            finish = event
        elif isinstance(event, Chunk):
            tokens += event.tokens
            answer += event.text if event.kind == "story" else ""
    if finish.error:
        return finish.error
    verdict = read_verdict(answer, call.rubric, call.criteria)
    return {
        "key": call.key(settings),
        "text": call.text_key,
        "model": call.sample.model,
        "prompt_id": call.sample.prompt_id,
        "asked": call.sample.asked,
        "rubric": call.rubric.name,
        "judge": asdict(settings),
        "repeat": call.repeat,
        "criteria": [one.key for one in call.criteria],
        "answer": answer,
        **asdict(verdict),
        "finish": finish.reason,
        "tokens": {"prompt": finish.prompt_tokens, "answer": tokens},
        "seconds": round(time.monotonic() - start, 2),
    }


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

"""Made-up stories of several models in six length buckets, with surprise.

`python -m tests.evaluations FILE` writes the report of some, to look at.
"""

import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from polaris_cli.evaluate.figures import figures_of
from polaris_cli.evaluate.groups import Groups
from polaris_cli.evaluate.judgements import Judged, judged
from polaris_cli.evaluate.judging import text_key
from polaris_cli.evaluate.report import About, Texts, report
from polaris_cli.evaluate.rubric import Rubric, load_rubric
from polaris_cli.evaluate.samples import Sample
from polaris_cli.evaluate.tables import Evaluation

WORDS = "the fox ran over a hill and saw her in fog while bells rang".split()  # noqa: SIM905
ASKED = (1500, 2500, 3500, 5000, 7000, 10000)
MODELS = ("polaris", "no-hri", "own_model-9B")
ABOUT = About("2026-01-31", (0.9, 1.1), ("stories.jsonl",))


def made_up(models: Sequence[str] = MODELS, count: int = 2, scale: float = 1.0) -> Iterator[Sample]:
    """So many stories of each bucket by each model."""
    chance = random.Random(0)
    for place, model in enumerate(models):
        for asked in (round(words * scale) for words in ASKED for _ in range(count)):
            ratio = 1 - 0.05 * place - asked / scale / 40000 + chance.gauss(0, 0.07)
            yield Sample(
                _text(chance, round(asked * ratio)),
                asked,
                model,
                f"Write a {asked}-word story about a fox in the fog.",
                f"fox-{asked}",
                seed=chance.randrange(100),
                finish=chance.choice(["stop", "stop", "length"]),
                surprise=1.2 + asked / scale / 20000 + chance.gauss(0, 0.1),
                surprise_worst=2.1,
                made={"engine": "local", "machine": f"card {place}", "written": "2026-01-31"},
            )


def a_judgement(rubric: Rubric, score: float, **more: Any) -> dict[str, Any]:
    """A judge's record with this score for each criterion."""
    keys = [one.key for one in rubric.criteria]
    fields = {
        "text": "t", "repeat": 0, "model": "m", "asked": 1500, "stated": {}, "date": "2026-01-31",
        "rubric": rubric.name, "rubric_key": rubric.key, "aggregation": rubric.aggregation,
        "all_criteria": len(keys), "judge": {"judge": "qwen", "thinks": False},
    }  # fmt: skip
    return {**fields, "scores": dict.fromkeys(keys, score), **more}


def judgements(samples: Iterable[Sample]) -> Iterator[Judged]:
    """What a judge says of the samples by two rubrics; one answer in ten is unreadable."""
    rubrics = load_rubric("story-quality"), load_rubric("longform")
    for sample in samples:
        chance = random.Random(sample.text)
        about = {"text": text_key(sample), "model": sample.model, "asked": sample.asked}
        for rubric in rubrics:
            scores = {one.key: chance.uniform(one.low, one.high) for one in rubric.criteria}
            read = {} if chance.random() < 0.1 else scores
            yield from judged([a_judgement(rubric, 0, **about, scores=read)])


def _text(chance: random.Random, words: int) -> str:
    """A text of so many words, with a title, chapters and scene breaks."""
    blocks = ["# Fog\n\n## One"]
    while words > 0:
        length = min(words, chance.randint(5, 60))
        words -= length
        blocks.append(" ".join(chance.choices(WORDS, k=length)).capitalize() + ".")
        blocks += ["* * *"] if chance.random() < 0.05 else []
    return "\n\n".join(blocks)


def scored(
    samples: Iterable[Sample], scale: float = 1.0, *, judge: bool = False
) -> tuple[Evaluation, Texts]:
    """The evaluation of these stories, and their texts; with `judge`, judged as well."""
    found, texts = Evaluation(Groups(scale)), Texts()
    for sample in samples:
        found.add(sample, figures_of(sample))
        texts.add(sample)
        found.judged += judgements([sample]) if judge else []
    return found, texts


def a_page(
    samples: Iterable[Sample], about: About = ABOUT, scale: float = 1.0, *, judge: bool = False
) -> str:
    """The report of these stories."""
    found, texts = scored(samples, scale, judge=judge)
    return "".join(report(found, found.tables(), texts, about))


def without_surprise(samples: Iterator[Sample]) -> Iterator[Sample]:
    """The stories as a source without surprise has them."""
    return (replace(sample, surprise=None, surprise_worst=None) for sample in samples)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(a_page(made_up(count=6), judge=True), "utf-8")

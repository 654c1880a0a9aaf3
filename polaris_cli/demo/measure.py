"""Measure the demo model: `python -m polaris_cli.demo.measure`.

Writes stories about the forty premises of `unseen.py` at four lengths, each length as one batch,
with the settings from the catalogue. Prints a table and optionally writes JSON. Does not know how
the model was trained.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Annotated, Any, cast

import torch
import typer
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, AutoTokenizer

from polaris_cli.demo.grammar import write_story
from polaris_cli.demo.premises import sample_premise
from polaris_cli.demo.unseen import UNSEEN
from polaris_cli.engines.kernels.patching import patch_forwards
from polaris_cli.engines.local.chat import Chat
from polaris_cli.engines.local.generation import TokenizedRequest
from polaris_cli.engines.local.lockstep import decode_batch
from polaris_cli.engines.local.vocabulary import vocabulary_of
from polaris_cli.events import Chunk, Kind
from polaris_cli.models.catalogue import DEMO, DEMO_FOLDER
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling
from polaris_cli.words import self_repetition

GRAMMAR_STORIES = 5_000  # whose words count as known
LENGTHS = (100, 200, 300, 400)
HEADS = (
    "asked", "stories", "ratio", "0.75-1.25", "ended", "names noun", "repetition", "broken words",
)  # fmt: skip
USUAL = Sampling(**cast(dict[str, Any], DEMO.profile.settings))
TOKENS = 1100  # limit for an answer: the longest story takes about 800, its plan included
PROMPTS = {
    "card": "Write a {n}-word story about {premise}.",
    "training": "Write a story about {premise}. The story should be approximately {n} words long.",
}


@dataclass(frozen=True)
class Written:
    """One story as the model wrote it; `ended` is true if the model ended it itself."""

    asked: int
    noun: str
    premise: str
    thinking: str
    story: str
    ended: bool

    @property
    def ratio(self) -> float:
        """Words written (as `wc -w` counts) / words asked for."""
        return len(self.story.split()) / self.asked


@dataclass(frozen=True)
class Line:
    """The figures for one length: means and shares (0 to 1), and the number of broken words."""

    asked: int
    stories: int
    ratio: float
    within_quarter: float
    ended: float
    noun: float
    repetition: float
    words: int
    broken: int


@dataclass(slots=True)
class Answer:
    """An answer of the model, and whether it ended it by itself."""

    texts: dict[Kind, str] = field(default_factory=lambda: {"thinking": "", "story": ""})
    ended: bool = False


def has_noun(noun: str, story: str) -> bool:
    """Whether the story contains the noun, in singular or plural, ignoring case."""
    return noun.lower() in story.lower()


@cache
def known_words() -> frozenset[str]:
    """The words of many stories of the grammar and of their premises, in lower case.

    A word of a single story does not count: it is invented.
    """
    rng, counts = Random(0), Counter[str]()
    for _ in range(GRAMMAR_STORIES):
        premise = sample_premise(rng)
        counts.update({*words_of(premise.text), *words_of(write_story(premise, 300, rng).text)})
    return frozenset(word for word, count in counts.items() if count > 1)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without digits and punctuation."""
    return re.findall(r"[^\W\d_]+", text.lower())


def broken_words(story: Written) -> list[str]:
    """The words of a story that are neither the grammar's nor the premise's, in any form.

    The forms are plural and singular, present and past: "befriended" for "befriends".
    """
    given = set(words_of(story.premise))
    stems = given | {word.removesuffix("s") for word in given}
    forms = {stem + ending for stem in stems for ending in ("", "s", "es", "d", "ed")}
    return [word for word in words_of(story.story) if word not in known_words() | forms]


def generate(
    model: Any, tokenizer: Any, prompts: Sequence[str], sampling: Sampling
) -> list[Answer]:
    """The answers to a batch of prompts."""
    chat = Chat(tokenizer)
    opened = chat.opens_thinking(thinking=sampling.thinks)
    requests = [
        TokenizedRequest(
            chat.prompt_ids((Message("user", prompt),), thinking=sampling.thinks),
            replace(sampling, seed=sampling.seed + row),
            TOKENS,
            inside_thinking=opened,
        )
        for row, prompt in enumerate(prompts)
    ]
    answers = [Answer() for _ in requests]
    for row, event in decode_batch(model, vocabulary_of(model, tokenizer), requests):
        if isinstance(event, Chunk):
            answers[row].texts[event.kind] += event.text
        elif event.error:
            raise event.error
        else:
            answers[row].ended = event.reason == "stop"
    return answers


def write_all(
    model: Any, tokenizer: Any, asked: int, wording: str, sampling: Sampling
) -> list[Written]:
    """One story with `asked` words asked for about each unseen premise."""
    prompts = [PROMPTS[wording].format(n=asked, premise=p.removesuffix(".")) for _, p in UNSEEN]
    answers = generate(model, tokenizer, prompts, sampling)
    result = []
    for (noun, premise), answer in zip(UNSEEN, answers, strict=True):
        thought, story = answer.texts["thinking"], answer.texts["story"].strip()
        result.append(Written(asked, noun, premise, thought, story, answer.ended))
    return result


def line_of(stories: list[Written]) -> Line:
    """The figures for the stories of one length."""
    total = len(stories)
    return Line(
        asked=stories[0].asked,
        stories=total,
        ratio=sum(s.ratio for s in stories) / total,
        within_quarter=sum(0.75 <= s.ratio <= 1.25 for s in stories) / total,
        ended=sum(s.ended for s in stories) / total,
        noun=sum(has_noun(s.noun, s.story) for s in stories) / total,
        repetition=sum(self_repetition(s.story) for s in stories) / total,
        words=sum(len(s.story.split()) for s in stories),
        broken=sum(len(broken_words(s)) for s in stories),
    )


def table_of(lines: list[Line], title: str) -> Table:
    """The figures as a table."""
    table = Table(title=title)
    for head in HEADS:
        table.add_column(head, justify="right")
    for x in lines:
        shares = [f"{share:.0%}" for share in (x.within_quarter, x.ended, x.noun)]
        row = [str(x.asked), str(x.stories), f"{x.ratio:.2f}", *shares, f"{x.repetition:.4f}"]
        table.add_row(*row, f"{x.broken} of {x.words:,}")
    return table


def main(
    folder: Annotated[Path, typer.Option(help="Model folder to measure.")] = DEMO_FOLDER,
    wording: Annotated[str, typer.Option(help="Prompt wording: card or training.")] = "card",
    penalty: Annotated[float, typer.Option(help="Repetition penalty.")] = USUAL.repetition_penalty,
    dry: Annotated[float, typer.Option(help="DRY penalty (multiplier).")] = USUAL.dry_multiplier,
    temperature: Annotated[float, typer.Option(help="Temperature.")] = USUAL.temperature,
    min_p: Annotated[float, typer.Option(help="Min-p.")] = USUAL.min_p,
    thinking: Annotated[bool, typer.Option(help="Plan before writing.")] = True,
    seed: Annotated[int, typer.Option(help="Sampling seed of the first story.")] = 0,
    json_out: Annotated[Path | None, typer.Option(help="Write figures and stories here.")] = None,
) -> None:
    """Write stories about unseen premises and print their figures."""
    torch.set_num_threads(1)  # more threads do not make so small a model faster
    sampling = replace(
        USUAL, repetition_penalty=penalty, dry_multiplier=dry, temperature=temperature,
        min_p=min_p, thinking=thinking, seed=seed,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False
    )
    patch_forwards(model)
    started = time.monotonic()
    batches = [write_all(model, tokenizer, n, wording, sampling) for n in LENGTHS]
    lines = [line_of(batch) for batch in batches]
    title = f"{wording} wording, repetition penalty {penalty:g}, DRY {dry:g}, "
    title += f"{time.monotonic() - started:.0f} s"
    Console().print(table_of(lines, title))
    if json_out is not None:
        stories = [
            {**asdict(story), "broken": broken_words(story)} for batch in batches for story in batch
        ]
        figures = {"table": [asdict(line) for line in lines], "stories": stories}
        json_out.write_text(json.dumps(figures, indent=1, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    typer.run(main)

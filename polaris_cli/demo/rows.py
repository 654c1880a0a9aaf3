"""The demo model's training examples as rows of token ids, and rows as batches of tensors.

Knows the tokenizer and the examples that `tasks` generates; not how a model is trained.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer

from polaris_cli.demo import tokenizer as tok
from polaris_cli.demo.tasks import BREAK, Example, sample

LONGEST = 1100
FARTHEST = 8000


@dataclass(frozen=True)
class Row:
    """One example as token ids; `learn` is true for the tokens that count in the loss."""

    ids: list[int]
    learn: list[bool]


def encode(example: Example, tokenizer: Tokenizer) -> Row:
    """The tokens of a conversation, as in the chat template; only the last answer is learned."""
    ids: list[int] = []
    learn: list[bool] = []
    for turn in example.turns:
        last = turn is example.turns[-1]
        head = f"{tok.START}{turn.role}\n" + (f"{tok.THINK}\n" if last else "")
        body = f"{turn.content}{tok.END}"
        if last and turn.thinking is None:
            head += f"\n{tok.THINK_END}\n\n"
        elif last:
            body = f"{turn.thinking}\n{tok.THINK_END}\n\n{body}"
        parts = [(text, last and text != BREAK) for text in _split_at_breaks(body)]
        for text, learned in ((head, False), *parts, ("\n", False)):
            pieces = tokenizer.encode(text).ids
            ids += pieces
            learn += [learned] * len(pieces)
    return Row(ids, learn)


def _split_at_breaks(body: str) -> Iterator[str]:
    """The parts of an answer, and the scene breaks between them."""
    first, *others = body.split(BREAK)
    yield first
    for part in others:
        yield from (BREAK, part)


def rows(tokenizer: Tokenizer, rng: Random) -> Iterator[Row]:
    """An endless stream of examples of at most LONGEST tokens."""
    while True:
        row = encode(sample(rng), tokenizer)
        if len(row.ids) <= LONGEST:
            yield row


def batches(source: Iterator[Row], tokens: int, rng: Random) -> Iterator[list[Row]]:
    """Batches of rows of similar length, each of at most `tokens` tokens, padding included."""
    while True:
        pool = sorted((next(source) for _ in range(384)), key=lambda row: len(row.ids))
        groups: list[list[Row]] = [[]]
        for row in pool:
            if (len(groups[-1]) + 1) * len(row.ids) > tokens:
                groups.append([])
            groups[-1].append(row)
        rng.shuffle(groups)
        yield from groups


def break_tokens(tokenizer: Tokenizer) -> set[int]:
    """The tokens that begin a message or end a paragraph."""
    return set(tokenizer.encode(f"{tok.START}\n\n").ids)


def positions(row: Row, breaks: set[int], rng: Random) -> list[int]:
    """Positions for the row's tokens; half of the time shifted, with gaps between paragraphs.

    This teaches the attention layers distances that occur only in much longer texts.
    """
    if rng.random() < 0.5:
        return list(range(len(row.ids)))
    at, result = rng.randint(0, FARTHEST // 2), []
    for token in row.ids:
        result.append(at)
        at += 1
        if token in breaks and rng.random() < 0.2 and at < FARTHEST:
            at += rng.randint(1, 800)
    return result


def tensors(
    batch: list[Row], breaks: set[int], rng: Random
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids padded on the right, labels (-100 for tokens without loss), and positions.

    All have the shape (rows, tokens).
    """
    width = max(len(row.ids) for row in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    labels = torch.full((len(batch), width), -100)
    places = torch.zeros(len(batch), width, dtype=torch.long)
    for i, row in enumerate(batch):
        length = len(row.ids)
        ids[i, :length] = torch.tensor(row.ids)
        labels[i, :length] = torch.where(torch.tensor(row.learn), ids[i, :length], -100)
        places[i, :length] = torch.tensor(positions(row, breaks, rng))
    return ids, labels, places

"""Generates several answers at once: `Lockstep`, one token of each per step.

A step reads all weights whatever the number of rows, so it costs little more than for one answer.
Rows come and go between steps. `generation` has the state of each answer, `forward` runs the model.
Does not know who reads the rows.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from polaris_cli.engines.local.decode import as_polaris_error, check_logits, context_length
from polaris_cli.engines.local.forward import BatchForward, step_threads
from polaris_cli.engines.local.generation import Generation, TokenizedRequest, choose_all
from polaris_cli.engines.local.sampling import log_probability
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.errors import ModelUnavailable
from polaris_cli.events import AnswerEvent, Finish

SMALLER = "Write fewer stories at once, add --quantize 4bit, or ask for fewer words"


class Row:
    """One answer: its state, and the `events` that nobody has read yet.

    `finished` is true once its `Finish` is among them.
    """

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.events: deque[AnswerEvent] = deque()
        for token in generation.replay():
            self.events.extend(generation.add(token))
        self.finished = False

    @property
    def ids(self) -> list[int]:
        """The ids to prefill: the prompt and the text of an earlier run."""
        return [*self.generation.request.prompt_ids, *self.generation.request.after]

    def end(self, error: Exception | None = None) -> None:
        """Add the last events; `error` is what stopped the answer, if anything."""
        self.events.extend(self.generation.end(error))  # type: ignore[arg-type]
        self.finished = True


class Lockstep:
    """The rows of a model, and the cache that they share.

    A row gets the same events as from `decode`, except for rounding: in half precision, two tokens
    of nearly equal probability may swap. If memory runs out or the weights are damaged, the rows
    concerned end with the error. `threads` suits the steps of a model of this size.
    """

    def __init__(self, model: Any, vocabulary: Vocabulary) -> None:
        self._model = model
        self._vocabulary = vocabulary
        self._context = context_length(model)
        self.threads = step_threads(model)
        self._new: list[Row] = []
        self._rows: list[Row] = []  # in the order of the cache's rows
        self._dropped: set[Row] = set()
        self._forward: BatchForward | None = None
        self._tokens = torch.empty(0)  # the last token of each row

    def __len__(self) -> int:
        """The number of rows that are not finished."""
        return len(self._new) + len(self._rows) - len(self._dropped)

    def submit(self, request: TokenizedRequest) -> Row:
        """Add an answer; it starts at the next step. One without room for a token ends at once."""
        row = Row(Generation(self._vocabulary, request, self._context))
        if row.generation.reason:
            row.end()
        else:
            self._new.append(row)
        return row

    def drop(self, row: Row) -> None:
        """Stop an answer before its end."""
        if row in self._new:
            self._new.remove(row)
        elif row in self._rows:
            self._dropped.add(row)

    def step(self) -> None:
        """Generate one token of each answer; their chunks and `Finish`es are in their `events`."""
        self._keep([n for n, row in enumerate(self._rows) if row not in self._dropped])
        logits = [*self._advance(), *self._admit()]
        if logits:
            self._choose(torch.cat(logits))
            self._keep([n for n, row in enumerate(self._rows) if not row.finished])

    def _keep(self, places: list[int]) -> None:
        """Keep only these rows."""
        self._dropped.clear()
        if not places:
            self._rows, self._forward = [], None
        elif self._forward and len(places) < len(self._rows):
            self._forward.keep(places)
            self._rows = [self._rows[place] for place in places]
            self._tokens = self._tokens[places]

    def _advance(self) -> Iterator[torch.Tensor]:
        """The logits after the last tokens of the running rows."""
        if self._forward:
            try:
                yield self._forward.step(self._tokens)
            except (ModelUnavailable, RuntimeError) as problem:
                running, self._rows, self._forward = self._rows, [], None
                self._fail(running, problem)

    def _admit(self) -> Iterator[torch.Tensor]:
        """Prefill the new rows and add them to the cache; their logits."""
        if not self._new or (self._forward and not self._forward.can_join):
            return
        new, self._new = self._new, []
        try:
            forward = BatchForward(self._model)
            logits = forward.prefill([row.ids for row in new])
            check_logits(logits)
            if self._forward:
                self._forward.join(forward)
            else:
                self._forward = forward
        except (ModelUnavailable, RuntimeError) as problem:
            self._fail(new, problem)
            return
        self._rows += new
        yield logits

    def _choose(self, logits: torch.Tensor) -> None:
        """Choose the next token of each row and add its text to the row's events."""
        self._tokens = choose_all([row.generation for row in self._rows], logits)
        log_probs = log_probability(logits, self._tokens.unsqueeze(1)).squeeze(1)
        # Two transfers for all rows, as each transfer waits for the device.
        chosen = zip(self._rows, self._tokens.tolist(), log_probs.tolist(), strict=True)
        for row, token, log_prob in chosen:
            row.events.extend(row.generation.add(token, log_prob))
            if row.generation.reason:
                row.end()

    def _fail(self, rows: list[Row], problem: Exception) -> None:
        tokens = sum(row.generation.tokens for row in rows)
        error = as_polaris_error(problem, self._model, tokens, SMALLER)
        for row in rows:
            row.end(error)


def decode_batch(
    model: Any, vocabulary: Vocabulary, requests: Sequence[TokenizedRequest]
) -> Iterator[tuple[int, AnswerEvent]]:
    """Yield the events of all requests as they come, each with the index of its request.

    Each request ends with one `Finish`. Closing the generator frees the KV cache.
    """
    lockstep = Lockstep(model, vocabulary)
    rows = dict(enumerate(map(lockstep.submit, requests)))
    while rows:
        for number, row in list(rows.items()):
            while row.events:
                event = row.events.popleft()
                if isinstance(event, Finish):
                    del rows[number]
                yield number, event
        if rows:
            lockstep.step()

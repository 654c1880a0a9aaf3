"""The DRY penalty ("don't repeat yourself"): what would go on with a repeat becomes less likely.

A repetition penalty looks at single tokens, and after a thousand words it has seen them all. This
one looks at runs: where the text so far ends in tokens that stood in it before, the token that
followed them then is made less likely, the more so the longer the run. Knows ids only, no text.

    penalty = multiplier * GROWTH ** (run - FREE) * (1 + NEAR * exp(-distance / FADE))

for runs of at least FREE tokens, `distance` being how many tokens ago the token followed.

The sampler is P. E. Weidmann's, known from llama.cpp and text-generation-webui. `GROWTH` there is
1.75, which on the demo model grows so fast that a sentence, once begun, had to break off in an odd
place; at 1.3 it takes another turn at its beginning. The gentle growth also spares what has to come
again, names and quotation marks, which are exempt there.

Two things are ours. `NEAR`: late in a long story most beginnings of a sentence have been used,
which makes them equal again; what was said a moment ago must cost more. On the demo model this
halves the self-repetition of 4,000 words. And `exempt`: no word is broken off, where these are the
tokens inside words; else the penalty would make "an astronomer" end after "astron".
"""

from collections.abc import Sequence

import torch

FREE = 2  # tokens that may be repeated at no cost
GROWTH = 1.3
NEAR = 2.0  # what was said just now costs so much more, in shares of the penalty
FADE = 64  # tokens
LONGEST = 52  # a longer run costs no more: by then a penalty of 1 has grown to half a million


class Dry:
    """Follows all runs that the text so far ends in, kept up to date token by token.

    `ids` are the tokens so far, prompt and output; `device` is that of the scores; `exempt` are
    tokens that get no penalty.
    """

    def __init__(
        self,
        multiplier: float,
        ids: Sequence[int],
        device: torch.device,
        exempt: Sequence[int] = (),
    ) -> None:
        self._multiplier, self._count = multiplier, len(ids)
        self._spared = torch.tensor(exempt, dtype=torch.long, device=device)
        self._ids = torch.tensor(ids, dtype=torch.long)
        # At place + 1: how many tokens up to this place are those that the text ends in.
        self._runs = torch.cat([torch.zeros(1), _runs(self._ids)])
        self._ids, self._runs = self._ids.to(device), self._runs.to(device)

    def note(self, token: torch.Tensor) -> None:
        """Count one token of the output, a tensor of one element."""
        count = self._count
        if count == len(self._ids):
            self._grow()
        self._runs[1 : count + 1] = (self._runs[:count] + 1) * (self._ids[:count] == token)
        self._ids[count] = token[0]
        self._count += 1

    def apply(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores with the penalty taken from every token that would go on with a run."""
        run = self._runs[1 : self._count].clamp(max=LONGEST)
        cost = self._multiplier * GROWTH ** (run - FREE) * (run >= FREE)
        distance = torch.arange(len(run), 0, -1, device=scores.device)
        cost *= 1 + NEAR * torch.exp(-distance / FADE)
        following = self._ids[1 : self._count]
        penalty = torch.zeros_like(scores).scatter_reduce(0, following, cost, "amax")
        return scores - penalty.index_fill_(0, self._spared, 0.0)

    def _grow(self) -> None:
        more = max(1024, self._count)
        self._ids = torch.cat([self._ids, self._ids.new_zeros(more)])
        self._runs = torch.cat([self._runs, self._runs.new_zeros(more)])


def _runs(ids: torch.Tensor) -> torch.Tensor:
    """For each place: how many tokens up to it are those that the text ends in; 0 at the last."""
    runs = torch.zeros(len(ids))
    last = len(ids) - 1
    alive = torch.arange(max(last, 0))
    length = 0
    while len(alive):
        alive = alive[ids[alive - length] == ids[last - length]]
        runs[alive] += 1
        length += 1
        alive = alive[alive >= length]
    return runs

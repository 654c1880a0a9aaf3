"""The DRY penalty ("don't repeat yourself"): a logits processor against repeated sequences.

A repetition penalty applies to single tokens, and after a thousand words most have occurred. DRY
applies to runs: if the last tokens of the text occurred before, the token that followed them there
becomes less likely, and a longer run makes it less likely. Knows token ids. Does not know text.

    penalty = multiplier * GROWTH ** (run - FREE) * (1 + NEAR * exp(-distance / FADE))

for runs of at least FREE tokens; `distance` is how many tokens ago that token occurred.

DRY is by P. E. Weidmann, and llama.cpp and text-generation-webui implement it. There, `GROWTH`
(`dry_base`) is 1.75. On the demo model, that grows so fast that a repeated sentence breaks off in
an odd place; with 1.3 it changes near its start. The slower growth also spares text that must
repeat, such as names and quotation marks, which are exempt there.

Three parts are our own. `NEAR`: late in a long story, most sentence beginnings have been used, so
all of them have a penalty, and recent ones need a larger one. On the demo model, this halves the
self-repetition over 4,000 words. `exempt`: with the tokens that continue a word, the penalty does
not cut off words; otherwise "an astronomer" would end after "astron". `PLAUSIBLE`: where the model
is sure how a phrase goes on, as in a name, it goes on; otherwise "two sisters" would become "two
guthers", as a word that the model did not think of goes on in no sensible way. In a loop, where the
model is always sure, any token will do.
"""

from collections.abc import Sequence

import torch

from polaris_cli.engines.base import DRY_GROWTH as GROWTH

FREE = 2  # tokens; shorter repeated runs have no penalty
NEAR = 2.0  # extra penalty at distance 0, as a multiple of the penalty
FADE = 64  # tokens of distance over which the extra penalty falls to 1/e
PLAUSIBLE = 3.0  # a token takes another's place if at least 1/e**3 as likely as the best one
LOOP = 16  # tokens; from this run on, any token may
LONGEST = 52  # tokens; a longer run has the same penalty, half a million times the multiplier


class Dry:
    """The DRY penalty for one sequence, updated token by token.

    `ids` are the token ids so far, prompt and output; `device` is the device of the scores;
    `exempt` are the ids of tokens without a penalty.
    """

    def __init__(
        self,
        multiplier: float,
        ids: Sequence[int],
        device: torch.device,
        exempt: Sequence[int] = (),
    ) -> None:
        self._multiplier, self._count = multiplier, len(ids)
        self._exempt = torch.tensor(exempt, dtype=torch.long, device=device)
        self._ids = torch.tensor(ids, dtype=torch.long)
        # At position + 1: the length of the run that ends at this position and also ends the text.
        self._runs = torch.cat([torch.zeros(1), _runs(self._ids)])
        self._ids, self._runs = self._ids.to(device), self._runs.to(device)

    def add(self, token: torch.Tensor) -> None:
        """Add one token of the output, a tensor of one element."""
        count = self._count
        if count == len(self._ids):
            self._grow()
        self._runs[1 : count + 1] = (self._runs[:count] + 1) * (self._ids[:count] == token)
        self._ids[count] = token[0]
        self._count += 1

    def apply(self, scores: torch.Tensor) -> torch.Tensor:
        """The scores (vocabulary,) minus the penalty of each token that would continue a run.

        Where there is a penalty, tokens that are not plausible without it get -inf, except in a
        loop. Scores that are -inf stay so.
        """
        last = max(self._count - 1, 0)
        if scores.device.type == "cpu":  # mostly none or few; on a GPU, to look would be to wait
            places = (self._runs[1 : last + 1] >= FREE).nonzero().view(-1)
            if not len(places):
                return scores
        else:
            places = torch.arange(last, device=scores.device)
        run = self._runs[places + 1].clamp(max=LONGEST)
        cost = self._multiplier * GROWTH ** (run - FREE) * (run >= FREE)
        cost *= 1 + NEAR * torch.exp((places - last) / FADE)
        following = self._ids[places + 1]
        penalty = torch.zeros_like(scores).scatter_reduce(0, following, cost, "amax")
        penalty.index_fill_(0, self._exempt, 0.0)
        kept = (run >= LOOP).any() | (penalty.max() == 0) | (scores >= scores.max() - PLAUSIBLE)
        return (scores - penalty).masked_fill(~kept, -torch.inf)

    def _grow(self) -> None:
        more = max(1024, self._count)
        self._ids = torch.cat([self._ids, self._ids.new_zeros(more)])
        self._runs = torch.cat([self._runs, self._runs.new_zeros(more)])


def _runs(ids: torch.Tensor) -> torch.Tensor:
    """For each position, the length of the run that ends there and also ends the text.

    It is 0 at the last position. Lengths above `LONGEST` are cut off there, so that the time is
    linear in the text even if all its tokens are the same.
    """
    runs = torch.zeros(len(ids))
    last = len(ids) - 1
    alive = torch.ones(max(last, 0), dtype=torch.bool)
    for length in range(min(last, LONGEST)):
        alive[:length] = False
        alive[length:] &= ids[: last - length] == ids[last - length]
        runs[:last] += alive
    return runs

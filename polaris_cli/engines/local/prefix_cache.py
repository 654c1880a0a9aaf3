"""Prefix caching: an answer starts from the KV cache of the last one, as far as their tokens agree.

In a conversation each prompt begins with the one before it, so only what is new in it is read. Keys
and values are cut back to the common prefix. A state of linear attention cannot be cut back, as it
sums up all tokens; a copy of it is kept from before the last answer, because chat templates leave
out the thinking of earlier answers. Knows token ids. Does not know text or messages.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from polaris_cli.engines.local.forward import Forward
from polaris_cli.engines.local.generation import TokenizedRequest


class PrefixCache:
    """The KV cache of the last answer, if there is one."""

    def __init__(self) -> None:
        self._last: _Prefix | None = None

    def clear(self) -> None:
        """Free the cache."""
        self._last = None

    @contextmanager
    def prefilled(
        self, request: TokenizedRequest, make_forward: Callable[[], Forward], capacity: int
    ) -> Iterator[tuple[Forward, torch.Tensor]]:
        """Run a request's prompt; give its forward, with room for `capacity` tokens, and logits.

        The cache belongs to the answer while it runs, so another one at the same time starts
        without it. It is kept when the answer's generator is closed, and dropped after an
        exception.
        """
        ids = [*request.prompt_ids, *request.after]
        prefix, self._last = self._last, None
        if not (prefix and prefix.forward.capacity >= capacity and prefix.rewind(ids)):
            prefix = None  # frees its memory before the next one needs some
            prefix = _Prefix(make_forward())
        logits = prefix.prefill(ids, request.turn_start)
        try:
            yield prefix.forward, logits
        except GeneratorExit:
            self._last = prefix
            raise


class _Prefix:
    """A forward, and a copy of its states after the first `_copied` tokens."""

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self._states: list[torch.Tensor] = []
        self._copied = 0

    def rewind(self, ids: Sequence[int]) -> bool:
        """Cut back to the longest prefix of `ids` that is possible; False if there is none.

        The last of `ids` is not in it: it must run for its logits.
        """
        cached = self.forward.ids
        common = _common(cached, ids[:-1])
        if common < len(cached) and self.forward.copies_states:
            common = self._copied if self._copied <= common else 0
        return common > 0 and self.forward.rewind(len(cached) - common, self._states)

    def prefill(self, ids: Sequence[int], turn_start: int) -> torch.Tensor:
        """Run those of `ids` that are not in the cache; return the next token's logits."""
        start = len(self.forward.ids)
        if turn_start <= start or not self.forward.copies_states:
            return self.forward.prefill(ids[start:])
        logits = self.forward.prefill(ids[start:turn_start])
        self._states, self._copied = self.forward.copy_states(), turn_start
        turn = ids[turn_start:]
        return self.forward.prefill(turn) if turn else logits


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the longest common prefix."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))

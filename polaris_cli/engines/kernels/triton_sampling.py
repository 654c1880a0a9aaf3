"""CUDA only: chooses a token in two Triton kernels and notes it in a third.

    shortlist   penalties, temperature, and the best tokens of each part of the vocabulary
    draw        top-k, top-p, min-p, a token, and its log-probability
    note_token  the token's penalties from now on

In torch, these are 24 operations, some of several kernels. Nothing is transferred to the host.
The tests compare them with `local.sampling` in Triton's interpreter. Knows tensors; does not know
settings, models or text.
"""

import torch
import triton
import triton.language as tl

from polaris_cli.engines.kernels.triton_ops import on_its_device

SIZE = 4096  # logits that a program reads
LOWEST = tl.constexpr(-(2**63))  # a key below those of all tokens
WIDE = 1024  # tokens of the penalty window that are read at once


@on_its_device
def shortlist(
    logits: torch.Tensor,
    factor: torch.Tensor | None,
    discount: torch.Tensor | None,
    ends: torch.Tensor,
    *,
    above_one: bool,
    temperature: float,
    keep: int,
    banned: bool,
    close_id: int | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The `keep` best tokens of each part of float32 `logits` (vocabulary,).

    They are returned as int64 keys, (parts, keep), which sort by score, then by the lower id. The
    score is the logit times or divided by `factor`, whichever is lower (higher if not `above_one`),
    minus `discount`, divided by the temperature. If `banned`, the ids in `ends` have no chance, and
    `close_id`, if given, gets the best of their scores if that is higher than its own. Also returns
    the largest logit of each part and the sum of exp(logit - largest), (parts, 2).
    """
    parts = triton.cdiv(len(logits), SIZE)
    keys = torch.empty(parts, keep, dtype=torch.int64, device=logits.device)
    sums = torch.empty(parts, 2, dtype=torch.float32, device=logits.device)
    _shortlist[(parts,)](
        logits,
        logits if factor is None else factor,
        logits if discount is None else discount,
        ends,
        keys,
        sums,
        temperature,
        len(logits),
        -1 if close_id is None else close_id,
        len(ends) if banned else 0,
        keep,
        factor is not None,
        above_one,
        discount is not None,
        SIZE,
        num_warps=8,
    )
    return keys, sums


@triton.jit(do_not_specialize=["close_id", "banned", "keep"])
def _shortlist(
    logits,
    factor,
    discount,
    ends,
    keys,
    sums,
    temperature,
    vocabulary,
    close_id,
    banned,
    keep,
    repeats: tl.constexpr,
    above_one: tl.constexpr,
    discounts: tl.constexpr,
    size: tl.constexpr,
):
    part = tl.program_id(0)
    place = part * size + tl.arange(0, size)
    inside = place < vocabulary
    logit = tl.load(logits + place, inside, float("-inf"))
    largest = tl.max(logit)
    terms = tl.where(logit == float("-inf"), 0.0, tl.exp(logit - largest))
    tl.store(sums + 2 * part, largest)
    tl.store(sums + 2 * part + 1, tl.sum(terms))
    score = _penalized(
        logit, factor + place, discount + place, inside, repeats, above_one, discounts
    )
    highest = float("-inf")
    for number in range(banned):
        end = tl.load(ends + number)
        own = _penalized(
            tl.load(logits + end),
            factor + end,
            discount + end,
            True,
            repeats,
            above_one,
            discounts,
        )
        highest = tl.maximum(highest, own)
        score = tl.where(place == end, float("-inf"), score)
    score = tl.where(place == close_id, tl.maximum(score, highest), score)
    bits = _ordered((score / temperature).to(tl.int32, bitcast=True))
    key = (bits.to(tl.int64) << 32) | (0xFFFFFFFF - place.to(tl.int64))
    # Taken one by one: a sort has more steps, and takes seconds to compile.
    for nth in range(keep):
        best = tl.max(key)
        tl.store(keys + part * keep + nth, best)
        key = tl.where(key == best, LOWEST, key)


@triton.jit
def _penalized(
    logit,
    factor,
    discount,
    inside,
    repeats: tl.constexpr,
    above_one: tl.constexpr,
    discounts: tl.constexpr,
):
    if repeats:
        times = tl.load(factor, inside, 1.0)
        if above_one:
            logit = tl.minimum(logit * times, logit / times)
        else:
            logit = tl.maximum(logit * times, logit / times)
    if discounts:
        logit -= tl.load(discount, inside, 0.0)
    return logit


@triton.jit
def _ordered(bits):
    """The bits of float32 numbers as integers in the order of the numbers; and back again."""
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


@on_its_device
def draw(
    logits: torch.Tensor,
    keys: torch.Tensor,
    sums: torch.Tensor,
    number: torch.Tensor,
    *,
    top_k: int,
    top_p: float,
    min_p: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token of those that `shortlist` returned, (1,), and its log-probability, (1,).

    `number` (1,) is uniform from 0 to 1, `top_k` less than the tokens of a part: those tied with
    the last one may come too. The log-probability is that of the logits, without penalties.
    """
    parts, keep = keys.shape
    token = torch.empty(1, dtype=torch.int64, device=logits.device)
    log_prob = torch.empty(1, dtype=torch.float32, device=logits.device)
    _draw[(1,)](
        logits,
        keys,
        sums,
        number,
        token,
        log_prob,
        top_p,
        min_p,
        top_k,
        parts,
        keep,
        triton.next_power_of_2(parts),
        triton.next_power_of_2(parts * keep),
        triton.next_power_of_2(keep),
        num_warps=8,
    )
    return token, log_prob


@triton.jit(do_not_specialize=["number", "top_k", "parts", "keep"])
def _draw(
    logits,
    keys,
    sums,
    number,
    token,
    log_prob,
    top_p,
    min_p,
    top_k,
    parts,
    keep,
    most_parts: tl.constexpr,
    most: tl.constexpr,
    kept: tl.constexpr,
):
    at = tl.arange(0, most)
    others = tl.load(keys + at, at < parts * keep, LOWEST)
    place = tl.arange(0, kept)
    key = tl.full((kept,), LOWEST, tl.int64)
    for nth in range(keep):
        best = tl.max(others)
        key = tl.where(place == nth, best, key)
        others = tl.where(others == best, LOWEST, others)
    id_ = 0xFFFFFFFF - (key & 0xFFFFFFFF)
    score = _ordered((key >> 32).to(tl.int32)).to(tl.float32, bitcast=True)
    score = tl.where(place < keep, score, float("-inf"))
    least = tl.max(tl.where(place == top_k - 1, score, float("-inf")))
    weight = tl.where(score < least, 0.0, tl.exp(score - tl.max(score)))
    weight = weight / tl.sum(weight)
    weight = tl.where(tl.cumsum(weight) - weight >= top_p, 0.0, weight)
    weight = tl.where(weight < min_p * tl.max(weight), 0.0, weight)
    cumulative = tl.cumsum(weight)
    whole = tl.max(cumulative)
    before = tl.sum((cumulative <= tl.load(number) * whole).to(tl.int32))
    # Rounding may give the whole sum. On a card, sums after the last weight differ by rounding too.
    chosen = tl.minimum(before, tl.max(tl.where(weight > 0.0, place, 0)))
    drawn = tl.sum(tl.where(place == chosen, id_, 0))
    tl.store(token, drawn)
    part = tl.arange(0, most_parts)
    largest = tl.load(sums + 2 * part, part < parts, float("-inf"))
    terms = tl.load(sums + 2 * part + 1, part < parts, 0.0)
    top = tl.max(largest)
    total = tl.sum(tl.where(largest == float("-inf"), 0.0, terms * tl.exp(largest - top)))
    tl.store(log_prob, tl.load(logits + drawn) - top - tl.log(total))


@on_its_device
def note_token(
    token: torch.Tensor,
    factor: torch.Tensor | None,
    discount: torch.Tensor | None,
    recent: torch.Tensor,
    count: int,
    *,
    repetition: float,
    presence: float,
) -> None:
    """Set the penalties for `token` (1,), which comes after `count` tokens.

    `recent` (window,) are the ids in the penalty window in a ring, -1 where there is none yet; it
    is empty if the window is the whole text. The token replaces the oldest one, whose factor
    becomes 1 again if it is not in the window a second time.
    """
    if factor is None and discount is None:
        return
    window = len(recent)
    _note_token[(1,)](
        token,
        token if factor is None else factor,
        token if discount is None else discount,
        recent if window else token,
        count % window if window else 0,
        repetition,
        presence,
        window,
        factor is not None,
        window > 0,
        discount is not None,
        WIDE,
    )


@triton.jit(do_not_specialize=["token", "position", "window"])
def _note_token(
    token,
    factor,
    discount,
    recent,
    position,
    repetition,
    presence,
    window,
    repeats: tl.constexpr,
    forgets: tl.constexpr,
    discounts: tl.constexpr,
    wide: tl.constexpr,
):
    new = tl.load(token)
    if repeats and forgets:
        old = tl.load(recent + position)
        others = tl.zeros((wide,), tl.int32)
        for start in range(0, window, wide):
            at = start + tl.arange(0, wide)
            same = tl.load(recent + at, (at < window) & (at != position), -1) == old
            others += same.to(tl.int32)
        if (old >= 0) & (old != new) & (tl.sum(others) == 0):
            tl.store(factor + old, 1.0)
        tl.store(recent + position, new)
    if repeats:
        tl.store(factor + new, repetition)
    if discounts:
        tl.store(discount + new, presence)

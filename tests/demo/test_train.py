"""The training program's parts: masks, batches, positions, rates, and a step that learns."""

from itertools import islice
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from polaris_cli.demo import tasks, train
from polaris_cli.demo.paths import MODEL_DIR

RAW = Tokenizer.from_file(str(MODEL_DIR / "tokenizer.json"))
BREAKS = train.break_tokens(RAW)


def test_only_the_last_answer_is_learned() -> None:
    turns = [
        tasks.Turn("user", "first question"),
        tasks.Turn("assistant", "first answer"),
        tasks.Turn("user", "second question"),
        tasks.Turn("assistant", "second answer", "a plan"),
    ]
    row = train.encode(tasks.Example("story", turns), RAW)
    learned = [i for i, known in zip(row.ids, row.learn, strict=True) if known]
    text = RAW.decode(learned, skip_special_tokens=False)
    assert text == "a plan\n</think>\n\nsecond answer<|im_end|>"


def test_scene_breaks_are_read_but_not_learned() -> None:
    turns = [tasks.Turn("user", "go"), tasks.Turn("assistant", f"one{tasks.BREAK}two", None)]
    row = train.encode(tasks.Example("episodes", turns), RAW)
    learned = [i for i, known in zip(row.ids, row.learn, strict=True) if known]
    assert RAW.decode(learned, skip_special_tokens=False) == "onetwo<|im_end|>"
    assert tasks.BREAK in RAW.decode(row.ids)


def test_batches_are_full_but_not_overfull() -> None:
    rng = Random(0)
    for batch in islice(train.batches(train.rows(RAW, rng), 4096, rng), 12):
        widest = max(len(row.ids) for row in batch)
        assert len(batch) * widest <= 4096
        assert widest <= train.LONGEST


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_positions_increase_and_jump_at_breaks_only(seed: int) -> None:
    rng = Random(seed)
    row = next(train.rows(RAW, rng))
    places = train.positions(row, BREAKS, rng)
    for before, here, token in zip(places, places[1:], row.ids, strict=False):
        assert here == before + 1 or (here > before and token in BREAKS)
    assert places[-1] < 32768


@pytest.mark.parametrize(("done", "share"), [(0.0, 0.0), (0.01, 0.5), (0.51, 0.5), (1.0, 0.0)])
def test_rate_rises_and_falls(done: float, share: float) -> None:
    assert train.rate_at(done) == pytest.approx(share)


@pytest.mark.parametrize("mixed", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_few_steps_learn_one_batch(mixed: bool) -> None:
    torch.manual_seed(0)
    model = train.build_model(RAW)
    turns = [tasks.Turn("user", "Hello"), tasks.Turn("assistant", "The fog came down.", "A plan")]
    batch = [train.encode(tasks.Example("story", turns), RAW)]
    optimisers = train.optimisers(model, 3e-3, mixed=mixed)
    groups = [(optimiser, 3e-3) for optimiser in optimisers]
    losses = []
    for _ in range(4):
        entropy, loss = train.loss_of(model, *train.tensors(batch, BREAKS, Random(2)), mixed=mixed)
        loss.backward()  # type: ignore[no-untyped-call]
        train.take_step(model, groups, 1.0)
        losses.append(entropy.item())
    assert losses[-1] < losses[0] - 0.5


def test_gaps_in_positions_are_not_treated_as_packed_sequences() -> None:
    torch.manual_seed(0)
    model = train.build_model(RAW).eval()
    ids = RAW.encode("a lighthouse keeper who finds a letter").ids
    row = train.Row(ids, [True] * len(ids))
    _, labels, places = train.tensors([row], set(), Random(0))
    places[:, 4:] += 500
    first = torch.tensor([ids])
    other = first.clone()
    other[0, 0] = 7
    with torch.no_grad():
        one = model.model(input_ids=first, position_ids=places.expand(3, -1, -1))
        two = model.model(input_ids=other, position_ids=places.expand(3, -1, -1))
    assert not torch.allclose(one.last_hidden_state[0, -1], two.last_hidden_state[0, -1], atol=1e-5)
    assert labels.shape == first.shape

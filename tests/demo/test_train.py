"""The training program's parts: rates, losses, and a step that learns."""

from random import Random

import pytest
import torch
from tokenizers import Tokenizer

from polaris_cli.demo import rows, tasks, train
from polaris_cli.models.catalogue import DEMO_FOLDER

RAW = Tokenizer.from_file(str(DEMO_FOLDER / "tokenizer.json"))
BREAKS = rows.break_tokens(RAW)


@pytest.mark.parametrize(("done", "share"), [(0.0, 0.0), (0.01, 0.5), (0.51, 0.5), (1.0, 0.0)])
def test_rate_rises_and_falls(done: float, share: float) -> None:
    assert train.rate_at(done) == pytest.approx(share)


@pytest.mark.parametrize("mixed", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_few_steps_learn_one_batch(mixed: bool) -> None:
    torch.manual_seed(0)
    model = train.build_model(RAW)
    turns = [tasks.Turn("user", "Hello"), tasks.Turn("assistant", "The fog came down.", "A plan")]
    batch = [rows.encode(tasks.Example("story", turns), RAW)]
    optimisers = train.optimisers(model, 3e-3, mixed=mixed)
    groups = [(optimiser, 3e-3) for optimiser in optimisers]
    tensors = rows.tensors(batch, BREAKS, Random(2))
    losses = []
    for _ in range(3):
        entropy, loss = train.loss_of(model, *tensors, mixed=mixed)
        losses.append(entropy.item())
        if losses[-1] < losses[0] - 0.5:
            return
        loss.backward()  # type: ignore[no-untyped-call]
        train.take_step(model, groups, 1.0)
    pytest.fail(f"it does not learn: {losses}")


def test_gaps_in_positions_are_not_treated_as_packed_sequences() -> None:
    torch.manual_seed(0)
    model = train.build_model(RAW).eval()
    ids = RAW.encode("a lighthouse keeper who finds a letter").ids
    row = rows.Row(ids, [True] * len(ids))
    _, labels, places = rows.tensors([row], set(), Random(0))
    places[:, 4:] += 500
    first = torch.tensor([ids])
    other = first.clone()
    other[0, 0] = 7
    with torch.no_grad():
        one = model.model(input_ids=first, position_ids=places.expand(3, -1, -1))
        two = model.model(input_ids=other, position_ids=places.expand(3, -1, -1))
    assert not torch.allclose(one.last_hidden_state[0, -1], two.last_hidden_state[0, -1], atol=1e-5)
    assert labels.shape == first.shape

"""Training rows: what is learned of an example, full batches, positions."""

from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from polaris_cli.demo import rows, tasks
from polaris_cli.models.catalogue import DEMO_FOLDER

RAW = Tokenizer.from_file(str(DEMO_FOLDER / "tokenizer.json"))
BREAKS = rows.break_tokens(RAW)


def test_only_the_last_answer_is_learned() -> None:
    turns = [
        tasks.Turn("user", "first question"),
        tasks.Turn("assistant", "first answer"),
        tasks.Turn("user", "second question"),
        tasks.Turn("assistant", "second answer", "a plan"),
    ]
    row = rows.encode(tasks.Example("story", turns), RAW)
    learned = [i for i, known in zip(row.ids, row.learn, strict=True) if known]
    text = RAW.decode(learned, skip_special_tokens=False)
    assert text == "a plan\n</think>\n\nsecond answer<|im_end|>"


def test_scene_breaks_are_read_but_not_learned() -> None:
    turns = [tasks.Turn("user", "go"), tasks.Turn("assistant", f"one{tasks.BREAK}two", None)]
    row = rows.encode(tasks.Example("episodes", turns), RAW)
    learned = [i for i, known in zip(row.ids, row.learn, strict=True) if known]
    assert RAW.decode(learned, skip_special_tokens=False) == "onetwo<|im_end|>"
    assert tasks.BREAK in RAW.decode(row.ids)


@pytest.mark.slow
def test_batches_are_full_but_not_overfull() -> None:
    rng = Random(0)
    for batch in islice(rows.batches(rows.rows(RAW, rng), 4096, rng), 12):
        widest = max(len(row.ids) for row in batch)
        assert len(batch) * widest <= 4096
        assert widest <= rows.LONGEST


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_positions_increase_and_jump_at_breaks_only(seed: int) -> None:
    rng = Random(seed)
    row = next(rows.rows(RAW, rng))
    places = rows.positions(row, BREAKS, rng)
    for before, here, token in zip(places, places[1:], row.ids, strict=False):
        assert here == before + 1 or (here > before and token in BREAKS)
    assert places[-1] < 32768

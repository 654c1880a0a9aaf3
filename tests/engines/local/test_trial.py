"""The trial finds how many rows are worth it, whatever steps take, and never fails."""

import time
from typing import Any

import pytest

from polaris_cli.engines.local.trial import rows_worth
from polaris_cli.engines.local.vocabulary import Vocabulary
from tests.engines.local.test_decode import ENDS, TOKENIZER
from tests.tiny import qwen


def slowed(seconds_of: Any) -> Any:
    """A model whose steps take as many seconds as this function of the rows says, and no less."""
    model = qwen()

    def hook(module: Any, given: Any, named: Any, result: Any) -> None:
        time.sleep(seconds_of(len(named["input_ids"])))

    model.register_forward_hook(hook, with_kwargs=True)
    return model


def worth(model: Any, most: int) -> int:
    return rows_worth(model, Vocabulary(TOKENIZER, ENDS), most)


@pytest.mark.slow
def test_steps_that_cost_the_same_are_worth_all_rows() -> None:
    assert worth(slowed(lambda rows: 0.05), 7) == 7


@pytest.mark.slow
def test_rows_beyond_what_is_computed_together_are_not_worth_it() -> None:
    assert worth(slowed(lambda rows: 0.05 * max(1, rows / 4) ** 1.3), 16) == 4


@pytest.mark.slow
def test_rows_that_do_not_fit_are_too_many() -> None:
    def seconds(rows: int) -> float:
        if rows > 4:
            raise RuntimeError("out of memory")
        return 0.02

    assert worth(slowed(seconds), 16) == 4


def test_one_row_needs_no_comparison() -> None:
    assert worth(qwen(), 1) == 1

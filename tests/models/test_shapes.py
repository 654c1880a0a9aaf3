"""Which JSON can be read as what."""

import math

import pytest

from polaris_cli.models.shapes import Shape, fits

READ: Shape = {"choices": [{"text": str, "ids": [int]}], "usage": dict, "p": float}


@pytest.mark.parametrize(
    "value",
    [
        {}, {"choices": []}, {"choices": None, "other": 1}, {"choices": [{"ids": []}, {}]},
        {"choices": [{"text": "a", "ids": [1, 2]}], "usage": {"a": 1}, "p": 1}, {"usage": ""},
    ],
)  # fmt: skip
def test_what_is_missing_or_empty_fits(value: object) -> None:
    assert fits(value, READ)


@pytest.mark.parametrize(
    "value",
    [
        None, [], "a", {"choices": 1}, {"choices": [1]}, {"choices": {"0": {}}}, {"usage": "a"},
        {"choices": [{"ids": [None]}]}, {"choices": [{"ids": ["1"]}]}, {"p": True}, {"p": "1"},
        {"p": math.nan}, {"p": 10**400}, {"choices": [{"ids": [-1]}]},
        {"choices": [{"ids": [2**32]}]},
        {"choices": [{"text": ["a"]}]}, {"choices": [None]},
    ],
)  # fmt: skip
def test_another_type_does_not_fit(value: object) -> None:
    assert not fits(value, READ)

"""Settings that contradict each other are refused, with one of them to leave out."""

from typing import Any

import pytest

from polaris_cli.errors import UsageError
from polaris_cli.request.conflicts import check_options, check_values

DRAFT: dict[str, Any] = {"draft": "draft.txt"}


@pytest.mark.parametrize(
    ("options", "others", "first", "second"),
    [
        ({"chapters": 6, "length": "single"}, {}, "--chapters", "--length single"),
        ({"length": "extend"}, {"plan": True}, "--plan", "--length extend"),
        ({"length": "single"}, {"plan_only": True}, "--plan-only", "--length single"),
        ({}, {"plan": True, "plan_only": True}, "--plan", "--plan-only"),
        ({"chapters": "6"}, {"plan": True}, "--plan", "--chapters"),
        ({"chapters": "6"}, DRAFT, "--continue", "--chapters"),
        ({}, {**DRAFT, "plan": True}, "--continue", "--plan"),
        ({"length": "chapters"}, DRAFT, "--continue", "--length chapters"),
        ({"think": True}, DRAFT, "--continue", "--think"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    options: dict[str, Any], others: dict[str, Any], first: str, second: str
) -> None:
    with pytest.raises(UsageError) as refused:
        check_options(options, **others)
    assert refused.value.message == f"{first} and {second} contradict each other."
    assert refused.value.hint == f"Leave out {second}."


@pytest.mark.parametrize(
    ("options", "others"),
    [
        ({}, {}),
        ({"length": None, "chapters": None, "think": None}, DRAFT),
        ({"chapters": "6", "length": "chapters"}, {"plan_only": True}),
        ({"chapters": "auto", "length": "auto"}, {"plan": True}),
        ({"length": "single", "think": False}, {**DRAFT, "premise": "-"}),
        ({"length": "single"}, {"premise": "-"}),
        ({}, {"draft": "-", "premise": "a fox"}),
    ],
)
def test_options_that_fit_together_pass(options: dict[str, Any], others: dict[str, Any]) -> None:
    check_options(options, **others)


def test_only_one_of_draft_and_premise_reads_standard_input() -> None:
    with pytest.raises(UsageError, match="standard input"):
        check_options({}, draft="-", premise="-")


def test_a_file_with_chapters_and_another_length_mode_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^config.toml: length single and chapters"):
        check_values({"chapters": 4, "length": "single"}, "config.toml")
    check_values({"chapters": 4, "length": "chapters"}, "config.toml")
    check_values({"length": "single"}, "config.toml")

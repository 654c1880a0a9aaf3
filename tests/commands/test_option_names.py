"""The hint of an error names the options of the command that prints it."""

import pytest

from polaris_cli.commands.option_names import WITHOUT_TIMEOUTS, option_names
from polaris_cli.errors import UsageError

NAMES = {"--model": "--judge-model", "--base-url": "--judge-url"}


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("Start it: --base-url URL", "Start it: --judge-url URL"),
        ("Use --model a or --model b.", "Use --judge-model a or --judge-model b."),
        ("Add --judge-model NAME", "Add --judge-model NAME"),
        ("Use --models", "Use --models"),
        ("Check it: polaris doctor --base-url URL", "Check it: polaris doctor --base-url URL"),
        ("", ""),
    ],
)
def test_the_hint_names_the_options_of_the_command(hint: str, told: str) -> None:
    with pytest.raises(UsageError) as raised, option_names(NAMES):
        raise UsageError("It is wrong.", hint=hint)
    assert raised.value.hint == told and raised.value.message == "It is wrong."


def test_it_may_decorate_a_command() -> None:
    @option_names(WITHOUT_TIMEOUTS)
    def command(words: int) -> None:
        raise UsageError("It is silent.", hint=f"Wait longer: --stall-timeout SECONDS, {words}")

    for words in (1, 2):
        with pytest.raises(UsageError) as raised:
            command(words)
        assert raised.value.hint == f"Wait longer: POLARIS_STALL_TIMEOUT=SECONDS, {words}"

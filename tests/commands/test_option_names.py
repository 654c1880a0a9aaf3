"""The hint of an error names the options of the command that prints it."""

import sys

import pytest

from polaris_cli.commands.option_names import option_names, own_options
from polaris_cli.errors import UsageError
from polaris_cli.screen.messages import note

NAMES = {"--model": "--judge-model", "--base-url": "--judge-url"}


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("Start it: --base-url URL", "Start it: --judge-url URL"),
        ("Use --model a or --model b.", "Use --judge-model a or --judge-model b."),
        ("Add --judge-model NAME", "Add --judge-model NAME"),
        ("Use --models", "Use --models"),
        ("Check it: polaris doctor --base-url URL", "Check it: polaris doctor --base-url URL"),
        ("polaris models; or --model a", "polaris models; or --judge-model a"),
        ("", ""),
    ],
)
def test_the_hint_names_the_options_of_the_command(hint: str, told: str) -> None:
    with pytest.raises(UsageError) as raised, option_names(NAMES):
        raise UsageError("It is wrong.", hint=hint)
    assert raised.value.hint == told and raised.value.message == "It is wrong."


DOWNLOAD = "Type: polaris models fetch a --revision b; and --drafts 3"


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("Try another --seed, or add --no-think.", "Try another --seed, or add POLARIS_THINK=no."),
        ("Add --quantize none, or wait", "Add POLARIS_QUANTIZE=none, or wait"),
        ("Leave out --device, or wait", "Leave out POLARIS_DEVICE, or wait"),
        ("Choose one: --gguf-file Q4_K_M", "Choose one: POLARIS_GGUF_FILE=Q4_K_M"),
        ("Leave out --chapters and --think.", "Leave out POLARIS_CHAPTERS and POLARIS_THINK."),
        (DOWNLOAD, DOWNLOAD),
        ("", ""),
    ],
)
def test_a_setting_without_an_option_has_a_variable(hint: str, told: str) -> None:
    with pytest.raises(UsageError) as raised, own_options(["--model", "--seed"]):
        raise UsageError("It is wrong.", hint=hint)
    assert raised.value.hint == told


def test_a_command_without_settings_says_which_command_has_them() -> None:
    for hint, told in [
        ("Add --quantize 4bit", "With polaris write: add --quantize 4bit"),
        ("Ask for more: --words 900", "Ask for more: --words 900"),
    ]:
        with pytest.raises(UsageError) as raised, own_options(["--words"]):
            raise UsageError("It is wrong.", hint=hint)
        assert raised.value.hint == told


def test_it_may_decorate_a_command() -> None:
    @own_options(["--model"])
    def command(words: int) -> None:
        raise UsageError("It is silent.", hint=f"Wait longer: --stall-timeout SECONDS, {words}")

    for words in (1, 2):
        with pytest.raises(UsageError) as raised:
            command(words)
        assert raised.value.hint == f"Wait longer: POLARIS_STALL_TIMEOUT=SECONDS, {words}"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model", "--threads"], "2 threads; to choose: --threads N (POLARIS_WORDS=9)"),
        (["--model"], "2 threads; to choose: POLARIS_THREADS=N (POLARIS_WORDS=9)"),
        (["--words"], "2 threads; to choose: polaris write --threads N (--words 9)"),
    ],
)
def test_a_note_names_the_options_of_the_command(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "2 threads; to choose: --threads N (--words 9)"
    with own_options(options):
        note(text, sys.stderr)
    note(text, sys.stderr)
    assert capsys.readouterr().err == f"polaris: note: {told}\npolaris: note: {text}\n"

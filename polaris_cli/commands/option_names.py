"""Hints and notes that name the options of the command at hand: `own_options`, `option_names`.

The modules below the commands name the options of `polaris write`. Knows names, not what an option
does.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from polaris_cli.errors import COMMAND, PolarisError
from polaris_cli.screen.messages import own_wording

_VALUE = r"(?!(?:or|and|with|to)\b)[\w./:][\w./:-]*\b"
_OPTION = re.compile(
    rf"{COMMAND}|--no-(?P<off>[a-z-]+)|--(?P<name>[a-z-]+)(?: (?P<value>{_VALUE}))?"
)
_MODELS = {"--model", "--judge-model"}  # a command with one of them reads the variables too


@contextmanager
def own_options(options: Collection[str]) -> Iterator[None]:
    """Name no option that a command lacks, in the hint of an error and in the notes of the block,
    or of the function that this decorates.

    A variable does the same ("POLARIS_QUANTIZE=4bit"), unless the command has no settings but
    those of a story.
    """
    before = own_wording.set(partial(_of_command, options))
    try:
        yield
    except PolarisError as error:
        hint = _OPTION.sub(partial(_variable, options), error.hint)
        if hint != error.hint and not _MODELS & {*options}:
            hint = f"With polaris write: {error.hint[0].lower()}{error.hint[1:]}"
        error.hint = hint
        raise
    finally:
        own_wording.reset(before)


def _of_command(options: Collection[str], text: str) -> str:
    """A note without options that the command lacks; those of a story are of `polaris write`."""
    if _MODELS & {*options}:
        return _OPTION.sub(partial(_variable, options), text)

    def with_command(found: re.Match[str]) -> str:
        known = _variable(options, found) == found[0]
        return found[0] if known else f"polaris write {found[0]}"

    return _OPTION.sub(with_command, text)


def _variable(options: Collection[str], found: re.Match[str]) -> str:
    """The variable of a setting that the command has no option for; else the text as it is."""
    # The import is slow, and few commands fail.
    from polaris_cli.request.settings import SETTINGS, variable_of

    setting = (found["off"] or found["name"] or "").replace("-", "_")
    if setting not in SETTINGS or found[0].partition(" ")[0] in options:
        return found[0]
    value = "no" if found["off"] else found["value"]
    return f"{variable_of(setting)}={value}" if value else variable_of(setting)


@contextmanager
def option_names(names: Mapping[str, str]) -> Iterator[None]:
    """Replace the usual names of options by those of a command, in the hint of an error in the
    block, or in the function that this decorates.

    A hint with a command of its own ("polaris doctor --base-url URL") keeps the names in it.
    """
    found = re.compile("|".join([COMMAND, *(rf"{usual}\b" for usual in names)]))
    try:
        yield
    except PolarisError as error:
        error.hint = found.sub(lambda match: names.get(match[0], match[0]), error.hint)
        raise

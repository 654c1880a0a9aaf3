"""Reads values of options and arguments that several commands share: lists with commas, the number
of stories at once, and an input of premises.

Knows how a user writes them, not what a command does with them; `options` has the options of one
value.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path

from polaris_cli.batch.batch import Rows
from polaris_cli.batch.premises import BadRow, Row, read_premises
from polaris_cli.batch.records import Notify, ignore
from polaris_cli.errors import ModelUnavailable, UsageError
from polaris_cli.models.resolving import by_name
from polaris_cli.request.settings import parse_words

MOST_AT_ONCE = 1024


def listed(
    option: str, values: Sequence[str] | None, meaning: Callable[[str], object] = str
) -> tuple[str, ...]:
    """The parts of lists with commas, none if the option is not given.

    Of parts of the same meaning only the first. Raises UsageError for a list that is given and has
    no part.
    """
    found = dict[object, str]()
    for value in values or ():
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not parts:
            raise UsageError(
                f"{option}: {value!r} has no value.", hint=f"Give one, or leave out {option}."
            )
        for part in parts:
            found.setdefault(meaning(part), part)
    return tuple(found.values())


def compared(values: Sequence[str] | None, *, on_server: bool = False) -> tuple[str, ...]:
    """The different models in lists. Raises UsageError for two of one name.

    Tables and votes have the name only, and would take them for one model.
    """
    models, seen = listed("--model", values), dict[str, str]()
    for model in models:
        name, id_ = (model, model) if on_server else _name_and_id(model)
        if name in seen:
            same = seen[name] == id_
            raise UsageError(
                f"Two of the models are called {name}.",
                hint="Leave one of them out." if same else "Rename the file or folder of one.",
            )
        seen[name] = id_
    return models


def _name_and_id(model: str) -> tuple[str, str]:
    """What tables call a model, and what it is; an unknown one, which is refused later, is what was
    typed."""
    with suppress(ModelUnavailable):
        reference = by_name(model)
        return reference.name, reference.id
    path = Path(model).resolve()
    return (path.name if path.exists() else model), str(path)


def lengths_in(values: Sequence[str] | None) -> tuple[str, ...]:
    """The lengths in lists. Raises UsageError for "1,200", which may be one length or two."""
    for value in values or ():
        if re.fullmatch(r"\s*[1-9]\d{0,2}(,\d{3})+\s*", value):
            raise UsageError(
                f"--words: {value!r} can be one length or several.",
                hint=f"For one: --words {value.replace(',', '')}; for several, with spaces: "
                f'--words "{value.replace(",", ", ")}"',
            )
    return listed("--words", values, _length)


def _length(text: str) -> object:
    """The number of words; an invalid one, which is refused later, as it was typed."""
    with suppress(ValueError):
        return parse_words(text)
    return text


def numbers_in(option: str, text: str, least: int, hint: str) -> list[int]:
    """The different whole numbers in a list such as "1,8,32".

    Raises UsageError with the hint for any other text, and for a number below `least`.
    """
    try:
        numbers = [*dict.fromkeys(map(int, text.split(",")))]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < least:
        raise UsageError(f"{option}: invalid value {text!r}.", hint=hint)
    return numbers


def at_once_in(jobs: str) -> int | None:
    """The number of stories at once, None for "auto"."""
    if jobs == "auto":
        return None
    if not jobs.isascii() or not jobs.isdigit() or not 1 <= int(jobs[:9]) <= MOST_AT_ONCE:
        raise UsageError(
            f"--jobs: {jobs!r} is not a number from 1 to {MOST_AT_ONCE}.", hint="Try --jobs auto"
        )
    return int(jobs)


def rows_of(source: str, notify: Notify = ignore) -> Rows:
    """Reads the input; standard input is read once and kept. `notify` is told once, too."""
    if source != "-":
        later = chain([notify], repeat(ignore))
        return lambda: read_premises(source, next(later))
    rows: list[Row | BadRow] = list(read_premises(source, notify))
    return lambda: iter(rows)

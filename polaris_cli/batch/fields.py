"""The names that the fields of a batch's input may have, in keys and in columns.

Case, and dashes for underscores, do not matter. Does not know the values, nor where they come from.
"""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from polaris_cli.errors import UsageError
from polaris_cli.request.settings import OF_THE_TEXT

ALIASES = {"prompt": "premise", "uid": "id", "target_word_count": "words"}
# Without the title, author and language: those of a data set belong to its own texts.
KNOWN = {"premise", "id", *ALIASES, *OF_THE_TEXT}
LIKENESS = 0.85  # "temprature" is a setting with a typing error, "world" and "format" are not


def fields_of(values: Mapping[str, object]) -> dict[str, object]:
    """The values by the names of settings, "premise" and "id", without unknown and absent ones.

    Absent are None and NaN, which tables have in empty cells. A name wins over its alias. A length
    that is a number is one in words, as LongBench-Write has it, not a way to reach it.
    """
    found = {plain(key): value for key, value in values.items() if not is_absent(value)}
    if _is_number(found.get("length")):
        found.setdefault("target_word_count", found.pop("length"))
    aliased = {ALIASES[key]: value for key, value in found.items() if key in ALIASES}
    own = {key: value for key, value in found.items() if key in KNOWN and key not in ALIASES}
    return aliased | own


def unknown_in(values: Mapping[str, object]) -> tuple[str, ...]:
    """The keys that mean nothing here and have a value."""
    keys = (key for key, value in values.items() if not is_absent(value))
    return tuple(key.strip() for key in keys if plain(key) not in KNOWN)


def misspelt(values: Mapping[str, object]) -> tuple[str, str] | None:
    """The first key that is nearly the name of a setting, and that name; None if there is none."""
    near = ((key, _near(plain(key))) for key, value in values.items() if not is_absent(value))
    return next(((key, name) for key, name in near if name), None)


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table must have: one of these columns. `example` is a first line of such a table."""

    names: Sequence[str]
    example: str

    def are_in(self, found: Collection[str]) -> bool:
        """Whether one of them is among the columns `found`."""
        return not {*self.names}.isdisjoint(map(plain, found))

    def check(self, found: Collection[str], source: str) -> None:
        """Raise UsageError if the table `source`, which has the columns `found`, has none, or has
        one twice."""
        if not self.are_in(found):
            raise UsageError(
                f"{source} has no column {' or '.join(map(repr, self.names))}.",
                hint=f"Call one of its columns {self.names[0]}. "
                f"The first line of a CSV file names them, such as: {self.example}",
            )
        check_once(found, source, {*KNOWN, *self.names})


def check_once(names: Iterable[str], where: str, known: Collection[str] = KNOWN) -> None:
    """Raise UsageError if two names are the same known one: only one of their values counts."""
    seen = dict[str, str]()
    for name in names:
        if plain(name) in known and plain(name) in seen:
            raise UsageError(
                f"{where} has {seen[plain(name)]!r} and {name!r}, which mean the same.",
                hint="Leave out one of them.",
            )
        seen[plain(name)] = name


PREMISES = Columns(("premise", "prompt"), "premise,words,seed")


def plain(key: str) -> str:
    """The name of a field, as it is looked for."""
    return key.strip().lower().replace("-", "_")


def is_absent(value: object) -> bool:
    """Whether a value stands for none: tables have NaN in empty cells."""
    return value is None or value != value


def _is_number(value: object) -> bool:
    return str(value).strip().removesuffix(".0").isdecimal()


@lru_cache(maxsize=1_000)  # all records of an input tend to have the same keys
def _near(key: str) -> str:
    """The setting that a key other than a known one is nearly the name of, else ""."""
    if key in KNOWN:
        return ""
    return next(iter(difflib.get_close_matches(key, OF_THE_TEXT, n=1, cutoff=LIKENESS)), "")

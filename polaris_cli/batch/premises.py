"""Reads the premises of a batch, with the settings of each: `read_premises`.

A row that is wrong takes the place of a premise and costs no other row. Does not know file formats,
nor whether the values of settings are valid: `prepare` says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from polaris_cli.batch.fields import check_once, fields_of, is_absent, misspelt, unknown_in
from polaris_cli.batch.records import Notify, Record, ignore, name_of, records_of
from polaris_cli.errors import UsageError
from polaris_cli.request.settings import WHOLE
from polaris_cli.request.text_files import check_whole


@dataclass(frozen=True, slots=True)
class Row:
    """One premise of the input.

    `number` counts the rows from 1, `where` names the row's place ("premises.jsonl, line 3"). `id`
    is its own id, "" for none. `settings` are options for `prepare`, by the names of `SETTINGS`.
    `scale` is what an evaluation has multiplied the length by. `unused` are the names of its fields
    that mean nothing here.
    """

    number: int
    where: str
    id: str
    premise: str
    settings: dict[str, object]
    scale: float = 1.0
    unused: tuple[str, ...] = field(default=(), compare=False)

    @property
    def key(self) -> str:
        """What names the row: its own id, or its number."""
        return self.id or str(self.number)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read, and why; `number` and `where` are as in `Row`."""

    number: int
    where: str
    error: UsageError


def read_premises(source: str, notify: Notify = ignore) -> Iterator[Row | BadRow]:
    """The rows of a file, of standard input ("-") or of a data set ("hub:OWNER/NAME/SPLIT").

    `notify` is that of `records_of`. Raises UsageError at once for an input that cannot be read,
    has no rows or no column of premises, ModelUnavailable for a data set that is not available.
    Both may come later if the rest of the input is damaged.
    """
    name = name_of(source)
    rows = _rows(records_of(source, notify=notify), name)
    first = next(rows, None)
    if first is None:
        raise UsageError(f"{name} has no premises.", hint="Give one premise a line, or a row.")
    return chain([first], rows)


def _rows(records: Iterator[Record], name: str) -> Iterator[Row | BadRow]:
    places = dict[str, str]()
    for number, (place, values) in enumerate(records, 1):
        where = f"{name}, {place}"
        try:
            row = _row(number, where, values)
            _check_new(row, places)
        except UsageError as error:
            yield BadRow(number, where, error)
        else:
            places[row.key] = place
            yield row


def _row(number: int, where: str, values: dict[str, object] | UsageError) -> Row:
    if isinstance(values, UsageError):
        raise values
    _check_text(values, where)
    if found := misspelt(values):
        raise UsageError(f"{where} has no setting {found[0]!r}.", hint=f"Did you mean {found[1]}?")
    check_once((name for name, value in values.items() if not is_absent(value)), where)
    fields = fields_of(values)
    premise = _premise(fields.pop("premise", ""), where)
    own_id = _id(fields.pop("id", ""), where)
    settings = {name: _setting(name, value) for name, value in fields.items()}
    return Row(number, where, own_id, premise, settings, unused=unknown_in(values))


def _check_text(values: dict[str, object], where: str) -> None:
    """Raise UsageError for a key or a text with half a character."""
    for text in chain(values, values.values()):
        if isinstance(text, str):
            check_whole(text, where)


def _premise(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise UsageError(
            f"{where} has a premise that is not a text.", hint="Put the premise in double quotes."
        )
    if not value.strip():
        raise UsageError(f"{where} has no premise.", hint="Add the field 'premise'.")
    return value


def _id(value: object, where: str) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(whole(value)).strip()
    raise UsageError(
        f"{where} has an id that is neither a text nor a number.",
        hint="Give the row another id, or none.",
    )


def _setting(name: str, value: object) -> object:
    """The value of a setting; a whole number may be "42.0", as in CSV of a column with gaps."""
    if name in WHOLE and isinstance(value, str):
        return value.strip().removesuffix(".0")
    return whole(value)


def whole(value: object) -> object:
    """The value, as int if it is a float without decimals, as tables have in a column with gaps."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_new(row: Row, places: dict[str, str]) -> None:
    if row.key in places:
        raise UsageError(
            f"{row.where} has the id {row.key!r} of {places[row.key]} again.",
            hint="Give one of them another id; without one, a row has its number.",
        )

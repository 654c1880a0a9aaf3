"""Reads the records of a batch's input: of a file, of standard input or of a data set of the hub.

A record is its place ("line 3") and the values there, or the error that stands for them. Records
are read one after the other, and no file is held whole but a .json file. Knows file formats. Does
not know what the values mean.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from io import StringIO
from itertools import chain, groupby
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, NoReturn, TextIO

from polaris_cli.batch.fields import PREMISES, Columns
from polaris_cli.errors import ModelUnavailable, PolarisError, UsageError
from polaris_cli.models.hub_errors import causes, is_network_error
from polaris_cli.request.text_files import (
    MAX_BYTES,
    check_whole,
    not_utf8,
    read_stdin,
    read_text,
    unreadable,
)

Notify = Callable[[str], None]
Record = tuple[str, dict[str, object] | UsageError]

STDIN = "standard input"
HUB = "hub:"
EXAMPLE = '{"premise": "a fox", "words": 800}'
_LIST = re.compile(r'\s*\[\s*[{"\]]')  # how a JSON list of objects or texts begins
BATCH_ROWS = 256  # of a Parquet file: those that are in memory together
INSTALL = "pip install 'polaris-story[datasets]'"

csv.field_size_limit(MAX_BYTES)  # of a cell: some stories have more than the usual 131,072


def name_of(source: str) -> str:
    """What messages call an input."""
    return STDIN if source == "-" else source


def ignore(text: str) -> None:
    """Take a note that nobody is to read."""


def records_of(
    source: str, needed: Columns = PREMISES, notify: Notify = ignore
) -> Iterator[Record]:
    """The records of a file, of standard input ("-") or of a data set ("hub:OWNER/NAME/SPLIT").

    The suffix of a file tells its format; a file with any other suffix is text. Standard input is
    text, JSON lines, a JSON list, or CSV with a header of single words. `notify` is called with a
    sentence if lines of a text are read as one premise. The first record, or the end, raises
    UsageError for an input that cannot be read or lacks the `needed` columns, ModelUnavailable for
    a data set that is not available.
    """
    if source.startswith(HUB):
        return _from_hub(source, needed)
    if source == "-":
        return _from_stdin(needed, notify)
    path = _regular_file(source)
    if reader := _TABLES.get(path.suffix.lower()):
        return reader(path, needed)
    if read := _READERS.get(path.suffix.lower()):
        return read(path)
    return _from_text(path, notify)


def _regular_file(source: str) -> Path:
    path = Path(source)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if S_ISDIR(mode):
        raise UsageError(f"{path} is a folder.", hint="Name a file in it.")
    if not S_ISREG(mode):
        raise UsageError(
            f"{path} is not a regular file.", hint="Use a file, or - for standard input."
        )
    return path


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the errors of reading a file inside the block into UsageError."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise not_utf8(str(path), error.object.decode("latin-1")) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _opened(path: Path, newline: str | None = None) -> TextIO:
    """The file as text; bytes that are not UTF-8 become lone surrogates and cost one record.

    Raises UsageError for a file that is UTF-16 or no text, whose records all mean nothing.
    """
    with path.open("rb") as file:
        start = file.read(4096).decode("latin-1")
    if "\0" in start:
        raise not_utf8(str(path), start)
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def _from_stdin(needed: Columns, notify: Notify) -> Iterator[Record]:
    text = read_stdin(STDIN)
    lines = text.split("\n")
    if text.lstrip().startswith("{"):
        return _objects(lines, STDIN)
    if _LIST.match(text):
        return _items(text, STDIN)
    if delimiter := _delimiter(text.lstrip("\n").partition("\n")[0], needed):
        return _table(StringIO(text), STDIN, needed, delimiter)
    return _premises(lines, apart=_has_paragraphs(lines, STDIN, notify))


def _delimiter(line: str, needed: Columns) -> str:
    """What divides the names of columns in the first line of a table; "" for a line of text."""
    for delimiter in ("\t", _separator(line)):
        names = [name.strip().strip('"') for name in line.split(delimiter)]
        if needed.are_in(names) and not any(" " in name for name in names):
            return delimiter
    return ""


def _separator(header: str) -> str:
    """What divides the columns of a CSV file; where numbers have commas, spreadsheets write ";"."""
    return ";" if ";" in header and "," not in header else ","


def _from_text(path: Path, notify: Notify) -> Iterator[Record]:
    with _reading(path), path.open(encoding="utf-8-sig") as file:
        apart = _has_paragraphs(file, str(path), notify)
        file.seek(0)
        yield from _premises(file, apart=apart)


def _text_lines(lines: Iterable[str], name: str) -> Iterator[str]:
    """The lines, if none has a NUL: text has none, but UTF-16 and other data have."""
    for line in lines:
        if "\0" in line:
            raise not_utf8(name, line)
        yield line


def _has_paragraphs(lines: Iterable[str], name: str, notify: Notify) -> bool:
    """Whether a blank line is between two others. Reads to the end, where errors may be."""
    blocks = groupby(_text_lines(lines, name), lambda line: bool(line.strip()))
    lengths = [sum(1 for _ in block) for is_text, block in blocks if is_text]
    if sum(lengths) > len(lengths) > 1:
        told = f"{sum(lengths):,} lines are read as {len(lengths):,} premises"
        notify(f"{name}: {told}, as blank lines divide them. Without these, each line is one.")
    return len(lengths) > 1


def _premises(lines: Iterable[str], *, apart: bool) -> Iterator[Record]:
    """The premises of a text: its paragraphs if they are blocks `apart`, else its lines."""
    numbered = ((number, line.strip()) for number, line in enumerate(lines, 1))
    for is_text, block in groupby(numbered, lambda line: bool(line[1])):
        if not is_text:
            continue
        for number, premise in [_joined(block)] if apart else block:
            yield f"line {number}", {"premise": premise}


def _joined(block: Iterable[tuple[int, str]]) -> tuple[int, str]:
    """A paragraph's first line number, and its text on one line."""
    numbers, lines = zip(*block, strict=True)
    return numbers[0], " ".join(lines)


def _from_json_lines(path: Path) -> Iterator[Record]:
    with _reading(path), _opened(path) as file:
        yield from _objects(file, str(path))


def _objects(lines: Iterable[str], name: str) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"line {number}"
            yield place, _object_in(line.rstrip(), f"{name}, {place}")


def _object_in(line: str, where: str) -> dict[str, object] | UsageError:
    hint = f"Write one object a line, such as {EXAMPLE}"
    try:
        return _object(_parsed(line, where, hint), where)
    except UsageError as error:
        return error


def _object(value: object, where: str) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise UsageError(f"{where} is not a JSON object.", hint=f"Write an object, such as {EXAMPLE}")


def _parsed(text: str, where: str, hint: str) -> Any:
    """The value of a JSON text. Raises UsageError, also for NaN, which JSON does not have."""
    check_whole(text, where)
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        reason = f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:
        reason = str(error)
    raise UsageError(f"{where} is not valid JSON: {reason}.", hint=hint)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")


def _from_json(path: Path) -> Iterator[Record]:
    return _items(read_text(path), str(path))


def _items(text: str, name: str) -> Iterator[Record]:
    """The items of a JSON list."""
    hint = f"Write a list of objects, such as [{EXAMPLE}], or one object a line in a .jsonl file."
    items = _parsed(text, name, hint)
    if not isinstance(items, list):
        raise UsageError(f"{name} is not a list of premises.", hint=hint)
    for number, item in enumerate(items, 1):
        place = f"item {number}"
        try:
            yield place, _object(item, f"{name}, {place}")
        except UsageError as error:
            yield place, error


def _from_table(path: Path, needed: Columns, delimiter: str = "") -> Iterator[Record]:
    with _reading(path), _opened(path, newline="") as file:
        header = next(filter(str.strip, _lines(file)), "")
        file.seek(0)
        yield from _table(file, str(path), needed, delimiter or _separator(header))


def _lines(file: TextIO) -> Iterator[str]:
    """The lines; one without an end is not held whole."""
    return iter(partial(file.readline, MAX_BYTES), "")


def _table(file: TextIO, name: str, needed: Columns, delimiter: str) -> Iterator[Record]:
    """The records of CSV text, which are strict: else an open quote would swallow the rest."""
    rows = _table_rows(csv.reader(_lines(file), delimiter=delimiter, strict=True))
    number, header = next(rows, (0, None))
    if isinstance(header, csv.Error):
        raise _not_csv(f"{name}, line {number}", header)
    if header:
        needed.check(header, name)
        for number, cells in rows:
            yield f"line {number}", _record(header, cells, f"{name}, line {number}")


def _table_rows(reader: Any) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """The cells of each row that is not blank, or an error, with the number of its first line."""
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, error
        else:
            if any(map(str.strip, cells)):
                yield number, cells


def _record(
    header: list[str], cells: list[str] | csv.Error, where: str
) -> dict[str, object] | UsageError:
    """The cells of a row that are not empty, by column."""
    if isinstance(cells, csv.Error):
        return _not_csv(where, cells)
    if len(cells) > len(header):
        return UsageError(
            f"{where} has {len(cells)} fields, but there are {len(header)} columns.",
            hint='Put a text that contains the separator in double quotes: "a fox, a crow"',
        )
    return {name: cell for name, cell in zip(header, cells, strict=False) if cell.strip()}


def _not_csv(where: str, error: csv.Error) -> UsageError:
    return UsageError(
        f"{where} is not valid CSV: {error}.",
        hint='Close all double quotes, and double those inside a quoted text: "a ""red"" fox"',
    )


def _from_parquet(path: Path, needed: Columns) -> Iterator[Record]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError("Reading Parquet needs pyarrow.", hint=INSTALL) from error
    with _reading(path), path.open("rb") as file:
        try:
            table = parquet.ParquetFile(file)
            needed.check(table.schema_arrow.names, str(path))
            batches = table.iter_batches(batch_size=BATCH_ROWS)
            yield from _rows(chain.from_iterable(batch.to_pylist() for batch in batches))
        except UsageError:
            raise
        except Exception as error:  # pyarrow raises all kinds of errors for bad files
            raise UsageError(
                f"{path} is not a readable Parquet file.",
                hint="It may be damaged or encrypted. Save it again, or as a .jsonl or .csv file.",
            ) from error


def _rows(rows: Iterable[dict[str, object]]) -> Iterator[Record]:
    return ((f"row {number}", row) for number, row in enumerate(rows, 1))


def _from_hub(source: str, needed: Columns) -> Iterator[Record]:
    owner, name, split = _parts(source)
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise UsageError("Reading a data set of the hub needs datasets.", hint=INSTALL) from error
    try:
        table = load_dataset(f"{owner}/{name}", split=split, streaming=True)
        if table.column_names:
            needed.check(table.column_names, source)
        yield from _rows(table)
    except PolarisError:
        raise
    except Exception as error:  # those of datasets, of the hub's client and of the network
        raise _unavailable(f"{owner}/{name}", error) from error


def _parts(source: str) -> list[str]:
    """The owner, name and split in "hub:OWNER/NAME/SPLIT"."""
    parts = source.removeprefix(HUB).split("/")
    if len(parts) != 3 or not all(parts):
        raise UsageError(
            f"{source} is not a split of a data set.",
            hint="Type owner, name and split, such as hub:rishanthrajendhran/POLARIS/test",
        )
    return parts


def _unavailable(name: str, error: Exception) -> ModelUnavailable:
    if any(map(is_network_error, causes(error))):
        return ModelUnavailable(
            f"The data set {name} cannot be read: the hub cannot be reached.",
            hint="Connect to the internet, or use a file with the premises.",
        )
    reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
    return ModelUnavailable(
        f"The data set {name} cannot be read: {reason}.",
        hint=f"Check its owner, name and split: https://huggingface.co/datasets/{name}",
    )


_READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".jsonl": _from_json_lines,
    ".ndjson": _from_json_lines,
    ".json": _from_json,
}
_TABLES: dict[str, Callable[[Path, Columns], Iterator[Record]]] = {
    ".csv": _from_table,
    ".tsv": partial(_from_table, delimiter="\t"),
    ".parquet": _from_parquet,
}

"""Reads texts to evaluate: results of polaris, rows of other projects, folders, the library.

Knows field names. Yields one text at a time, and an error for each that cannot be used.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from textwrap import shorten
from typing import Any

from polaris_cli.batch.fields import Columns, is_absent, plain
from polaris_cli.batch.premises import whole
from polaris_cli.batch.records import records_of
from polaris_cli.batch.results import STORIES, failures_in
from polaris_cli.engines.base import ModelInfo
from polaris_cli.errors import PolarisError, UsageError
from polaris_cli.evaluate.origin import origin_of
from polaris_cli.evaluate.samples import Sample
from polaris_cli.events import Piece
from polaris_cli.formats.drafts import front_matter
from polaris_cli.library.store import Library
from polaris_cli.request.premise import read_length
from polaris_cli.request.settings import parse_words
from polaris_cli.request.text_files import parse_toml, read_text
from polaris_cli.story.result import Story
from polaris_cli.streaming.thinking import Splitter

# The names of a field in rows of the POLARIS evaluation, LongBench-Write, EQ-Bench and others, the
# first that is there counts.
TEXTS = ("output", "story", "response", "generation", "text")
PROMPTS = ("input", "prompt", "writing_prompt", "premise", "query")
LENGTHS = ("target_word_count", "words", "length")
COUNTS = ("word_count",)  # of words asked for, or, by other tools, written
IDS = ("uid", "id", "index", "prompt_id")
COLUMNS = Columns(TEXTS, "text,words")
TEXT_FILES = (".txt", ".md")
TABLES = (".csv", ".tsv")
FORMATS = (".jsonl", ".ndjson", ".json", ".parquet", *TABLES, *TEXT_FILES)
LENGTHS_FILE = "lengths.toml"
STATE_LENGTHS = f'Write the words asked for in {LENGTHS_FILE} there: "tale.txt" = 3000'
EVERYTHING = "*"

# How the POLARIS data states it at the end of a prompt, also behind what no reader of lengths takes
# for a request: "The story should be sad, be set in Rome, and be approximately 3000 words long."
_STATED = re.compile(
    r"\bbe\s+(?:(?:approximately|about|roughly)\s+)?(\d[\d,]*)\s+words\s+long\b", re.IGNORECASE
)


def samples_in(source: str, *, with_length: bool = True) -> Iterator[Sample | PolarisError]:
    """The texts in a file (.jsonl, .json, .csv, .parquet, .md) or folder.

    A folder is that of `polaris batch`, or has text files, whose lengths are in their front matter
    or in `lengths.toml`. A text without a length is an error, unless `with_length` is false. Raises
    UsageError if the file or folder cannot be read.
    """
    path = file_of(source)
    if path.is_dir():
        return _from_folder(path, with_length=with_length)
    if path.suffix.lower() in TEXT_FILES:
        found = _from_file(path)
        if with_length and not found.asked:
            raise UsageError(
                f"{source} does not say how many words were asked for.",
                hint=f"Put it in a folder. {STATE_LENGTHS}",
            )
        return iter([found])
    if path.is_file() and path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"{source} is in no format that polaris eval reads.",
            hint=f"Use one of: {', '.join(FORMATS)}, or a folder.",
        )
    return _from_rows(str(path), with_length=with_length)


def file_of(source: str) -> Path:
    """The file that is read: of the folder of a batch, that of its stories."""
    stories = Path(source) / STORIES
    return stories if stories.exists() else Path(source)


def failed_with(source: str) -> int:
    """How many stories failed of the batch whose folder, or whose stories, are read."""
    path = file_of(source)
    return failures_in(path.parent) if path.name == STORIES else 0


def samples_of_library(library: Library, query: Sequence[str]) -> Iterator[Sample]:
    """The finished texts of the library with all these words; all texts for "*"."""
    everything = list(query) == [EVERYTHING]
    entries = library.entries(None) if everything else library.search(query)
    for entry in entries:
        story = library.get(entry.id)
        if story.text and story.finish not in ("interrupted", "error"):
            yield sample_of_story(story)


def sample_of_story(story: Story) -> Sample:
    """The sample of a record."""
    place, quality = story.place, story.quality
    return Sample(
        text=story.text,
        asked=story.requested,
        model=story.model.name,
        prompt=story.premise,
        prompt_id=place.input_id if place else "",
        seed=story.request.sampling.seed,
        scale=place.scale if place else 1.0,
        finish=story.finish,
        closed=story.closed,
        surprise=quality.surprise_mean,
        surprise_worst=quality.surprise_worst,
        made=origin_of(story),
        model_id=_path_of(story.model),
        story_id=story.id,
    )


def _path_of(model: ModelInfo) -> str:
    """The folder or file that the model is called after, "" for a name that no other model has."""
    path = Path(model.id)
    return model.id if path.is_absolute() and model.name in (path.name, path.stem) else ""


def _from_rows(source: str, *, with_length: bool) -> Iterator[Sample | PolarisError]:
    for place, row in _rows_of(source):
        if isinstance(row, PolarisError):
            yield row
            continue
        try:
            found = sample_of_row(row, with_length=with_length)
            # Of rows that name no model, those of one file are one model's.
            yield found if found.model else replace(found, model_id=source)
        except (TypeError, ValueError, OverflowError) as error:
            yield UsageError(f"{source}, {place}: {error}.")


def _rows_of(source: str) -> Iterator[tuple[str, dict[str, Any] | PolarisError]]:
    """The rows of a file, each with its place in it. An object alone in a file is one row.

    In a batch that was killed, the last line of a key and of a story counts.
    """
    if Path(source).name == STORIES:
        return _last_of_each(source)
    if Path(source).suffix.lower() == ".json":
        try:
            found = json.loads(read_text(Path(source)))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{source} is not valid JSON: {error}.") from error
        rows = found if isinstance(found, list) else [found]
        return ((f"item {number}", row) for number, row in enumerate(rows, 1))
    records = records_of(source, COLUMNS)
    return map(_with_text, records) if Path(source).suffix.lower() in TABLES else records


def _with_text(
    record: tuple[str, dict[str, Any] | PolarisError],
) -> tuple[str, dict[str, Any] | PolarisError]:
    """A row of a table, which has a column of texts: an empty cell is a text of no words."""
    place, row = record
    if isinstance(row, PolarisError) or not {*TEXTS}.isdisjoint(map(plain, row)):
        return record
    return place, {**row, TEXTS[0]: ""}


def _last_of_each(source: str) -> Iterator[tuple[str, dict[str, Any] | PolarisError]]:
    last = {name: place for place, row in records_of(source) for name in _names(row)}
    return (
        (place, row)
        for place, row in records_of(source)
        if all(last.get(name, place) == place for name in _names(row))
    )


def _names(row: dict[str, Any] | PolarisError) -> Iterator[tuple[str, ...]]:
    """What names a story of a batch: its key, and its id, which it keeps with another key."""
    place = row.get("batch") if isinstance(row, dict) else None
    if isinstance(row, dict) and isinstance(place, dict) and place.get("key"):
        yield "key", str(place["key"])
        yield "id", str(row.get("id", place["key"])), str(place.get("fingerprint"))


def sample_of_row(row: Mapping[str, Any], *, with_length: bool = True) -> Sample:
    """The sample of a row. Raises TypeError, ValueError or OverflowError for one that is no object,
    has no text, no length where one is needed, or damaged values."""
    if not isinstance(row, Mapping):
        raise TypeError("it is not a JSON object")
    if str(row.get("schema", "")).startswith("polaris.story/"):
        return sample_of_story(Story.from_dict(dict(row)))
    if "rubric_key" in row:
        raise ValueError("it is a judge's record, not a story")
    row = {plain(name): value for name, value in row.items()}
    text = _first(row, TEXTS)
    if not isinstance(text, str):
        raise ValueError(f"it has no text (in a field {', '.join(TEXTS)})")
    prompt = str(_first(row, PROMPTS) or "")
    return Sample(
        text=without_thinking(text),
        asked=_asked(row, prompt, needed=with_length),
        model=str(row.get("model") or ""),
        prompt=prompt,
        prompt_id=_id(row),
        seed=_seed(row.get("seed")),
        checklist=tuple(map(_criterion, _list(row.get("checklist")))),
    )


def _id(row: Mapping[str, Any]) -> str:
    """The row's own id, which may be 0; "" for none."""
    found = _first(row, IDS)
    return "" if found is None else str(whole(found)).strip()


def _seed(value: object) -> int | None:
    """The seed of a row, None for what is none; tables have texts and decimals."""
    try:
        return int(str(value).removesuffix(".0"))
    except ValueError:
        return None


def without_thinking(text: str) -> str:
    """The story in an answer; it is not known whether the prompt had opened the thinking."""
    splitter = Splitter(opened=None)
    chunks = chain(splitter.feed(Piece(text)), splitter.flush())
    return "".join(chunk.text for chunk in chunks if chunk.kind == "story")


def _list(value: object) -> Sequence[object]:
    """A list, also as JSON in the cell of a table; empty for another value."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    return value if isinstance(value, list) else ()


def _criterion(value: object) -> str:
    """A criterion of a row: a text, or an object with the name, the description and the scale."""
    parts = value.items() if isinstance(value, Mapping) else [("", value)]
    return "\n".join(f"{name}: {part}" if name else str(part) for name, part in parts)


def _asked(row: Mapping[str, Any], prompt: str, *, needed: bool) -> int:
    """The words that were asked for: in a field, or stated in the prompt; 0 if nowhere."""
    if isinstance(said := row.get("length"), str) and not any(map(str.isdigit, said)):
        row = {**row, "length": None}  # "long", or the way in which it was reached: "single"
    if (given := _first(row, LENGTHS)) is not None:
        asked = _words(given)
    elif length := read_length(prompt).length:
        asked = length.words
    elif stated := _STATED.findall(prompt):
        asked = _words(stated[-1])
    elif (count := _first(row, COUNTS)) is not None:
        asked = _words(count)
    elif not needed:
        return 0
    else:
        raise ValueError(f"it has no length (in a field {', '.join(LENGTHS)}, or in the prompt)")
    if asked < 1:
        raise ValueError(f"its length is {asked}")
    return asked


def _words(given: object) -> int:
    """A number of words. Raises ValueError that says what there is instead."""
    try:
        return parse_words(int(given) if isinstance(given, float) else given)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"its length is {given!r:.40}, which is not a number of words") from error


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if not is_absent(row.get(name))), None)


def _from_folder(folder: Path, *, with_length: bool) -> Iterator[Sample | PolarisError]:
    """The text files of a folder, those first that its `lengths.toml` names.

    Its lengths count rather than those in front matter. The files without a length are one error.
    """
    file = folder / LENGTHS_FILE
    stated = read_text(file) if file.exists() else ""
    lengths = parse_toml(stated, file, "Fix the file, then try again.")
    paths = filter(_is_text_file, sorted(folder.glob("*")))
    names = list(dict.fromkeys((*lengths, *(path.name for path in paths))))
    if not names:
        raise UsageError(f"{folder} has neither {STORIES} nor text files.", hint=STATE_LENGTHS)
    without = []
    for name in names:
        try:
            found = _from_file(folder / name, lengths.get(name))
        except UsageError as error:
            yield error
            continue
        if found.asked or not with_length:
            yield found
        else:
            without.append(name)
    if without:
        told = shorten(", ".join(without), 300, placeholder=" and others")
        yield UsageError(f"{folder} does not say how many words were asked for: {told}.")


def _is_text_file(path: Path) -> bool:
    return path.suffix.lower() in TEXT_FILES and path.is_file()


def _from_file(path: Path, length: object = None) -> Sample:
    """A text file with this length, or the one in its front matter; `asked` is 0 without both.

    Those of a folder that name no model are one model's, which is called after the folder. Raises
    UsageError if it cannot be read, or the length is no number of words.
    """
    text, folder = read_text(path), path.parent.resolve()
    said: Mapping[str, Any] = {}
    if path.suffix.lower() == ".md":
        _, said, text = front_matter(text, str(path))
    row = {
        "output": text,
        "prompt": said.get("premise"),
        "words": said.get("words_requested") if length is None else length,
        "model": said.get("model") or folder.name,
        "id": path.name,
    }
    model_id = "" if said.get("model") else str(folder)
    try:
        found = sample_of_row(row, with_length=False)
        return replace(found, story_id=str(said.get("id") or ""), model_id=model_id)
    except ValueError as error:
        raise UsageError(f"{path}: {error}.") from error

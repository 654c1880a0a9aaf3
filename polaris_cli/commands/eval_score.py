"""`polaris eval score`: the figures of stories that need no judge.

Turns options into an evaluation; `polaris_cli.evaluate` makes it.
"""

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from polaris_cli.commands import options as o
from polaris_cli.commands.eval_report import ReportFile
from polaris_cli.errors import PolarisError, UsageError
from polaris_cli.evaluate.groups import LEAST_SCALE, Groups
from polaris_cli.screen.messages import note, warn
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.tables import print_table
from polaris_cli.version import __version__

SHOWN_ERRORS = 5
JUDGED = "judged.jsonl"

Scale = Annotated[
    float | None,
    Option(
        metavar="X", min=LEAST_SCALE, max=1, help="Shrink the buckets; default: as eval run did."
    ),
]
PrintJson = Annotated[bool, Option("--json", help="Print all figures as one JSON object.")]
PrintCsv = Annotated[bool, Option("--csv", help="Print all means and intervals as CSV.")]
PrintLatex = Annotated[bool, Option("--latex", help="Print the tables for LaTeX.")]


def score(
    stories: Annotated[
        list[str] | None, Argument(metavar="STORIES", help="Files or folders of stories.")
    ] = None,
    library: Annotated[
        str | None,
        Option(
            "--library", metavar="QUERY", help='Stories in the library with these words, or "*".'
        ),
    ] = None,
    judged: Annotated[
        list[Path] | None,
        Option(metavar="FILE", help="Records of eval judge; default: judged.jsonl next to them."),
    ] = None,
    scale: Scale = None,
    band: o.Band = None,
    output: Annotated[
        Path | None,
        o.written_file("--output", "-o", help="Save plots, tables and stories as html."),
    ] = None,
    force: o.Force = False,
    as_json: PrintJson = False,
    as_csv: PrintCsv = False,
    as_latex: PrintLatex = False,
) -> None:
    """Print the figures that need no judge, by length and by model.

    Texts are in length buckets and in the card's stages. Ratios are words written / words asked;
    "score" and "penalty" are the length score of the POLARIS evaluation and the length penalty of
    its training, "S_l" that of LongBench-Write. Intervals are 95% intervals of the mean.
    """
    from polaris_cli.evaluate.statistics import check_installed

    printed = Printed(as_json, as_csv, as_latex)
    if not stories and library is None:
        raise UsageError(
            "There are no stories.",
            hint='polaris eval score runs/stories.jsonl, or --library "*" for your own',
        )
    check_installed()
    report = ReportFile(output, force) if output else None
    if report:
        report.check()
    print_score(stories or [], library, scale, printed, band=band, report=report, judged=judged)


@dataclass(frozen=True, slots=True)
class Printed:
    """What is printed: tables, or one of these. Raises UsageError for two of them."""

    as_json: bool = False
    as_csv: bool = False
    as_latex: bool = False

    def __post_init__(self) -> None:
        if self.as_json + self.as_csv + self.as_latex > 1:
            raise UsageError("--json, --csv and --latex print different things.", hint="Take one.")


def print_score(
    sources: Sequence[str],
    library: str | None,
    scale: float | None,
    printed: Printed,
    *,
    band: str | None = None,
    report: ReportFile | None = None,
    judged: Sequence[Path] | None = None,
) -> None:
    """Score the stories of these files and folders and of the library, and print the figures.

    Without a `scale`, that of the stories counts. `judged` are files of a judge's records, by
    default those by the stories; records of other texts do not count.
    """
    from polaris_cli.evaluate.statistics import RESAMPLES
    from polaris_cli.evaluate.tables import Evaluation

    limits = _band(band)
    found, skipped = Evaluation(), Skipped()
    records = _by_text(_records_beside(sources) if judged is None else _records_in(judged))
    _score(found, skipped.without(samples_of(sources, library)), limits, report, records)
    skipped.report()
    if not found.scored:
        raise UsageError("No usable story was found.", hint="polaris eval score --help")
    scale = scale or scale_of(found.scales)
    found.groups = Groups(scale)
    tables, failed = found.tables(), _failed(sources)
    if report:  # first: the reader of a pipe may leave
        report.save(found, tables, limits, _sources(sources, library), skipped.count, failed)
    about = {"polaris": __version__, "band": limits, "resamples": RESAMPLES, "failed": failed}
    _print(tables, about, printed)
    if scale != 1:
        note("Score, penalty and blank are meant for full-length stories.", sys.stderr)


def _score(
    found: Any,
    samples: Iterator[Any],
    band: tuple[float, float],
    report: ReportFile | None,
    records: dict[str, list[dict[str, Any]]],
) -> None:
    """Add the texts, and the records of those that are judged."""
    from polaris_cli.evaluate.judgements import judged
    from polaris_cli.evaluate.judging import by_its_criteria, text_key
    from polaris_cli.evaluate.scoring import score_all

    for sample, figures in score_all(samples, band):
        found.add(sample, figures)
        if records:
            found.judged += judged(by_its_criteria(sample, records.pop(text_key(sample), ())))
        if report:
            report.texts.add(sample)


def scale_of(scales: Collection[float]) -> float:
    """The scale of stories with these scales; 1 if they differ, which is told."""
    if len(scales) == 1:
        return next(iter(scales))
    told = ", ".join(f"{scale:g}" for scale in sorted(scales))
    note(f"The stories have different scales ({told}), so no bucket is scaled: --scale", sys.stderr)
    return 1.0


def _by_text(records: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The records by the texts that they judge, each record once."""
    by_key = {record["key"]: record for record in records}
    by_text: dict[str, list[dict[str, Any]]] = {}
    for record in by_key.values():
        by_text.setdefault(record["text"], []).append(record)
    return by_text


def _records_in(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    from polaris_cli.evaluate.judge_file import read_records

    return chain.from_iterable(map(read_records, files))


def _records_beside(stories: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The records in the files beside the stories; one that has none, of another tool, is told."""
    for path in dict.fromkeys(judged_beside(Path(story)) for story in stories):
        if path.exists():
            try:
                yield from _records_in([path])
            except UsageError as error:
                warn(error.message, sys.stderr)


def judged_beside(source: Path) -> Path:
    """Where the judge's records of a file or folder of stories are."""
    return (source if source.is_dir() else source.parent) / JUDGED


def _failed(stories: Iterable[str]) -> int:
    """How many stories of these batches failed, which is told."""
    from polaris_cli.evaluate.reading import failed_with, file_of

    failed = sum(map(failed_with, {os.path.realpath(file_of(source)) for source in stories}))
    if failed:
        told = "1 story failed and is" if failed == 1 else f"{failed} stories failed and are"
        note(f"{told} in no table: failed.jsonl says why.", sys.stderr)
    return failed


def _sources(stories: Sequence[str], library: str | None) -> list[str]:
    return [*stories, *([] if library is None else [f"the library: {library}"])]


def _band(given: str | None) -> tuple[float, float]:
    if given is None:
        return 0.9, 1.1

    from polaris_cli.request.settings import checked_option
    from polaris_cli.request.story_request import check_band

    return checked_option("band", given, check_band)


def samples_of(
    stories: Iterable[str], library: str | None, *, with_length: bool = True
) -> Iterator[Any]:
    """The texts and errors of all sources, each file and each story of polaris once.

    A text without a length is an error if it is needed. Raises UsageError for a source that cannot
    be read.
    """
    from polaris_cli.evaluate.reading import file_of, samples_in, samples_of_library
    from polaris_cli.library.store import Library

    sources = {os.path.realpath(file_of(source)): source for source in stories}
    found = [samples_in(source, with_length=with_length) for source in sources.values()]
    if library is not None:
        found.append(samples_of_library(Library(), library.split()))
    yield from _each_once(chain.from_iterable(found))


def _each_once(samples: Iterable[Any]) -> Iterator[Any]:
    """Leave out a story that came before: one of a batch is in the library too."""
    seen = set[str]()
    for sample in samples:
        known = getattr(sample, "story_id", "")  # an error has none
        if known not in seen:
            yield sample
        seen |= {known} - {""}


class Skipped:
    """Counts the rows that cannot be used in `count`, and prints the first of them."""

    def __init__(self) -> None:
        self.count = 0

    def without(self, found: Iterable[Any]) -> Iterator[Any]:
        """Yield what is no error."""
        for each in found:
            if not isinstance(each, PolarisError):
                yield each
                continue
            self.count += 1
            if self.count <= SHOWN_ERRORS:
                warn(each.message, sys.stderr)

    def report(self) -> None:
        """Say how many rows are left out, if there are more than were printed."""
        if self.count > SHOWN_ERRORS:
            note(f"{self.count} rows are left out.", sys.stderr)


def _print(tables: Any, about: dict[str, Any], printed: Printed) -> None:
    from polaris_cli.evaluate import exports
    from polaris_cli.evaluate.layout import layout

    if printed.as_json:
        print_json(exports.as_json(tables, about), indent=2)
    elif printed.as_csv:
        print_text(exports.as_csv(tables).rstrip("\n"))
    elif printed.as_latex:
        print_text(exports.as_latex(layout(tables)).rstrip("\n"))
    else:
        for number, table in enumerate(layout(tables)):
            print_text(f"\n{table.title}" if number else table.title)
            print_table(table.headers, table.rows, sys.stdout, drop=table.least)
    if tables.outside:
        lowest, highest = tables.edges[0], tables.edges[-1]
        note(
            f"{tables.outside} of the texts were asked for in fewer than {lowest:,} or more than "
            f"{highest:,} words: they are in no bucket or stage. See --scale.",
            sys.stderr,
        )

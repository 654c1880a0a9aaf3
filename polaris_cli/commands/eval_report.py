"""The page of `polaris eval score -o` and `eval run --report`: checked first, saved at the end.

Knows files; `evaluate.report` makes the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from polaris_cli.commands.delivery import say_saved
from polaris_cli.commands.outputs import check_page
from polaris_cli.evaluate.report import About, Texts, report
from polaris_cli.evaluate.svg import check_installed
from polaris_cli.evaluate.tables import Evaluation, Tables
from polaris_cli.formats.files import write_pieces


@dataclass(frozen=True, slots=True)
class ReportFile:
    """Where a report goes, the option that says so, and the texts that are to be read in it."""

    path: Path
    force: bool
    option: str = "--output"
    texts: Texts = field(default_factory=Texts)
    quiet: bool = False

    def check(self) -> None:
        """Raise UsageError for a report that cannot be made or written."""
        check_page(self.path, force=self.force, example="report.html", option=self.option)
        check_installed()

    def save(
        self,
        found: Evaluation,
        tables: Tables,
        band: tuple[float, float],
        sources: Sequence[str],
        skipped: int,
        failed: int,
    ) -> None:
        """Write the page and, unless it is `quiet`, say so."""
        about = About(datetime.now(UTC).date().isoformat(), band, sources, skipped, failed)
        pieces = report(found, tables, self.texts, about)
        write_pieces(self.path, (piece.encode() for piece in pieces), force=self.force)
        if not self.quiet:
            say_saved(self.path, self.path.stat().st_size)

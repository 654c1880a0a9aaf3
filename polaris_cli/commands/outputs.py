"""`Outputs`: where a story goes, checked before a model is loaded.

Knows the options on files, not how they are written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polaris_cli.commands.standard_streams import Errors
from polaris_cli.errors import OutputError, UsageError
from polaris_cli.formats.export import check_output
from polaris_cli.formats.files import STDOUT, check_distinct, check_writable
from polaris_cli.library.store import library_files
from polaris_cli.request.conflicts import conflict


def check_page(path: Path, *, force: bool, example: str, option: str = "--output") -> None:
    """Raise UsageError for a file that is not HTML, or where no page can be written."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{path} is not an HTML file.", hint=f"Add {option} {example}")
    check_writable(path, force=force)
    check_apart([(option, path)])


def check_apart(outputs: Sequence[tuple[str, Path]]) -> None:
    """Raise UsageError if two of these named outputs, or one and the library, are the same file."""
    check_distinct([*outputs, *(("the library", file) for file in library_files())])


def deferred_errors(*, files: bool, save: bool) -> Errors:
    """The errors of standard output after which the story is still written to its end.

    It goes on for `files`, and for the library (`save`) unless a reader wants no more of it.
    """
    return (OutputError, BrokenPipeError) if files else (OutputError,) if save else ()


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a story goes besides stdout, and what is printed about it."""

    stories: Sequence[Path] | None = None
    thinking: Path | None = None
    force: bool = False
    as_json: bool = False
    quiet: bool = False
    show_thinking: bool = False
    save: bool = True
    strict: bool = False

    def check(self, *, plan: bool = False) -> None:
        """Raise UsageError for files that cannot be written, before a model is loaded, and for
        options that contradict.

        `plan`: the output is a plan, which is TOML whatever the file is called.
        """
        if self.show_thinking and self.quiet:
            raise conflict("--show-thinking", "--quiet")
        for file in self.files:
            (check_writable if plan else check_output)(file, force=self.force)
        if self.thinking:
            check_writable(self.thinking, force=self.force)
        thinking = [("--thinking-output", self.thinking)] if self.thinking else []
        check_apart([*(("--output", file) for file in self.files), *thinking])

    @property
    def files(self) -> list[Path]:
        """The files for the story, without "-": standard output gets the story in any case."""
        return [file for file in self.stories or () if file != STDOUT]

    @property
    def deferred_errors(self) -> Errors:
        """The errors of standard output after which the story is still written."""
        return deferred_errors(files=bool(self.files), save=self.save)

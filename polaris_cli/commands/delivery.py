"""Delivers a finished story: saves its files and prints its record.

Knows the options on where the story goes, not how it was written.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

from polaris_cli.commands.options import Outputs
from polaris_cli.errors import PolarisError
from polaris_cli.formats.export import format_of, render
from polaris_cli.formats.files import write_atomic
from polaris_cli.models.devices import size_text
from polaris_cli.screen.messages import one_line, print_line
from polaris_cli.screen.printing import print_json
from polaris_cli.story.result import Story


def deliver(story: Story, outputs: Outputs, out: TextIO) -> None:
    """Save the story's files and print the JSON record.

    Raises the first error once all that can be written is written.
    """
    problems = []
    for file, content in _files(story, outputs):
        try:
            data = content()
            write_atomic(file, data, force=outputs.force)
        except PolarisError as error:
            problems.append(error)
        else:
            _say_saved(file, len(data), outputs)
    if outputs.as_json:
        print_json(story.as_dict(), indent=2, stream=out)
    if problems:
        raise problems[0]


def _files(story: Story, outputs: Outputs) -> Iterator[tuple[Path, Callable[[], bytes]]]:
    """Each file, and what makes its content."""
    for file in outputs.files if story.text else ():
        yield file, partial(render, story, format_of(file))
    if outputs.thinking and story.thinking:
        yield outputs.thinking, f"{story.thinking}\n".encode


def _say_saved(file: Path, size: int, outputs: Outputs) -> None:
    if not outputs.quiet:
        print_line((f"polaris: saved {one_line(str(file))} ({size_text(size)})",), sys.stderr)

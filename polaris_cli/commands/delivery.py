"""Delivers a finished story: saves its files and prints its record.

Knows the options on where the story goes, not how it was written.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TextIO

from polaris_cli.commands.outputs import Outputs
from polaris_cli.errors import PolarisError
from polaris_cli.formats.cover import cover_of
from polaris_cli.formats.export import format_of, render
from polaris_cli.formats.files import write_atomic
from polaris_cli.models.devices import size_text
from polaris_cli.screen.messages import note, one_line, print_line
from polaris_cli.screen.printing import print_json
from polaris_cli.story.result import Story

File = tuple[Path, Callable[[], bytes]]
"""A file to write, and what makes its content."""


def deliver(story: Story, outputs: Outputs, out: TextIO) -> None:
    """Save the story's files and print the JSON record.

    Raises the first error once all that can be written is written.
    """
    try:
        files = story_files(story, outputs) if story.text else iter(())
        save_files(chain(files, _thinking_file(story, outputs)), outputs)
    finally:
        if outputs.as_json:
            print_json(story.as_dict(), indent=2, stream=out)


def deliver_plan(story: Story, plan: bytes, outputs: Outputs) -> None:
    """Save a plan, and the thinking about it, and say so.

    Raises the first error once all that can be written is written.
    """
    plans = ((file, lambda: plan) for file in outputs.files)
    save_files(chain(plans, _thinking_file(story, outputs)), outputs)


def save_files(files: Iterable[File], outputs: Outputs) -> None:
    """Write each file and say so.

    Raises the first error once all that can be written is written.
    """
    problems = []
    for file, content in files:
        try:
            data = content()
            write_atomic(file, data, force=outputs.force)
        except PolarisError as error:
            problems.append(error)
        else:
            if not outputs.quiet:
                say_saved(file, len(data))
    if problems:
        raise problems[0]


def story_files(story: Story, outputs: Outputs) -> Iterator[File]:
    """The story's files; the suffix of each sets its format."""
    cover = story.request.book.cover
    if outputs.files and cover and not outputs.quiet and not cover_of(story):
        note(f"The cover {cover} cannot be read, so the files have none.", sys.stderr)
    for file in outputs.files:
        yield file, partial(render, story, format_of(file))


def _thinking_file(story: Story, outputs: Outputs) -> Iterator[File]:
    if outputs.thinking and story.thinking:
        yield outputs.thinking, f"{story.thinking}\n".encode
    elif outputs.thinking and not outputs.quiet:
        note(f"There is no thinking to save in {one_line(str(outputs.thinking))}.", sys.stderr)


def say_saved(file: Path, size: int) -> None:
    """Say that a file is saved; `size` in bytes."""
    print_line((f"polaris: saved {one_line(str(file))} ({size_text(size)})",), sys.stderr)

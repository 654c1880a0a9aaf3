"""Progress of many stories: live on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from io import StringIO

import pytest

from polaris_cli.events import Chunk, Event, Finish
from polaris_cli.screen import batch_progress
from polaris_cli.screen.batch_progress import BatchProgress
from tests.screens import Tty


def events(words: int) -> Iterator[Event]:
    for _ in range(words):
        yield Chunk("story", "word ")
    yield Finish("stop")


def lines(progress: BatchProgress, width: int = 70) -> list[str]:
    return [line.plain for line in progress.moving(width)]


def test_each_story_has_a_line_while_it_is_written(tty: Tty) -> None:
    progress = BatchProgress(9, 2, tty.stream)
    run = progress.watch("5, 1k", "a fox\x1b[2J\n  and a hen", 1_000, events(1_200))
    for _ in range(1_100):
        next(run)
    told, bar = lines(progress)
    assert told.startswith("5, 1k  1,100 of 1,000 words  a fox") and "\x1b" not in told
    assert "2 of 9 done" in bar and "failed" not in bar
    for _ in run:
        pass
    progress.add(1_200)
    progress.add(None)
    (bar,) = lines(progress)
    assert "3 of 9 done" in bar and "1 failed" in bar and "left" in bar


def test_a_word_in_two_parts_is_one_word(tty: Tty) -> None:
    progress = BatchProgress(1, 0, tty.stream)
    parts = (Chunk("story", part) for part in ("light", "house ke", "eper", "s"))
    run = progress.watch("1", "a fox", 9, parts)
    for _ in range(4):
        next(run)
    assert lines(progress)[0].startswith("1  2 of 9 words")


def test_stories_that_failed_earlier_are_over_too(tty: Tty) -> None:
    progress = BatchProgress(4, 1, tty.stream, failed=2)
    (bar,) = lines(progress)
    assert "1 of 4 done" in bar and "2 failed" in bar and "left" not in bar
    progress.add(9)
    (bar,) = lines(progress)
    assert "2 of 4 done" in bar and "2 failed" in bar and "left" not in bar


def test_there_are_no_more_lines_than_the_terminal_has(tty: Tty) -> None:
    tty.resize(40, 6)
    progress = BatchProgress(90, 0, tty.stream)
    runs = [
        progress.watch(str(n), "a premise of many words, too long", 9, events(9)) for n in range(9)
    ]
    for run in runs:
        next(run)
    shown = lines(progress, 39)
    assert len(shown) <= 5 and max(map(len, shown)) <= 39
    with progress.shown(quiet=False):
        time.sleep(0.3)
        assert any("of 90 done" in line for line in tty.lines())
    assert tty.lines() == [""]


def test_elsewhere_a_line_is_written_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_progress, "EVERY", 0.02)
    err = StringIO()
    progress = BatchProgress(3, 0, err)
    with progress.shown(quiet=False):
        progress.add(100)
        time.sleep(0.2)
    told = err.getvalue().splitlines()
    assert len(told) > 1 and all(line.startswith("polaris: ") for line in told)
    assert "1 of 3 done" in told[-1] and "\x1b" not in err.getvalue()


def test_quiet_says_nothing() -> None:
    err = StringIO()
    with BatchProgress(3, 0, err).shown(quiet=True):
        pass
    assert err.getvalue() == ""

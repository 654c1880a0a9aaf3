"""Stories, progress and reports on several kinds of terminals and in pipes."""

import io
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli import words
from polaris_cli.engines.base import Deviation, ModelInfo
from polaris_cli.events import (
    Chapter,
    ChapterStart,
    Chunk,
    Event,
    Finish,
    Held,
    Inserted,
    Plan,
    Planned,
    Restart,
)
from polaris_cli.models.catalogue import DEMO
from polaris_cli.screen.messages import warn
from polaris_cli.screen.progress import StoryProgress
from polaris_cli.screen.terminal import loading, print_report, show, sinks_for
from polaris_cli.screen.wrapping import wrap
from polaris_cli.story import result
from polaris_cli.story.result import Timing, Tokens
from tests.screens import Recorder, Tty
from tests.stories import a_story

STORY = (
    "# The Letter\n\nThe fog came in [bold]at dusk[/bold] :smile:, and with it came the bell of the"
    " buoy beyond the bar.\n\n“Well,” she said to the gull, “it is not for me.”\n\n\n"
)
ESCAPE = "\x1b"


def cut(text: str, size: int = 3) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def stream(text: str = STORY, thinking: str = "A plan.\n", size: int = 3) -> Iterator[Event]:
    yield from (Chunk("thinking", part, 1) for part in cut(thinking, size))
    yield from (Chunk("story", part, 1) for part in cut(text, size))
    yield Finish("stop")


def wrapped(text: str, columns: int = 80) -> list[str]:
    return wrap(text.rstrip(), columns - 1)


# In a pipe


def shown(
    events: Iterator[Event], *, requested: int, out: Any, err: Any, **options: Any
) -> Iterator[Event]:
    return show(events, sinks_for(requested, out, err, **options))


def play(events: Iterator[Event], out: Any, err: Any, **options: Any) -> list[Event]:
    return list(shown(events, requested=30, out=out, err=err, **options))


@given(st.lists(st.text("ab \n\t\r\x1b—雾")))
def test_a_pipe_gets_the_story_and_one_line_break(parts: list[str]) -> None:
    out, err = StringIO(), StringIO()
    chunks: list[Event] = [Chunk("story", part) for part in parts]
    chunks.insert(0, Chunk("thinking", "a plan"))
    assert play(iter([*chunks, Finish("stop")]), out, err) == [*chunks, Finish("stop")]
    text = "".join(parts).rstrip()
    assert out.getvalue() == (f"{text}\n" if text else "")
    assert err.getvalue() == ""


def test_a_pipe_gets_each_chunk_at_once() -> None:
    out = Recorder()
    events = shown(stream("one two three", "", 4), requested=3, out=out, err=StringIO())
    next(events)
    assert out.seen[-1] == "one"
    next(events)
    assert out.seen[-1] == "one two"


def test_show_thinking_prints_it_before_the_story() -> None:
    err = StringIO()
    play(stream(thinking="One.\n\nTwo.\n\n"), StringIO(), err, show_thinking=True)
    assert err.getvalue() == "One.\n\nTwo.\n\n"
    err = StringIO()
    play(stream("", thinking="One.\n\nTwo.\n\n"), StringIO(), err, show_thinking=True)
    assert err.getvalue() == "One.\n\nTwo.\n"


def test_without_the_story_a_pipe_gets_nothing() -> None:
    out, err = StringIO(), StringIO()
    play(stream(), out, err, print_story=False)
    assert out.getvalue() == err.getvalue() == ""


class Closed(StringIO):
    """A pipe that is closed after the first line."""

    def write(self, text: str) -> int:
        if "\n" in self.getvalue():
            raise BrokenPipeError
        return super().write(text)


def test_a_closed_pipe_stops_the_stream() -> None:
    closed: list[str] = []

    def endless() -> Iterator[Event]:
        try:
            for number in itertools.count():
                yield Chunk("story", f"line {number}\n")
        finally:
            closed.append("upstream")

    out, events = Closed(), endless()
    with pytest.raises(BrokenPipeError):
        play(events, out, StringIO())
    assert closed == ["upstream"]
    assert out.getvalue() == "line 0\nline 1"


def test_progress_goes_to_a_terminal_next_to_a_pipe(tty: Tty) -> None:
    out = StringIO()
    events = shown(stream(), requested=30, out=out, err=tty.stream)
    next(events)
    wait_for(lambda: "thinking · 1 tokens" in tty.lines()[-1])
    until(events, "# T")
    wait_for(lambda: "2 of 30 words" in tty.lines()[-1])
    list(events)
    assert tty.lines() == [""]
    assert tty.cursor_shown
    assert out.getvalue() == STORY.rstrip() + "\n"


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "never came"
        time.sleep(0.02)


def until(events: Iterator[Event], phrase: str) -> None:
    """Yield events until the story ends with the phrase."""
    text = ""
    for event in events:
        if isinstance(event, Chunk) and event.kind == "story":
            text += event.text
            if text.endswith(phrase):
                return


# On a terminal


def test_a_terminal_shows_thinking_then_story_then_the_story_alone(tty: Tty) -> None:
    events = shown(stream(size=1), requested=30, out=tty.stream, err=tty.stream)
    next(events)
    wait_for(lambda: "thinking · 1 tokens" in tty.lines()[-1])
    assert "reading the prompt" in tty.raw()
    until(events, "and with it")
    wait_for(
        lambda: tty.lines()[-2:][0] == "The fog came in [bold]at dusk[/bold] :smile:, and with it"
    )
    assert "━" in tty.lines()[-1]
    assert "13 of 30 words" in tty.lines()[-1]
    assert not tty.cursor_shown
    list(events)
    assert tty.lines() == wrapped(STORY)
    assert tty.cursor_shown


@pytest.mark.parametrize("columns", [200, 20, 5])
def test_any_width_shows_the_story(tty: Tty, columns: int) -> None:
    tty.resize(columns)
    for event in shown(stream(), requested=30, out=tty.stream, err=tty.stream):
        if isinstance(event, Chunk) and event.text == "the":
            time.sleep(0.15)
    assert tty.lines() == wrapped(STORY, columns)


@pytest.mark.slow
def test_the_scrollback_contains_the_story_once(tty: Tty) -> None:
    tty.resize(40, 6)
    text = "\n\n".join(f"Paragraph {n} tells of a night at sea and of its end." for n in range(80))
    for number, _ in enumerate(shown(stream(text), requested=900, out=tty.stream, err=tty.stream)):
        if number % 100 == 0:
            time.sleep(0.11)
    assert tty.lines() == wrapped(text, 40)


def test_a_resize_during_the_story_leaves_only_the_story(tty: Tty) -> None:
    events = shown(stream(size=1), requested=30, out=tty.stream, err=tty.stream)
    until(events, "and with it came the")
    wait_for(lambda: "and with it came the" in tty.lines()[-2:][0])
    tty.resize(24)
    list(events)
    text = STORY.rstrip()
    assert " ".join(" ".join(tty.lines()).split()) == " ".join(text.split())


def test_control_characters_are_harmless_on_every_terminal(
    tty: Tty, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = "one \x1b[2J\x1b]0;title\x07 two \x9b31m three\r four"
    shown = "one ␛[2J␛]0;title␇ two \ufffd31m three␍ four"
    play(stream(bad), tty.stream, tty.stream)
    assert tty.lines() == [shown]
    monkeypatch.setenv("TERM", "dumb")
    play(stream(bad), tty.stream, tty.stream)
    assert tty.lines() == [shown, "", shown]


def test_thinking_is_dim_on_a_terminal_and_ends_with_an_empty_line(tty: Tty) -> None:
    play(stream("Story.", "Plan one.\n\nPlan two.\n"), tty.stream, tty.stream, show_thinking=True)
    assert tty.lines() == ["Plan one.", "", "Plan two.", "", "Story."]
    assert "\x1b[2mPlan one.\x1b[0m" in tty.raw()


def test_thinking_in_between_does_not_break_the_story(tty: Tty) -> None:
    events = [Chunk("story", "one"), Chunk("thinking", "hm"), Chunk("story", " two")]
    play(iter([*events, Finish("stop")]), tty.stream, tty.stream)
    assert tty.lines() == ["one two"]


def test_dumb_terminals_get_no_control_codes(tty: Tty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    tty.resize(20)
    play(stream(), tty.stream, tty.stream, show_thinking=True)
    with loading("Loading", tty.stream):
        warn("A warning of some length.", tty.stream)
    print_report(a_story(text="one two"), err=tty.stream)
    assert ESCAPE not in tty.raw()
    assert tty.lines()[: len(wrapped(STORY, 20)) + 2] == ["A plan.", "", *wrapped(STORY, 20)]


def test_no_color_turns_off_colours(tty: Tty, monkeypatch: pytest.MonkeyPatch) -> None:
    play(stream(), tty.stream, tty.stream)
    assert "\x1b[36m" in tty.raw()
    seen = len(tty.raw())
    monkeypatch.setenv("NO_COLOR", "1")
    play(stream(), tty.stream, tty.stream)
    print_report(a_story(text="one two"), err=tty.stream)
    assert "\x1b[3" not in tty.raw()[seen:]


@pytest.mark.parametrize("quiet", [True, False])
def test_without_progress_words_are_not_split(tty: Tty, quiet: bool) -> None:
    tty.resize(20)
    err = tty.stream if quiet else StringIO()
    play(stream(size=1), tty.stream, err, quiet=quiet, show_thinking=quiet)
    assert tty.lines() == wrapped(STORY, 20)
    assert ESCAPE not in tty.raw()


def test_words_appear_as_soon_as_they_are_complete(tty: Tty) -> None:
    events = shown(stream("one two three", "", 1), requested=3, out=tty.stream, err=StringIO())
    for _ in range(6):
        next(events)
    assert tty.lines() == ["one"]
    for _ in range(3):
        next(events)
    assert tty.lines() == ["one two"]
    list(events)


@given(st.lists(st.text("ab \n雾。", max_size=12), max_size=6), st.integers(4, 20))
def test_plain_wrapping_can_be_undone(parts: list[str], columns: int) -> None:
    tty = Tty(columns)
    try:
        events = [Chunk("story", part) for part in parts]
        play(iter([*events, Finish("stop")]), tty.stream, StringIO())
        text = "".join(parts).rstrip()
        assert tty.raw() == ("\r\n".join(wrapped(text, columns)) + "\r\n" if text else "")
    finally:
        tty.close()


def test_progress_without_the_story(tty: Tty) -> None:
    events = shown(stream(), requested=30, out=tty.stream, err=tty.stream, print_story=False)
    until(events, "# T")
    wait_for(lambda: "2 of 30 words" in tty.lines()[-1])
    list(events)
    assert tty.lines() == [""]


def broken(error: BaseException, closed: list[str]) -> Iterator[Event]:
    try:
        yield Chunk("story", "The beginning of")
        time.sleep(0.02)
        raise error
    finally:
        closed.append("upstream")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("broken")])
def test_any_ending_keeps_the_text_and_restores_the_terminal(
    tty: Tty, error: BaseException
) -> None:
    closed: list[str] = []
    events = broken(error, closed)
    with pytest.raises(type(error)):
        play(events, tty.stream, tty.stream)
    assert tty.lines() == ["The beginning of"]
    assert tty.cursor_shown
    assert closed == ["upstream"]
    assert not [thread for thread in threading.enumerate() if thread.name == "polaris-live"]


def test_closing_keeps_the_text_and_closes_the_source(tty: Tty) -> None:
    closed: list[str] = []
    upstream = broken(ValueError(), closed)
    events = shown(upstream, requested=9, out=tty.stream, err=tty.stream)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert tty.lines() == ["The beginning of"]
    assert tty.cursor_shown
    assert closed == ["upstream"]
    assert [Finish("stop")] == play(iter([Finish("stop")]), StringIO(), StringIO())


def test_the_terminal_is_restored_before_the_finish(tty: Tty) -> None:
    for event in shown(stream(), requested=30, out=tty.stream, err=tty.stream):
        if isinstance(event, Finish):
            assert tty.lines() == wrapped(STORY)
            assert tty.cursor_shown


def test_messages_go_above_the_progress_lines(tty: Tty) -> None:
    events = shown(stream("one two", "", 7), requested=30, out=tty.stream, err=tty.stream)
    next(events)
    warn("The disk is full.", tty.stream)
    assert tty.lines()[:2] == ["polaris: warning: The disk is full.", "one two"]
    list(events)
    assert tty.lines() == ["polaris: warning: The disk is full.", "one two"]


# Loading, report, messages, tables


def test_loading_shows_a_spinner_then_a_bar_then_nothing(tty: Tty) -> None:
    with loading("Loading demo", tty.stream) as progress:
        assert "Loading demo · 0 s" in tty.lines()[0]
        progress.update(0.5)
        wait_for(lambda: "50%" in tty.lines()[0])
        assert tty.lines()[0].startswith("━" * 15 + "─")
    assert tty.lines() == [""]


def test_loading_prints_nothing_when_quiet_or_piped(tty: Tty) -> None:
    err = StringIO()
    with loading("Loading demo", err) as progress:
        progress.update(0.5)
    with loading("Loading demo", tty.stream, quiet=True):
        pass
    assert err.getvalue() == tty.raw() == ""


TOY = ModelInfo("demo", "polaris/demo", dtype="float32", device="cpu")
SPENT: dict[str, Any] = {
    "tokens": Tokens(20, 142, story=398),
    "timing": Timing(0.5, 0.1, 1.0, 5.12, 105.7),
    "finish": "stop",
    "model": TOY,
}


def report(**fields: Any) -> str:
    err = StringIO()
    saved = fields.pop("saved", True)
    print_report(a_story("3f9a2c1b", "a b c d e f g h", **(SPENT | fields)), err=err, saved=saved)
    return err.getvalue()


def test_the_report_is_one_line() -> None:
    assert report() == (
        "polaris: 8 of 8 words (1.00), ended by itself; 142 thinking + 398 story tokens "
        "in 5.1 s (106 tokens/s); demo (toy, float32, cpu); id 3f9a2c1b\n"
    )


def test_the_report_says_how_words_without_spaces_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = a_story(text="แมวนอนบนเตียง ก")
    assert (story.written, story.segmented, story.counted) == (2, 5, 5)
    err = io.StringIO()
    print_report(story, err=err)
    assert "5 of 8 words (0.62; words found by ICU, 2 with spaces)" in err.getvalue()
    for module in (words, result):
        monkeypatch.setattr(module, "word_breaker", lambda: None)
    print_report(story, err=err)
    assert "2 of 8 words (0.25; approximate: no spaces between words)" in err.getvalue()
    print_report(a_story(text="a b c"), err=err)
    assert "3 of 8 words (0.38), " in err.getvalue()


def test_the_report_names_the_actual_model() -> None:
    model = ModelInfo("polaris", "x", None, "local", "4bit", "bfloat16", "cuda:0")
    assert "; polaris (4bit, bfloat16, cuda:0); not saved\n" in report(model=model, saved=False)
    server = ModelInfo("some-model", "x", engine="endpoint")
    line = report(model=server, tokens=Tokens(), timing=Timing(total_s=3.0))
    assert "ended by itself; 3.0 s; some-model (endpoint); id" in line
    assert "(5.3 tokens/s)" in report(timing=Timing(total_s=3.0, tokens_per_s=5.3))


@pytest.mark.parametrize(
    ("finish", "words"),
    [
        ("length", "cut off at the token limit"),
        ("loop", "looped and was stopped"),
        ("decay", "decayed and was stopped"),
        ("interrupted", "interrupted"),
        ("error", "failed"),
    ],
)
def test_the_report_says_how_the_story_ended(finish: str, words: str) -> None:
    assert report(finish=finish, words=20).startswith(f"polaris: 8 of 20 words (0.40), {words};")


def test_the_report_counts_the_tokens_of_a_plan() -> None:
    line = report(tokens=Tokens(20, 142, 60, 398))
    assert "; 142 thinking + 60 plan + 398 story tokens in 5.1 s" in line


def test_the_report_says_how_many_tokens_a_resumed_run_wrote() -> None:
    timing = Timing(total_s=3.0, tokens=40, tokens_per_s=15.0)
    line = report(tokens=Tokens(20, 0, 0, 100), timing=timing)
    assert "; 0 thinking + 100 story tokens, 40 of them new, in 3.0 s (15 tokens/s); " in line
    line = report(tokens=Tokens(20, 0, 0, 40), timing=timing)
    assert "; 0 thinking + 40 story tokens in 3.0 s (15 tokens/s); " in line


def test_the_report_is_coloured_by_the_band_and_wrapped_between_words(tty: Tty) -> None:
    tty.resize(30)
    story = a_story("3f9a2c1b", "a b c d e f g h", **SPENT)
    print_report(story, err=tty.stream)
    assert "\x1b[32m8 of 8 words (1.00)" in tty.raw()
    assert " ".join(tty.lines()) == report().strip()
    narrow = replace(story.request, band=(1.0, 1.2), words=9)
    print_report(replace(story, request=narrow), err=tty.stream)
    assert "\x1b[33m8 of 9 words (0.89)" in tty.raw()


def test_the_report_says_how_many_words_are_too_many() -> None:
    assert report(words=7).startswith("polaris: 8 of 7 words (1.14: 1 too many), ended by itself;")
    assert ", a passage rewritten 2 times;" in report(rewritten=2)


def test_the_report_does_not_repeat_how_an_engine_applies_the_models_own_settings() -> None:
    deviation = Deviation("dry_multiplier", "also inside words")
    own = float(str(DEMO.profile.settings["dry_multiplier"]))
    for value, told in ((own, False), (3.5, True)):
        err = StringIO()
        story = a_story(model=ModelInfo("demo", "demo"), deviations=(deviation,))
        sampling = replace(story.request.sampling, dry_multiplier=value)
        print_report(replace(story, request=replace(story.request, sampling=sampling)), err=err)
        assert ("settings not as asked: dry_multiplier" in err.getvalue()) is told


# Text that may still change


def held(*chunks: str) -> Held:
    return Held(tuple(Chunk("story", text, 1) for text in chunks))


def test_a_pipe_gets_held_text_when_it_settles() -> None:
    out = Recorder()
    events: list[Event] = [
        held("One."), held("One.", "\n\nTwo."), Held(), Chunk("story", "One.", 1),
        held("\n\nTwo."), Held(), Finish("stop"),
    ]  # fmt: skip
    play(iter(events), out, StringIO())
    assert out.seen[-1] == "One.\n"


def test_a_terminal_shows_held_text_and_takes_it_back() -> None:
    view = StoryProgress(10, StringIO(), with_story=True, with_thinking=False)
    view.add(Chunk("story", "It was late. \n\n", 1))
    view.hold(held("The bell", " rang.\n\nHere is", " chapter two.").chunks)
    assert view.settled(20) == []
    *text, progress = view.moving(40)
    assert [line.plain for line in text] == [
        "It was late.", "", "The bell rang.", "", "Here is chapter two.",
    ]  # fmt: skip
    assert "10 of 10 words" in progress.plain
    view.hold(())
    *text, progress = view.moving(40)
    assert [line.plain for line in text] == ["It was late."]
    assert "3 of 10 words" in progress.plain


# Speed


@pytest.mark.bench
def test_a_hundred_thousand_chunks_in_a_second(tty: Tty) -> None:
    for out, limit in ((StringIO(), 1.0), (tty.stream, 4.0)):
        began = time.perf_counter()
        err = tty.stream if out is tty.stream else StringIO()
        assert len(play(stream("word " * 100_000, size=5), out, err)) > 100_000
        assert time.perf_counter() - began < limit


@pytest.mark.parametrize("live", [True, False])
def test_the_thinking_of_each_chapter_begins_without_empty_lines(tty: Tty, live: bool) -> None:
    events: list[Event] = []
    for number in (1, 2):
        events += [ChapterStart(number, "T"), Chunk("thinking", f"plan {number}", 1)]
        events += [Inserted("heading", "## T\n\n"), Chunk("story", f"text {number}\n\n", 1)]
    piped = StringIO()
    play(iter([*events, Finish("stop")]), StringIO(), tty.stream if live else piped,
         show_thinking=True)  # fmt: skip
    shown = "\n".join(tty.lines()) if live else piped.getvalue()
    assert shown.strip() == "plan 1\n\nplan 2"


PLAN = Plan("The Fox", "a fox", (Chapter("Den", 5, "it wakes"), Chapter("Hill", 5, "it runs")))


def planning(*events: Event) -> Iterator[Event]:
    """A plan that is written twice, and more events."""
    yield from (Chunk("plan", "Title: Wrong\nno pl", 3), Restart(1))
    yield from (Chunk("plan", "**Title:** The Fox\n", 3), Chunk("plan", "1. Den", 2), *events)


def test_a_plan_is_shown_live_and_printed_as_it_was_read(tty: Tty) -> None:
    out = StringIO()
    events = shown(planning(), requested=30, out=out, err=tty.stream)
    for _ in range(4):
        next(events)
    time.sleep(0.3)
    assert "\n".join(tty.lines()).count("**Title:** The Fox") == 1  # it is still being written
    assert "\x1b[2m**Title:** The Fox" in tty.raw() and "planning" in tty.raw()
    events.close()  # type: ignore[attr-defined]
    assert "1. Den" in "\n".join(tty.lines()) and "Wrong" not in "\n".join(tty.lines())
    assert out.getvalue() == ""


def test_a_finished_plan_takes_the_place_of_the_one_that_was_written(tty: Tty) -> None:
    play(
        planning(Planned(PLAN), Chunk("story", "Once.", 1), Finish("stop")), tty.stream, tty.stream
    )
    assert tty.lines() == [*PLAN.as_lines().splitlines(), "", "Once."]


@pytest.mark.parametrize("thinking", [True, False])
def test_a_pipe_gets_the_finished_plan_on_stderr(thinking: bool) -> None:
    out, err = StringIO(), StringIO()
    events = planning(Planned(PLAN), Chunk("story", "Once.", 1), Finish("stop"))
    play(events, out, err, show_thinking=thinking)
    assert (out.getvalue(), err.getvalue().strip()) == ("Once.\n", PLAN.as_lines())


def test_a_pipe_gets_an_unfinished_plan_at_the_end() -> None:
    out, err = StringIO(), StringIO()
    play(planning(Finish("interrupted")), out, err)
    assert (out.getvalue(), err.getvalue()) == ("", "**Title:** The Fox\n1. Den\n")


def test_a_terminal_that_cannot_redraw_gets_the_message_once(
    tty: Tty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with loading("Loading demo", tty.stream) as view:
        view.update(0.5)
    assert tty.lines() == ["polaris: note: Loading demo ..."]

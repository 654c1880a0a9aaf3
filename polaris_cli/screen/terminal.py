"""Shows a story while it is written, its progress, and the report at the end.

Knows events, stories and streams, not options, models or files. Terminals get control codes, pipes
get plain text.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TextIO

from rich.cells import cell_len

from polaris_cli.engines.base import Deviation
from polaris_cli.events import (
    ChapterStart,
    Event,
    Finish,
    Held,
    Planned,
    Restart,
    as_chunk,
    closing,
    text_of,
)
from polaris_cli.models import catalogue
from polaris_cli.request.adherence import in_band
from polaris_cli.screen.capabilities import (
    can_redraw,
    encodable,
    harmless,
    is_terminal,
    terminal_size,
)
from polaris_cli.screen.endings import REASONS
from polaris_cli.screen.messages import Part, note, one_line, print_line
from polaris_cli.screen.meter import glyphs_of, per_second
from polaris_cli.screen.progress import LoadingProgress, StoryProgress
from polaris_cli.screen.region import Region
from polaris_cli.screen.wrapping import Trim, without_last_token, wrap
from polaris_cli.story.result import Story
from polaris_cli.words import count_words, has_unspaced_words

Sink = AbstractContextManager[Callable[[Event], None]]
"""A context manager that returns a function to show events. It ends before `Finish` is yielded."""


def show(events: Iterator[Event], sinks: Sequence[Sink]) -> Iterator[Event]:
    """Yield the events and show them on the sinks.

    However the stream ends, the text so far is shown, the terminal is restored and `events` is
    closed. Raises BrokenPipeError if the reader of a pipe has closed it.
    """
    with closing(events), ExitStack() as opened:
        shown = [opened.enter_context(sink) for sink in sinks]
        for event in events:
            if isinstance(event, Finish):
                opened.close()
            else:
                for take in shown:
                    take(event)
            yield event


def sinks_for(
    requested: int,
    out: TextIO,
    err: TextIO,
    *,
    quiet: bool = False,
    show_thinking: bool = False,
    print_story: bool = True,
) -> list[Sink]:
    """The sinks of a command: the story on `out`; plan, thinking and progress on `err`.

    `requested` is in words. `quiet` shows only the story, `print_story=False` everything else. On a
    terminal that can redraw lines, the progress sink prints the story too.
    """
    show_thinking = show_thinking and not quiet
    live = not quiet and can_redraw(err)
    on_out = live and print_story and can_redraw(out)
    sinks: list[Sink] = []
    if show_thinking and not live:
        sinks.append(_thinking(err))
    if print_story and not on_out:
        sinks.append(_story(out))
    if live:
        stream = out if on_out else err
        sinks.append(_progress(StoryProgress(requested, stream, on_out, show_thinking), stream))
    if not quiet:
        sinks.append(_plan(err, shown_live=live))
    return sinks


@contextmanager
def _story(out: TextIO) -> Iterator[Callable[[Event], None]]:
    with _writing(out) as writer:
        yield lambda event: writer.write(text_of(event, "story"))


@contextmanager
def _thinking(err: TextIO) -> Iterator[Callable[[Event], None]]:
    with _writing(err) as writer:

        def take(event: Event) -> None:
            if text_of(event, "story") or isinstance(event, Planned) or text_of(event, "plan"):
                writer.end("\n\n")
            thought = text_of(event, "thinking")
            writer.write(thought if writer.started else thought.lstrip("\n"))

        yield take


@contextmanager
def _progress(view: StoryProgress, stream: TextIO) -> Iterator[Callable[[Event], None]]:
    """Progress lines on a terminal, with the plan while it is written."""
    region = Region(stream, view)

    def take(event: Event) -> None:
        if isinstance(event, Held):
            view.hold(event.chunks)
        if isinstance(event, Restart | Planned | ChapterStart):
            view.add(event)
        if chunk := as_chunk(event):
            view.add(chunk)
        region.refresh()

    with region.running():
        try:
            yield take
        finally:
            view.end()


@contextmanager
def _plan(err: TextIO, *, shown_live: bool) -> Iterator[Callable[[Event], None]]:
    """The plan once it is complete, or the text so far of an unfinished one, if nothing else shows
    it; and what there is to say about it."""
    shown, unfinished = False, ""

    def take(event: Event) -> None:
        nonlocal shown, unfinished
        unfinished += text_of(event, "plan")
        if isinstance(event, Restart | Planned):
            unfinished = ""
        if isinstance(event, Planned) and not shown:  # later ones only have chapters inserted
            shown = True
            if event.note:
                note(event.note, err)
            if event.plan.titled and not shown_live:
                _print_dim(event.plan.as_lines(), err)

    try:
        yield take
    finally:
        if not shown_live:
            _print_dim(unfinished, err)


class _Writer:
    """Writes text to a stream at once, except for trailing white space."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._trim = Trim()
        self.started = False

    def write(self, text: str) -> None:
        ready = self._trim(text)
        if ready:
            self._put(self._shape(encodable(ready, self._stream)))
            self.started = True

    def end(self, closing: str = "\n") -> None:
        """End the text with `closing`, if any text was written."""
        if self.started:
            self.started = False
            self._put(self._rest() + closing)
        self._trim = Trim()

    def _shape(self, text: str) -> str:
        return text

    def _rest(self) -> str:
        return ""

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class _WrappedWriter(_Writer):
    """A writer for a terminal that cannot redraw: wraps lines between words.

    Holds a word back until it is complete, because it cannot be erased.
    """

    _line = ""  # the current line, and the part of it that is written
    _written = ""

    def _shape(self, text: str) -> str:
        width = max(terminal_size(self._stream)[0] - 1, cell_len(self._written))
        *done, self._line = wrap(self._line + harmless(text), width)
        before, self._written = self._written, without_last_token(self._line)
        return "\n".join([*done, self._written])[len(before) :]

    def _rest(self) -> str:
        rest = self._line[len(self._written) :]
        self._line = self._written = ""
        return rest


@contextmanager
def _writing(stream: TextIO) -> Iterator[_Writer]:
    writer = _WrappedWriter(stream) if is_terminal(stream) else _Writer(stream)
    try:
        yield writer
    finally:
        writer.end()


@contextmanager
def loading(message: str, err: TextIO, *, quiet: bool = False) -> Iterator[LoadingProgress]:
    """Show a progress line with `message` inside the block, if `err` is a terminal.

    A terminal that cannot redraw lines gets the message once.
    """
    view = LoadingProgress(message, glyphs_of(err))
    with ExitStack() as shown:
        if not quiet and can_redraw(err):
            shown.enter_context(Region(err, view).running())
        elif not quiet and is_terminal(err):
            note(f"{message} ...", err)
        yield view


def print_report(story: Story, *, err: TextIO, saved: bool = True) -> None:
    """Print the report, one line, and one more for settings that were not applied as asked.

    `saved`: the story is in the library.
    """
    good = in_band(story.counted, story.requested, story.request.band)
    line: list[Part] = [
        "polaris: ",
        (_length(story), "green" if good else "yellow"),
        ", ",
        (_ending(story), "" if story.finish == "stop" else "yellow"),
        _times(story.extended, "extended"),
        _times(story.rewritten, "a passage rewritten"),
        _left_out(story),
        (f"; {_cost(story)}; {one_line(_model(story))}; ", "dim"),
        (f"id {story.id}" if saved else "not saved", "dim"),
    ]
    print_line(line, err)
    if deviations := [one for one in story.deviations if one.ignored or _is_asked(one, story)]:
        told = one_line("; ".join(f"{one.setting}: {one.text}" for one in deviations))
        print_line(["polaris: ", (f"settings not as asked: {told}.", "dim")], err)


def _left_out(story: Story) -> str:
    words = count_words(story.aside)
    return f", {words} words of headings or comments left out" if words else ""


def _is_asked(deviation: Deviation, story: Story) -> bool:
    """Whether a setting has another value than the model's own, which suits its engine."""
    entry, sampling = catalogue.find(story.model.name), story.request.sampling
    own = entry.profile.settings.get(deviation.setting) if entry else None
    return own is None or own != getattr(sampling, deviation.setting, None)


def _ending(story: Story) -> str:
    return "closed at its length" if story.closed else REASONS[story.finish]


def _times(number: int, what: str) -> str:
    return {0: "", 1: f", {what} once"}.get(number, f", {what} {number} times")


def _length(story: Story) -> str:
    over = story.counted - story.requested
    told = f": {over:,} too many" if story.ratio > story.request.band[1] else ""
    return f"{story.counted} of {story.requested} words ({story.ratio:.2f}{told}{_count_of(story)})"


def _count_of(story: Story) -> str:
    """How the words were counted, where spaces do not tell them apart."""
    if story.segmented is not None:
        return f"; words found by ICU, {story.written} with spaces"
    return "; approximate: no spaces between words" if has_unspaced_words(story.text) else ""


def _cost(story: Story) -> str:
    """Tokens if known, seconds, speed."""
    tokens, timing = story.tokens, story.timing
    seconds = f"{timing.total_s:.1f} s"
    if not tokens.thinking and not tokens.plan and not tokens.story:
        return seconds
    speed = f" ({per_second(timing.tokens_per_s)})" if timing.tokens_per_s else ""
    plan = f"{tokens.plan} plan + " if tokens.plan else ""
    counts = f"{tokens.thinking} thinking + {plan}{tokens.story} story tokens"
    if timing.tokens is not None and timing.tokens < tokens.thinking + tokens.plan + tokens.story:
        counts += f", {timing.tokens} of them new,"
    return f"{counts} in {seconds}{speed}"


def _model(story: Story) -> str:
    model = story.model
    facts = [
        "toy" if model.name == "demo" else "",
        model.quantization if model.quantization != "none" else "",
        model.dtype,
        model.device,
        model.engine if model.engine != "local" else "",
        model.server if model.engine == "endpoint" else "",
    ]
    known = ", ".join(fact for fact in facts if fact)
    return f"{model.name} ({known})" if known else model.name


def _print_dim(text: str, err: TextIO) -> None:
    for line in text.strip().splitlines():
        print_line([(one_line(line), "dim")], err)

"""Keeping a story while it is written: nothing is lost, whoever ends the writing and however."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from polaris_cli.errors import UsageError
from polaris_cli.events import Again, Chapter, Chunk, Event, Finish, Held, Plan, Planned
from polaris_cli.library import recording
from polaris_cli.library.recording import SAVE_EVERY, Recorder
from polaris_cli.library.store import Library
from polaris_cli.story.accumulator import Accumulator, collect
from tests.cli import ROOT
from tests.stories import a_story, a_stream, chunks_in, no_warning, record


def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def test_the_stage_passes_everything_on_and_keeps_it(library: Library) -> None:
    events = list(a_stream("The fog", " came.\n"))
    new = a_story()
    assert list(record(iter(events), library, new, no_warning)) == events
    kept = library.get(new.id)
    assert replace(kept, timing=new.timing) == replace(
        collect(iter(events), new), timing=new.timing
    )
    assert kept.timing.tokens_per_s
    assert (kept.text, kept.thinking, kept.finish) == ("The fog came.", "Plan.", "stop")
    assert library.entry("last").state == "stop"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saving by the clock comes too late to be seen."""
    monkeypatch.setattr(recording, "SAVE_EVERY", 60.0)


@pytest.mark.usefixtures("patient")
def test_a_plan_is_kept_as_soon_as_it_is_known(library: Library) -> None:
    plan = Plan("The Fog", "", (Chapter("One", 4, "Fog comes."), Chapter("Two", 4, "It goes.")))

    def events() -> Iterator[Event]:
        yield Chunk("thinking", "Plan.")
        yield Planned(plan)
        yield Chunk("story", "## One\n\nFog.")

    stream = record(events(), library, a_story(), no_warning)
    next(stream)
    until(library.entries)
    next(stream)
    until(lambda: library.get("last").plan)
    assert library.get("last").plan == plan
    assert library.entry("last").title == "The Fog"
    list(stream)
    assert library.get("last").plan == plan


@pytest.mark.usefixtures("patient")
def test_a_story_whose_writer_is_killed_has_its_counts(library: Library) -> None:
    again = Again("rewritten"), Again("rewritten"), Again("extended")
    events = (Chunk("story", "Once.\n"), *again, Chunk("story", "More.\n"))
    written = record(iter(events), library, a_story(), no_warning)
    for _ in events:
        next(written)
    until(lambda: "More" in library.get("last").text)
    story = library.get("last")
    assert (story.extended, story.rewritten) == (1, 2)
    assert library.entry("last").state == "writing"


def test_a_row_is_there_while_the_story_grows(library: Library) -> None:
    stream = record(a_stream("The fog\n", "came."), library, a_story(), no_warning)
    next(stream)
    until(lambda: [entry.state for entry in library.entries()] == ["writing"])
    next(stream)
    until(lambda: library.get("last").text == "The fog")  # a line break saves at once
    assert library.entry("last").written == 2
    assert [entry.id for entry in library.search(["fog"])] == ["abcd1234"]
    with pytest.raises(UsageError, match="being written"):
        library.remove("last")
    assert [type(event) for event in stream] == [Chunk, Finish]
    assert library.get("last").text == "The fog\ncame."


def test_text_is_saved_in_time_while_no_event_comes(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "SAVE_EVERY", 0.2)
    stream = record(a_stream("no line break"), library, a_story(), no_warning)
    next(stream)
    until(lambda: library.entries())
    next(stream)
    until(lambda: library.get("last").text, 1.0)
    stream.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("patient")
def test_between_saves_nothing_is_saved(library: Library) -> None:
    saved: list[int] = []

    class Counting(Library):
        def append(self, id: str, events: Iterable[Event], held: Iterable[Chunk] = ()) -> None:
            super().append(id, events, held)
            saved.append(1)

    stream = record(a_stream("One."), Counting(library.path), a_story(), no_warning)
    next(stream)
    until(lambda: saved)
    time.sleep(0.05)
    assert len(saved) == 1
    stream.close()  # type: ignore[attr-defined]


def test_a_story_is_kept_when_its_whole_record_is(library: Library) -> None:
    accumulator = Accumulator(a_story())
    recorder = Recorder(library, accumulator, no_warning)
    for _ in recorder.watch(accumulator.watch(a_stream("One.\n"))):
        assert not recorder.saved
    assert recorder.saved


def test_a_stream_that_nobody_closes_does_not_hold_up_the_program(library: Library) -> None:
    stream = record(a_stream("One."), library, a_story(), no_warning)
    next(stream)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "library")
    stream.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("patient")
def test_whatever_fails_in_saving_is_told(library: Library) -> None:
    class Failing(Library):
        fails = True

        def append(self, id: str, events: Iterable[Event], held: Iterable[Chunk] = ()) -> None:
            if self.fails:
                raise OverflowError("Python int too large")
            super().append(id, events, held)

    failing, warnings, accumulator = Failing(library.path), list[str](), Accumulator(a_story())
    recorder = Recorder(failing, accumulator, warnings.append)
    for _ in recorder.watch(accumulator.watch(a_stream("One.\n", "Two.\n"))):
        until(lambda: recorder._problem)
        failing.fails = False
    assert len(warnings) == 1
    assert "not being saved: Unexpected error: OverflowError" in warnings[0]
    assert recorder.saved and library.get("last").text == "One.\nTwo."


def test_a_thread_that_does_not_start_costs_no_story(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    warnings = list[str]()
    events = list(record(a_stream("One.\n"), library, a_story(), warnings.append))
    assert len(events) == 3 and len(warnings) == 1 and "can't start new thread" in warnings[0]


# --- A story that breaks off ---


def test_closing_the_stage_keeps_what_there_is(library: Library) -> None:
    stream = record(a_stream("The fog", " came."), library, a_story(), no_warning)
    next(stream), next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert (library.get("last").text, library.entry("last").state) == ("The fog", "interrupted")


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError, RuntimeError])
def test_an_exception_passes_and_the_text_is_kept(
    library: Library, error: type[BaseException]
) -> None:
    def breaking() -> Iterator[Event]:
        yield Chunk("story", "The fog")
        raise error

    with pytest.raises(error):
        list(record(breaking(), library, a_story(), no_warning))
    assert (library.get("last").text, library.entry("last").state) == ("The fog", "interrupted")


def test_a_stream_without_text_leaves_no_row(library: Library) -> None:
    list(record(iter([Finish("stop")]), library, a_story(), no_warning))
    assert library.entries() == []


WRITER = """
import sys, time
from pathlib import Path
from polaris_cli.events import Chunk, Finish
from polaris_cli.library.store import Library
from tests.stories import record
from tests.stories import a_story

def slow(count, pause):
    for number in range(count):
        yield Chunk("story", f"w{number} ", 1, (number,))
        time.sleep(pause)
    yield Finish("stop")

path, id, count, pause, stall = sys.argv[1:]
for event in record(slow(int(count), float(pause)), Library(Path(path)), a_story(id), sys.exit):
    if isinstance(event, Chunk):
        print(event.text, flush=True)
        if event.text == f"w{stall} ":
            time.sleep(60)
"""


Writer = subprocess.Popen[str]


def start_writer(path: Path, id: str, count: int, pause: float, stall: int = -1) -> Writer:
    arguments = [str(path), id, str(count), str(pause), str(stall)]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is of POSIX")
def test_a_killed_process_loses_less_than_two_seconds(library: Library) -> None:
    promised = SAVE_EVERY + 0.5
    assert promised < 2
    came: list[tuple[float, str]] = []
    with start_writer(library.path, "dead0000", 100_000, 0.01) as writer:
        assert writer.stdout
        while not came or came[-1][0] - came[0][0] < promised + 0.3:
            word = writer.stdout.readline().strip()
            came.append((time.monotonic(), word))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    old = [word for moment, word in came if moment < came[-1][0] - promised]
    kept = library.get("dead")
    assert old and kept.text.split()[: len(old)] == old
    assert (library.entry("dead").state, kept.finish) == ("killed", "interrupted")
    ids = [id for chunk in chunks_in(library, "dead") for id in chunk.ids]
    assert ids == list(range(len(kept.text.split())))
    assert [entry.id for entry in library.search(["w9"])] == ["dead0000"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is of POSIX")
def test_a_process_killed_in_a_stall_loses_nothing_old(library: Library) -> None:
    with start_writer(library.path, "dead0000", 50, 0.001, stall=30) as writer:
        assert writer.stdout
        while writer.stdout.readline() != "w30 \n":
            pass
        time.sleep(SAVE_EVERY + 0.5)
        assert library.entry("dead").state == "writing"
        writer.kill()
        writer.wait()
    assert library.get("dead").text.split()[-1] == "w30"
    assert library.entry("dead").state == "killed"


@pytest.mark.slow
def test_two_processes_write_at_once(library: Library) -> None:
    writers = [start_writer(library.path, f"{n}000", 300, 0.001) for n in range(3)]
    for writer in writers:
        out, err = writer.communicate(timeout=30)
        assert (writer.returncode, err, len(out.split())) == (0, "", 300)
    assert sorted(entry.id for entry in library.entries()) == ["0000", "1000", "2000"]
    whole = [f"w{number}" for number in range(300)]
    assert all(library.get(entry.id).text.split() == whole for entry in library.entries())


@pytest.mark.bench
def test_saving_costs_less_than_a_hundredth(library: Library) -> None:
    """At 200 tokens a second, as processor time of the whole process."""

    def paced() -> Iterator[Event]:
        for number in range(1000):
            time.sleep(0.005)
            yield Chunk("story", "word " if number % 60 else "end.\n\n", 1, (number,))
        yield Finish("stop")

    def cost(events: Iterator[Event]) -> float:
        start = time.process_time()
        collect(events, a_story())
        return time.process_time() - start

    bare = cost(paced())
    assert cost(record(paced(), library, a_story(), no_warning)) - bare < 0.05


def test_what_is_held_back_is_kept_when_the_reader_goes_away(library: Library) -> None:
    held = Held((Chunk("story", " It was the end.", 2, (3, 4)),))
    stream = record(iter([Chunk("story", "One.", 1, (1,)), held]), library, a_story(), no_warning)
    next(stream), next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert library.get("last").text == "One. It was the end."
    # One row or two: on a busy machine, a first save may fall between them.
    assert [id for chunk in chunks_in(library, "last") for id in chunk.ids] == [1, 3, 4]


@pytest.mark.parametrize("come", [1, 2, 3])
def test_what_is_being_given_out_is_kept_when_the_reader_goes_away(
    library: Library, come: int
) -> None:
    given = Chunk("story", "One.", 1, (1,)), Chunk("story", " It was the end.", 2, (3, 4))
    stream = record(iter([Held(given=given), *given]), library, a_story(), no_warning)
    for _ in range(come):
        next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert library.get("last").text == "One. It was the end."
    assert [id for chunk in chunks_in(library, "last") for id in chunk.ids] == [1, 3, 4]

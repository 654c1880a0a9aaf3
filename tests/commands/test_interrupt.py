"""Signals stop the work during or between events, and never in the middle of a step."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from polaris_cli.api import run_job
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.events import Chunk, Event, Finish
from polaris_cli.models.catalogue import DEMO, ModelProfile
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.story_request import Length, Sampling, StoryRequest
from polaris_cli.story.prepare import settle
from polaris_cli.story.result import Story
from tests.scripts import paragraph, script


def signal_self(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_waiting_ends_the_stream(number: int) -> None:
    def source() -> Iterator[Event]:
        yield Chunk("story", "Once")
        signal_self(number)
        time.sleep(10)

    with Interrupts().listen() as interrupts:
        events = list(interrupts.watch(source()))
    assert events == [Chunk("story", "Once"), Finish("interrupted")]
    assert interrupts.seen


def test_a_signal_between_events_lets_the_consumer_finish_its_step() -> None:
    source = iter([Chunk("story", "Once"), Chunk("story", " more"), Finish("stop")])
    steps: list[object] = []
    with Interrupts().listen() as interrupts:
        for event in interrupts.watch(source):
            if len(steps) == 0:
                signal_self()
            steps.append(event)
    assert steps == [Chunk("story", "Once"), Finish("interrupted")]


@pytest.mark.parametrize("within", [True, False])
def test_held_back_text_is_passed_on_before_the_end(within: bool) -> None:
    def source() -> Iterator[Event]:
        try:
            yield Chunk("story", "Once")
            if within:
                signal_self()
            yield Chunk("story", " upon")
        except KeyboardInterrupt:
            yield Chunk("story", " held")
            yield Chunk("story", " back")
            raise

    events: list[object] = []
    with Interrupts().listen() as interrupts:
        for event in interrupts.watch(source()):
            if not events and not within:
                signal_self()
            events.append(event)
    texts = [event.text for event in events if isinstance(event, Chunk)]
    assert "".join(texts) == "Once held back"
    assert events[-1] == Finish("interrupted")


THREE = script(*(paragraph(name, 20) for name in "abc"))


def written_until(number: int, length: Length, *answers: list[str], continues: bool) -> Story:
    """A story that Ctrl-C stops after so many events."""
    interrupts = Interrupts()

    def watch(events: Iterator[Event]) -> Iterator[Event]:
        for at, event in enumerate(interrupts.watch(events)):
            yield event
            if at == number:
                interrupts.stop.set()

    profile = ModelProfile(good_words=(10, 400), continues=continues)
    reference = ModelRef("tiny", "tiny", entry=replace(DEMO, profile=profile))
    request = StoryRequest("a fox", 60, length=length, sampling=Sampling(thinking=False))
    engine = ScriptedEngine(*answers or [THREE])
    return run_job(settle(request, reference), engine, watch=watch).story


@pytest.mark.slow
@pytest.mark.parametrize("continues", [True, False])
@pytest.mark.parametrize("length", ["single", "extend"])
def test_ctrl_c_between_any_two_events_keeps_the_held_text(length: Length, continues: bool) -> None:
    """Also while it is given out at last, word by word."""
    texts = [""]
    for number in count():
        story = written_until(number, length, continues=continues)
        assert story.text.startswith(texts[-1])
        if story.finish != "interrupted":
            break
        texts.append(story.text)
    assert len(texts) > story.written == 60


def test_an_interrupted_story_has_its_counts() -> None:
    """Its first parts ended early, before the interrupt."""
    answers = [script(paragraph(name, 20)) for name in "abc"]
    story = written_until(100, "extend", *answers, continues=False)
    assert (story.finish, story.extended) == ("interrupted", 2)


def test_without_a_signal_all_events_pass_and_the_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts().listen() as interrupts:
        assert list(interrupts.watch(iter("abc"))) == ["a", "b", "c"]
    assert signal.getsignal(signal.SIGTERM) is before
    assert not interrupts.seen


def test_a_closed_terminal_may_send_its_signal_twice() -> None:
    with Interrupts().listen() as interrupts:
        events = interrupts.watch(iter("abc"))
        signal_self(signal.SIGHUP)
        signal_self(signal.SIGHUP)
        assert list(events) == [Finish("interrupted")]


def test_a_signal_in_a_finalizer_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    """Python swallows what is raised there."""

    class Last:
        def __del__(self) -> None:
            signal_self()

    def source() -> Iterator[Event]:
        yield Chunk("story", "Once")
        Last()
        yield Chunk("story", " upon")
        yield Chunk("story", " a time")

    with Interrupts().listen() as interrupts:
        events = list(interrupts.watch(source()))
    assert events == [Chunk("story", "Once"), Chunk("story", " upon"), Finish("interrupted")]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_the_caller_ignores_stays_ignored(number: int) -> None:
    """As after `nohup`, or in the background of a script."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Interrupts().listen() as interrupts:
            signal_self(number)
        assert not interrupts.seen and signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_second_signal_ends_the_process_at_once() -> None:
    program = """
import os, signal, time
from polaris_cli.commands.interrupt import Interrupts
with Interrupts(cleanup=lambda: print("bye", flush=True)).listen():
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "bye\n", "")


@pytest.mark.slow
def test_a_second_signal_leaves_no_half_written_file(tmp_path: Path) -> None:
    program = """
import os, signal, sys, time
from pathlib import Path
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.formats.files import atomic_file
with Interrupts().listen(), atomic_file(Path(sys.argv[1]), force=False) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
"""
    ended = subprocess.run([sys.executable, "-c", program, tmp_path / "story.txt"], timeout=60)
    assert ended.returncode == 130 and not [*tmp_path.iterdir()]

"""The Python interface: the same settings as the command line, whole or as a stream."""

import pytest

import polaris_cli
from polaris_cli import Chunk, Finish, UsageError, stream, write
from polaris_cli.engines.scripted import ScriptedEngine

SCRIPT = ["a plan", "\n</think>\n\n", "Once upon", " a time."]


def test_write_gives_the_story() -> None:
    story = write("a fox", engine=ScriptedEngine(SCRIPT), words=4, model="demo", seed=3)
    assert (story.text, story.ratio, story.sampling.seed) == ("Once upon a time.", 1.0, 3)


def test_stream_gives_events_and_one_finish() -> None:
    events = list(stream("a fox", engine=ScriptedEngine(SCRIPT), words=4, model="demo"))
    text = "".join(e.text for e in events if isinstance(e, Chunk) and e.kind == "story")
    assert text == "Once upon a time." and isinstance(events[-1], Finish)


def test_bad_settings_raise() -> None:
    with pytest.raises(UsageError, match="words is 0"):
        write("a fox", engine=ScriptedEngine(SCRIPT), words=0, model="demo")


def test_every_public_name_is_there() -> None:
    assert all(getattr(polaris_cli, name) for name in polaris_cli.__all__)
    with pytest.raises(AttributeError):
        _ = polaris_cli.nosuch

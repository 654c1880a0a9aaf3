"""The Python interface: the same settings as the command line, whole or as a stream."""

import gc
import itertools
import pickle
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import polaris_cli
from polaris_cli import (
    Book,
    Chunk,
    Event,
    Finish,
    Interrupted,
    Library,
    ModelUnavailable,
    Plan,
    Sampling,
    StoryRequest,
    UsageError,
    api,
    open_engine,
    save,
    stream,
    write,
)
from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.events import AnswerEvent
from polaris_cli.story.job import Job
from tests.cli import ROOT
from tests.servers.vllm_replay import VllmReplay

SCRIPT = ["a plan", "\n</think>\n\n", "Once upon", " a time."]


def test_write_gives_the_story() -> None:
    story = write("a fox", engine=ScriptedEngine(SCRIPT), words=4, model="demo", seed=3)
    assert (story.text, story.ratio, story.request.sampling.seed) == ("Once upon a time.", 1.0, 3)


def test_stream_gives_events_and_one_finish() -> None:
    events = list(stream("a fox", engine=ScriptedEngine(SCRIPT), words=4, model="demo"))
    text = "".join(e.text for e in events if isinstance(e, Chunk) and e.kind == "story")
    assert text == "Once upon a time." and isinstance(events[-1], Finish)


def test_an_interrupt_has_the_story_so_far() -> None:
    class Interrupting(ScriptedEngine):
        def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
            yield Chunk("story", "Once there was", 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        write("a fox", engine=Interrupting(), words=4, model="demo")
    assert isinstance(caught.value, Interrupted)
    story = caught.value.story
    assert (story.text, story.finish) == ("Once there was", "interrupted")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.story) == (Interrupted, str(caught.value), story)


def test_bad_settings_raise() -> None:
    with pytest.raises(UsageError, match="words is 0"):
        write("a fox", engine=ScriptedEngine(SCRIPT), words=0, model="demo")
    with pytest.raises(UsageError, match=r"^chapters and length single contradict each other"):
        write("a fox", engine=ScriptedEngine(SCRIPT), model="demo", chapters=2, length="single")


def test_an_unknown_setting_is_named_with_the_one_meant() -> None:
    with pytest.raises(UsageError, match="no setting 'wrods'") as refused:
        write("a fox", wrods=300)  # type: ignore[call-arg]
    assert refused.value.hint == "Did you mean words?"


def test_hints_are_in_pythons_words() -> None:
    with pytest.raises(UsageError, match="both set") as refused:
        write("a fox", model="demo", repetition_penalty=1.1, presence_penalty=1.0)
    assert "repetition_penalty=1.0" in refused.value.hint and "--" not in str(refused.value.hint)
    with pytest.raises(UsageError, match=r"^headings: invalid value 'x'"):
        write("a fox", headings="x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^The premise is not UTF-8 text") as refused:
        write("caf\udce9")
    assert "decode" in refused.value.hint
    with pytest.raises(UsageError, match=r"^words: invalid value 'many'"):
        write("a fox", model="demo", words="many")


def test_hints_name_what_there_is_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLARIS_GGUF_FILE", "Q4_K_M")
    with pytest.raises(UsageError) as refused, open_engine("demo"):
        pass
    assert refused.value.hint == "Leave out POLARIS_GGUF_FILE."
    with pytest.raises(UsageError) as refused:
        write("a fox", model="demo")
    assert refused.value.hint == "Leave out POLARIS_GGUF_FILE."
    with pytest.raises(UsageError) as refused:
        write("a fox", model="demo", gguf_file="Q4_K_M")
    assert refused.value.hint == "Leave out gguf_file."
    monkeypatch.delenv("POLARIS_GGUF_FILE")
    with pytest.raises(UsageError, match="The premise is empty") as refused:
        write(" ", model="demo")
    assert refused.value.hint.endswith('polaris write "a lighthouse keeper" --words 800')


def test_values_are_pythons_own() -> None:
    asked = {"words": "4", "band": (0.8, 1.2), "think": True, "chapters": None}
    story = write("a fox", engine=ScriptedEngine(SCRIPT), model="demo", **asked)  # type: ignore
    assert story.requested == 4


def test_a_whole_request_is_written() -> None:
    request = StoryRequest("a fox", 4, model="demo", sampling=Sampling(seed=9))
    story = write(request, engine=ScriptedEngine(SCRIPT))
    assert (story.text, story.request.sampling.seed) == ("Once upon a time.", 9)
    with pytest.raises(UsageError, match="already has its settings"):
        write(request, words=5)


def test_a_loaded_engine_writes_with_no_other_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "engine_for", lambda job: ScriptedEngine(SCRIPT))
    with open_engine("demo", device="cpu") as engine:
        assert write("a fox", engine=engine, words=4, model="demo", device="cpu").finish == "stop"
        whole = write(StoryRequest("a fox", 4), engine=engine)
        assert (whole.finish, whole.request.model) == ("stop", "demo")
        other = r"loaded with model='demo', not 'smollm2'\.$"
        with pytest.raises(UsageError, match=other):
            write("a fox", engine=engine, words=4, model="smollm2")
        with pytest.raises(UsageError, match=other):
            write(StoryRequest("a fox", 4, model="smollm2"), engine=engine)
        with pytest.raises(UsageError, match="loaded with quantize='auto', not '4bit'"):
            stream("a fox", engine=engine, words=4, quantize="4bit")
        with pytest.raises(UsageError, match="loaded with threads=None, not 3"):
            write("a fox", engine=engine, words=4, threads=3)
    with pytest.raises(UsageError, match="The engine is closed"):
        write("a fox", engine=engine, words=4)


def test_a_stream_ends_when_its_engine_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "engine_for", lambda job: ScriptedEngine(SCRIPT))
    with open_engine("demo") as engine:
        begun, new = (stream("a fox", engine=engine, words=4) for _ in range(2))
        next(begun)
        assert isinstance(engine, ScriptedEngine) and engine.running == 1
    for events in (begun, new):
        with pytest.raises(UsageError, match="The engine is closed"):
            list(events)
    assert engine.running == 0


def test_a_stream_can_be_closed_early() -> None:
    engine = ScriptedEngine(SCRIPT)
    with closing(stream("a fox", engine=engine, words=4, model="demo")) as events:
        next(events)
        assert engine.running == 1
    assert engine.running == 0


class Closable(ScriptedEngine):
    """Counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Closable:
    """The engine that `write` and `stream` load themselves."""
    engine = Closable(SCRIPT)
    monkeypatch.setattr(api, "engine_for", lambda job: engine)
    return engine


@pytest.mark.slow
def test_an_engine_for_one_story_is_closed_with_it(own: Closable) -> None:
    assert write("a fox", words=4, model="demo").text == "Once upon a time."
    assert own.closed == 1
    list(stream("a fox", words=4, model="demo"))
    assert own.closed == 2


@pytest.mark.parametrize("come", [0, 1])
def test_an_engine_for_one_story_is_closed_with_its_stream(own: Closable, come: int) -> None:
    with closing(stream("a fox", words=4, model="demo")) as events:
        for _ in range(come):
            next(events)
        assert (own.running, own.closed) == (come, 0)
    assert (own.running, own.closed) == (0, 1)


def test_an_engine_for_one_story_is_closed_if_the_story_cannot_start(own: Closable) -> None:
    own.context = 3
    for begin in (write, stream):
        with pytest.raises(UsageError):
            begin("a fox", words=4, model="demo")
    assert own.closed == 2


def test_an_engine_that_is_given_stays_open() -> None:
    engine = Closable(SCRIPT)
    write("a fox", engine=engine, words=4, model="demo")
    list(stream("a fox", engine=engine, words=4, model="demo"))
    assert not engine.closed


@pytest.mark.parametrize("engine", [open_engine("demo"), {}, 42])
def test_what_is_no_engine_is_refused(engine: Any) -> None:
    with pytest.raises(UsageError, match="The engine is not a loaded model") as refused:
        write("a fox", engine=engine, words=4, model="demo")
    assert refused.value.hint == 'Load one: with open_engine("demo") as engine'


@pytest.mark.parametrize("premise", [None, 3, b"a fox", ["a fox"], {"premise": "a fox"}])
def test_a_premise_that_is_no_text_is_refused(premise: Any) -> None:
    with pytest.raises(UsageError, match=r"premise is .*, but must be text or a StoryRequest"):
        write(premise, words=4, model="demo")
    with pytest.raises(UsageError, match=r"premise is .*, but must be text\.$"):
        StoryRequest(premise, 4)


def test_a_story_that_fails_tells_why_in_pythons_words() -> None:
    lost = Script(["Once"], error=ModelUnavailable("It is gone.", hint="Try --words 8"))
    story = write("a fox", engine=ScriptedEngine(lost), words=4, model="demo", think=False)
    assert (story.finish, story.text) == ("error", "Once")
    assert story.error == "It is gone. Try words=8"


def test_a_path_is_as_good_as_its_text(tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text('template = "{premise}, {words} words"\n')
    engine = ScriptedEngine(SCRIPT)
    story = write("a fox", engine=engine, words=4, model=Path("demo"), preset=preset)
    assert story.prompt == "a fox, 4 words" and story.request.model == "demo"


def test_a_cover_is_read_before_the_story_is_written(tmp_path: Path) -> None:
    engine, missing = ScriptedEngine(SCRIPT), tmp_path / "missing.png"
    request = StoryRequest("a fox", 4, model="demo", book=Book(cover=str(missing)))
    with pytest.raises(UsageError, match="Cannot read"):
        write("a fox", engine=engine, words=4, model="demo", cover=missing)
    with pytest.raises(UsageError, match="Cannot read"):
        stream(request, engine=engine)
    assert not engine.requests


def test_a_request_that_would_be_written_otherwise_is_refused() -> None:
    engine = ScriptedEngine(SCRIPT)
    with pytest.raises(UsageError, match="has chapters, and length single, which writes none"):
        write(StoryRequest("a fox", 400, model="demo", chapters=3), engine=engine)
    for template in ("Write {plot}", "Write"):
        with pytest.raises(UsageError, match=r"^template: invalid value"):
            write(StoryRequest("a fox", 4, model="demo", template=template), engine=engine)


@pytest.mark.slow
def test_a_server_writes_many_stories() -> None:
    with VllmReplay("Once.", model="tales") as server:
        with open_engine(base_url=server.url, words=30) as engine:
            first, second = (write(p, engine=engine, words=1) for p in ("a fox", "a hen"))
        alone = write("an owl", words=1, base_url=server.url, think=False)
        asked = {request["model"] for request in server.requests}
    assert {first.text, second.text, alone.text} == {"Once."} and asked == {"tales"}
    assert first.model.engine == second.request.engine == "endpoint"
    assert first.request.server and first.request.server.base_url == f"{server.url}/v1"


@pytest.fixture
def loaded_weights(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[weakref.ref[Any]]]:
    """Weak references to weights of the models that are loaded; the collector does not run."""
    found, load = list[weakref.ref[Any]](), api.engine_for

    def noting(job: Job) -> Engine:
        engine = load(job)
        found.append(weakref.ref(next(vars(engine)["_model"].parameters())))
        return engine

    monkeypatch.setattr(api, "engine_for", noting)
    gc.disable()
    yield found
    gc.enable()


@pytest.mark.slow
def test_a_closed_engine_has_no_weights(loaded_weights: list[weakref.ref[Any]]) -> None:
    write("a fox", words=10, model="demo", think=False)
    list(stream("a fox", words=10, model="demo", think=False))
    with open_engine("demo", words=100):
        pass
    assert [weights() for weights in loaded_weights] == [None] * 3


@pytest.mark.slow
def test_one_engine_writes_many_stories_that_are_saved_and_kept(tmp_path: Path) -> None:
    with open_engine("demo", words=100) as engine:
        fox, hen = (write(p, engine=engine, words=30, think=False) for p in ("a fox", "a hen"))
    assert fox.text != hen.text and fox.model.name == "demo"
    save(fox, str(tmp_path / "fox.md"))
    with pytest.raises(UsageError, match="already exists") as refused:
        save(fox, tmp_path / "fox.md")
    assert refused.value.hint == "Add force=True to overwrite it."
    library = Library(tmp_path / "library.db")
    library.finish(hen)
    assert library.get(hen.id).text == hen.text


SCRIPT_OF_A_USER = """
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from polaris_cli import Chunk, Library, Story, StoryRequest, open_engine, save, stream, write

story: Story = write("a fox", words=300, model="demo", band=(0.8, 1.2), length="chapters")
save(story, "fox.epub", force=True)
print(story.ratio, [entry.title for entry in Library().entries()])
with open_engine("demo", quantize="4bit") as engine:
    with closing(stream(StoryRequest("a hen", 200), engine=engine)) as events:
        for event in events:
            if isinstance(event, Chunk) and event.kind == "story":
                print(event.text, end="")
tale = write("an owl", model=Path("model.gguf"), preset=Path("mine.toml"))
"""


MISTAKES = {"words=300": "wrods=300", '"chapters"': '"chapter"', "(0.8, 1.2)": '"0.8-1.2"'}


@pytest.mark.slow
def test_strict_mypy_reads_a_users_script_and_finds_each_mistake(tmp_path: Path) -> None:
    """One run, in this folder: what mypy keeps of the package there saves it half a minute."""
    (tmp_path / "right.py").write_text(SCRIPT_OF_A_USER)
    for number, (right, wrong) in enumerate(MISTAKES.items()):
        (tmp_path / f"wrong{number}.py").write_text(SCRIPT_OF_A_USER.replace(right, wrong))
    files = sorted(map(str, tmp_path.glob("*.py")))
    command = [sys.executable, "-m", "mypy", "--strict", *files]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    told = [line.partition(":")[0] for line in checked.stdout.splitlines() if ": error: " in line]
    assert sorted(told) == files[1:] and len(files) == 1 + len(MISTAKES), checked.stdout


def test_whatever_a_user_meets_has_a_public_name() -> None:
    kinds = [*get_type_hints(StoryRequest).values(), *get_type_hints(Plan).values()]
    met = {*get_args(Event), *itertools.chain(kinds, *map(get_args, kinds))}
    ours = {k.__name__ for k in met if getattr(k, "__module__", "").startswith("polaris_cli.")}
    assert {"Held", "Again", "Draft", "ServerAddress", "Chapter"} <= ours
    assert ours <= {*polaris_cli.__all__}


def test_every_public_name_is_there() -> None:
    assert all(getattr(polaris_cli, name) for name in polaris_cli.__all__)
    with pytest.raises(AttributeError):
        _ = polaris_cli.nosuch

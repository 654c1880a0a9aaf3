"""What is settled before a model is loaded: which source of a setting wins."""

from pathlib import Path

import pytest

from polaris_cli.batch.at_once import stories_at_once
from polaris_cli.errors import PolarisError, UsageError
from polaris_cli.events import Chapter, Plan
from polaris_cli.models.catalogue import DEMO
from polaris_cli.models.reference import ModelRef, of_entry
from polaris_cli.request.book import Book
from polaris_cli.request.budget import Budget
from polaris_cli.request.settings import Setting
from polaris_cli.request.story_request import Draft, Sampling, StoryRequest
from polaris_cli.story.job import Job
from polaris_cli.story.plan_file import PlanFile
from polaris_cli.story.prepare import prepare, settings_for, settle

TEMPLATE = 'template = "Write a {words}-word {form} about {premise}."\n'


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "polaris" / "presets"
    folder.mkdir(parents=True)
    (folder / "cool.toml").write_text(f"{TEMPLATE}temperature = 0.2\n")
    (folder / "bare.toml").write_text(TEMPLATE)
    return folder.parent


OWN = DEMO.profile.settings["temperature"]


def temperature(**options: object) -> tuple[float, str]:
    prepared = prepare("a fox", {"model": "demo", **options})
    setting = prepared.settings["temperature"]
    assert setting.value == prepared.request.sampling.temperature
    return setting.value, setting.source


def test_a_chosen_preset_wins_over_what_suits_the_model(config: Path) -> None:
    assert temperature() == (OWN, "model demo")
    assert temperature(preset="cool") == (0.2, "preset cool")
    assert temperature(preset="bare") == (OWN, "model demo")
    assert temperature(preset="cool", temperature=0.7) == (0.7, "option")
    (config / "config.toml").write_text('preset = "cool"\n')
    assert temperature() == (0.2, "preset cool")
    assert temperature(preset="default") == (0.6, "preset default")


@pytest.mark.parametrize("name", ["preset", "model"])
def test_an_unknown_name_is_said_to_be_where_the_user_set_it(
    name: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"model": "demo", name: "nosuch"}
    with pytest.raises(PolarisError, match=r"^(There is no|No) .*'nosuch'"):
        prepare("a fox", options)
    options.pop(name)
    (config / "config.toml").write_text(f'{name} = "nosuch"\n')
    with pytest.raises(PolarisError) as refused:
        prepare("a fox", options)
    assert refused.value.message.startswith(f"{name} in config.toml: ")
    monkeypatch.setenv(f"POLARIS_{name.upper()}", "missing")
    with pytest.raises(PolarisError) as refused:
        prepare("a fox", options)
    assert refused.value.message.startswith(f"POLARIS_{name.upper()}: ")


def test_a_device_that_is_not_there_is_said_to_be_where_the_user_set_it(config: Path) -> None:
    (config / "config.toml").write_text('device = "cuda:99"\n')
    job = prepare("a fox", {"model": "demo"})
    with pytest.raises(UsageError, match=r"^device in config\.toml: There is no device") as refused:
        stories_at_once(job)
    assert refused.value.hint.startswith("Leave out device in config.toml, or add --device cpu")


def test_a_gguf_file_of_the_config_counts_only_for_a_model_that_has_some(
    config: Path, tmp_path: Path
) -> None:
    (config / "config.toml").write_text('gguf_file = "Q2_K"\n')
    for model in ("demo", "smollm2"):
        job = prepare("a fox", {"model": model})
        assert job.request.gguf_file is None and "gguf_file" not in job.settings
        with pytest.raises(UsageError, match="--gguf-file Q2_K cannot be used"):
            prepare("a fox", {"model": model, "gguf_file": "Q2_K"})
    for name in ("a-Q2_K.gguf", "a-Q8_0.gguf"):
        (tmp_path / name).write_bytes(b"0" * 10)
    options = {"model": str(tmp_path), "engine": "gguf", "words": 100}
    assert prepare("a fox", options).request.gguf_file == "a-Q2_K.gguf"
    (config / "config.toml").write_text('gguf_file = "Q4_K_M"\n')
    with pytest.raises(UsageError, match="Q4_K_M"):
        prepare("a fox", options)


def test_a_preset_needs_no_length_of_its_own() -> None:
    words = prepare("a fox", {"model": "demo", "preset": "bare"}).settings["words"]
    assert (words.value, words.source) == (1500, "built in")


def test_what_suits_the_model_counts_however_it_was_chosen() -> None:
    settings = settings_for("a fox", [], of_entry(DEMO))
    assert "model" not in settings  # as under `auto`
    assert settings["temperature"] == Setting(OWN, "model demo")


def test_the_length_is_read_out_of_the_premise_where_no_option_says_it() -> None:
    premise = "a 1500-2000 word tale about a fox"
    read = prepare(premise, {"model": "demo"})
    assert (read.request.words, read.settings["words"].source) == (1750, "the premise")
    assert read.request.band != StoryRequest("a fox", 5).band
    assert read.notes[0].startswith("Length: 1,750 words")
    told = prepare(premise, {"model": "demo", "words": 800})
    assert told.request.words == 800
    assert told.request.band == StoryRequest("a fox", 5).band  # that of the premise is of 1,750


def settled(words: int = 400, **more: object) -> Job:
    return settle(StoryRequest("a fox", words, **more), of_entry(DEMO))  # type: ignore[arg-type]


def test_auto_becomes_the_name_of_the_model() -> None:
    assert settled(model="auto").request.model == "demo"
    folder = ModelRef("fox", "/models/fox")
    asked = StoryRequest("a fox", 5, model="/models/fox")
    assert settle(asked, folder).request.model == "/models/fox"


def test_auto_extends_as_far_as_the_model_writes_well() -> None:
    most = of_entry(DEMO).profile.good_words[1]
    assert settled(most, length="auto").request.length == "extend"
    assert settled(most + 1, length="auto").request.length == "chapters"
    assert settled(most + 1, length="single").request.length == "single"


def test_the_words_of_a_draft_need_no_tokens_any_more() -> None:
    def story_tokens(words: int, draft: Draft | None = None) -> int:
        return settled(words, draft=draft, sampling=Sampling(thinking=False)).budget.story

    draft = Draft("word " * 100)
    assert story_tokens(300, draft) == story_tokens(200)
    assert story_tokens(50, draft) == story_tokens(100, draft) == 0


def test_what_the_file_of_a_draft_says_counts_where_no_option_does() -> None:
    draft = Draft("It ran.", title="Fog", author="Ann", language="fr")
    options = {"model": "demo", "author": "Ben", "think": False, "length": "extend"}
    job = prepare("a fox", options, draft)
    assert job.request.book == Book("Fog", "Ben", "fr")
    assert job.settings["title"] == Setting("Fog", "the draft")


def test_the_longest_sequence_is_prompt_draft_and_output() -> None:
    asked = {"sampling": Sampling(thinking=False), "length": "extend"}
    bare, drafted = settled(**asked), settled(draft=Draft("word " * 200), **asked)  # type: ignore[arg-type]
    assert 0 < bare.tokens - bare.budget.max_new_tokens < 100
    assert 200 <= drafted.tokens - drafted.budget.max_new_tokens < 300


def test_a_limit_of_new_tokens_is_that_of_a_chapter_and_not_of_the_whole_story() -> None:
    def tokens(limit: int | None, length: str) -> int:
        sampling = Sampling(thinking=False, max_new_tokens=limit)
        return settled(2400, length=length, sampling=sampling).tokens

    assert tokens(800, "chapters") == tokens(None, "chapters")
    assert tokens(800, "single") < tokens(None, "single")


def test_the_chosen_gguf_file_is_part_of_the_request(tmp_path: Path) -> None:
    for name, size in (("a-Q2_K.gguf", 10), ("a-Q8_0.gguf", 20)):
        (tmp_path / name).write_bytes(b"0" * size)
    options = {"model": str(tmp_path), "engine": "gguf", "words": 100}
    job = prepare("a fox", options)
    assert job.request.gguf_file == "a-Q8_0.gguf" and job.reference.gguf
    assert "Q8_0 (20 bytes): the largest of 2 files that fits the free memory." in job.notes
    again = settle(job.request)
    assert again.reference.gguf == job.reference.gguf and again.request == job.request
    job = prepare("a fox", options | {"gguf_file": "Q2_K"})
    assert job.request.gguf_file == "a-Q2_K.gguf" and not job.reference.note


def test_a_draft_that_has_its_words_need_not_fit_the_context() -> None:
    draft, options = Draft("word " * 100_000), {"model": "demo", "length": "extend", "think": False}
    assert prepare(None, {**options, "words": 100_000}, draft).budget == Budget(0, 0, 0)
    with pytest.raises(PolarisError, match="The draft does not fit"):
        prepare(None, {**options, "words": 100_001}, draft)


def test_a_story_in_chapters_may_be_longer_than_the_context() -> None:
    asked = {"model": "smollm2", "words": 20_000}
    assert prepare("a fox", asked).request.length == "chapters"
    with pytest.raises(PolarisError, match="20,000 words do not fit"):
        prepare("a fox", {**asked, "length": "single"})
    with pytest.raises(PolarisError, match="A chapter of 10,000 words does not fit"):
        prepare("a fox", {**asked, "chapters": 2})


def test_the_words_of_a_plan_win_over_all_but_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    def words(stated: int | None, **options: object) -> tuple[int, str, tuple[str, ...]]:
        chapters = (Chapter("Out", 400, "It goes"), Chapter("In", 800, "It is"))
        file = PlanFile(Plan("The Fox", "", chapters), stated)
        job = prepare("a 500-word tale of a fox", {"model": "demo", **options}, plan=file)
        assert job.plan and job.plan.words == job.request.words
        return job.request.words, job.settings["words"].source, job.notes

    monkeypatch.setenv("POLARIS_WORDS", "900")
    assert words(1200, words=600)[:2] == (600, "option")
    planned, source, notes = words(1200)
    assert (planned, source) == (1200, "the plan")
    assert "The premise says 500 words, but words in the plan is 1,200." in notes
    assert words(None)[:2] == (900, "environment")
    with pytest.raises(PolarisError, match=r"^words in the plan is 300,000, but must be from 1"):
        words(300_000)


def test_the_prompt_is_what_the_model_is_asked_first() -> None:
    def prompt(**options: object) -> str:
        return prepare("a fox", {"words": 1200, **options}).messages[-1].content

    assert "Write only the first part now, in about 300 words." in prompt(model="smollm2")
    assert prompt(model="demo").startswith("Plan a ")
    plan = Plan("The Fox", "a fox", (Chapter("Out", 400, "It goes"), Chapter("In", 800, "It is")))
    job = prepare("a fox", {"model": "demo"}, plan=PlanFile(plan, None))
    assert [message.role for message in job.messages] == ["user", "assistant", "user"]
    assert job.messages[-1].content.startswith('Write chapter 1 of 2, "Out",')

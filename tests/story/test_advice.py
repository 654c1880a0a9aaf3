"""Advice speaks up when it helps, and is silent otherwise."""

import re
from dataclasses import replace

import pytest

from polaris_cli.events import Chapter, Plan
from polaris_cli.models.catalogue import DEMO, ByStage, ModelProfile
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.resolving import resolve
from polaris_cli.models.servers import Server
from polaris_cli.request.budget import token_budget
from polaris_cli.request.premise import read_length
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.settings import Setting
from polaris_cli.request.story_request import EngineName, Sampling, StoryRequest
from polaris_cli.story.advice import advice, on_compile, on_length, on_unused
from polaris_cli.story.prepare import prepare


def notes(premise: str, words: int, model: str, **sampling: float) -> str:
    request = StoryRequest(premise, words, model=model, sampling=Sampling(**sampling))  # type: ignore[arg-type]
    budget = token_budget(words, request.sampling, context=262_144, prompt_tokens=20)
    return " ".join(advice(request, resolve(model), budget))


@pytest.mark.parametrize("model", ["polaris", "no-hri", "base", "demo", "someone/else"])
def test_an_ordinary_request_needs_no_advice(model: str) -> None:
    assert notes("a fox", 400, model) == ""


def test_no_hri_above_6000_words() -> None:
    assert "--model polaris" in notes("a fox", 6001, "no-hri")
    assert "--model polaris" not in notes("a fox", 6000, "no-hri")
    assert "--model polaris" not in notes("a fox", 6001, "polaris")


def test_the_cards_expected_ratio() -> None:
    assert "0.72" in notes("a fox", 10_000, "polaris") and "7,200" in notes(
        "a fox", 10_000, "polaris"
    )
    assert "0.99" not in notes("a fox", 3000, "polaris")


@pytest.mark.parametrize(
    ("words", "count", "instead"),
    [(100, 10, "at most 2 chapters"), (399, 10, "at most 9 chapters"), (60, 2, "--length single")],
)
def test_more_chapters_than_the_words_can_fill(words: int, count: int, instead: str) -> None:
    told = prepare("a fox", {"words": words, "chapters": count, "model": "demo"}).notes
    assert any(f"more than the {words} asked for: use {instead}" in note for note in told)


def test_the_chapters_of_a_plan_need_a_shorter_plan_or_more_words() -> None:
    plan = Plan("", "", (Chapter("A", 9, "a"), Chapter("B", 8, "b")))
    request = StoryRequest("a fox", 17, model="demo", length="chapters", chapters=2, plan=plan)
    budget = token_budget(17, request.sampling, context=2_000, prompt_tokens=20)
    told = " ".join(advice(request, resolve("demo"), budget))
    assert "use a shorter plan, or --words 80." in told


def test_chapters_of_forty_words_need_no_advice() -> None:
    assert not prepare("a fox", {"words": 400, "chapters": 10, "model": "demo"}).notes


@pytest.mark.parametrize("temperature", [0.39, 1.01, 0.0])
def test_a_temperature_outside_the_cards_range(temperature: float) -> None:
    assert "Temperature" in notes("a fox", 400, "polaris", temperature=temperature)


@pytest.mark.parametrize("temperature", [0.4, 1.0])
def test_the_ends_of_the_cards_range_lie_within_it(temperature: float) -> None:
    assert notes("a fox", 400, "polaris", temperature=temperature) == ""


@pytest.mark.parametrize("thinking", [0, 2000])
def test_a_token_limit_that_cannot_hold_the_words(thinking: int) -> None:
    said = notes("a fox", 3000, "polaris", max_new_tokens=2000, thinking_budget=thinking)
    found = re.search(r"--max-new-tokens (\d+)", said)
    assert found
    enough = int(found[1])
    assert notes("a fox", 3000, "polaris", max_new_tokens=enough, thinking_budget=thinking) == ""


def test_a_token_limit_that_cannot_hold_a_chapter() -> None:
    def told(**options: object) -> str:
        given = {"model": "demo", "words": 2400, "chapters": 4, **options}
        return " ".join(prepare("a fox", given).notes)

    for thinking in ({"think": False}, {"thinking_budget": 100}, {"thinking_budget": -1}):
        said = told(max_new_tokens=500, **thinking)
        assert "500 new tokens may not hold a chapter of 600 words" in said
        found = re.search(r"--max-new-tokens (\d+)", said)
        assert found and "new tokens" not in told(max_new_tokens=int(found[1]), **thinking)


@pytest.mark.parametrize(("ratio", "told"), [(0.89, True), (0.9, False)])
def test_a_model_that_falls_short_by_more_than_a_tenth(ratio: float, told: bool) -> None:
    profile = ModelProfile(length_ratio=ByStage(ratio))
    model = ModelRef("tiny", "tiny", entry=replace(DEMO, profile=profile))
    request = StoryRequest("a fox", 1000)
    budget = token_budget(1000, request.sampling, context=262_144, prompt_tokens=20)
    assert ("--length auto" in " ".join(advice(request, model, budget))) is told


def said(premise: str, words: int, source: str) -> str:
    return " ".join(on_length(read_length(premise), Setting(words, source)))


def test_a_length_that_was_read_is_said() -> None:
    assert said("a 1500-2000 word tale", 1750, "the premise") == (
        'Length: 1,750 words, as the premise says ("1500-2000 word").'
    )


def test_a_premise_with_another_length() -> None:
    assert said("a 500-word tale", 800, "option") == (
        "The premise says 500 words, but --words is 800."
    )
    assert said("a 500-word tale", 500, "option") == ""
    assert said("a fox", 1500, "preset default") == ""


def test_what_may_be_a_length_is_said_where_nobody_gave_one() -> None:
    premise = "a clerk who has to learn 3,000 words by dawn"
    assert "3,000 words" in said(premise, 1500, "preset default")
    assert "--words" in said(premise, 1500, "preset default")
    assert said(premise, 800, "option") == ""
    assert said("a parrot who knows 12 words of French", 1500, "preset default") == ""


def test_the_demo_beyond_its_range_is_called_a_toy() -> None:
    assert "toy" in notes("a fox", 1000, "demo")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "demo", "revision": "x"}, "--revision has no effect: demo is not loaded from"),
        ({"model": "demo", "stall_timeout": 9}, "--stall-timeout has no effect: demo is not on a"),
        ({"model": "demo", "think": False, "thinking_budget": 9}, "effect: thinking is off."),
        ({"model": "demo", "preset": "draft", "thinking_budget": 9}, "(think in preset draft)."),
        ({"model": "demo", "think": True, "thinking_budget": 0}, "--think has no effect: the"),
        ({"model": "demo", "think": False, "thinking_budget": 0}, ""),
        ({"model": "demo", "quantize": "none", "device": "cpu", "threads": 2}, ""),
        ({"model": "someone/else", "revision": "x"}, ""),
    ],
)
def test_an_option_without_an_effect_is_told(options: dict[str, object], told: str) -> None:
    found = " ".join(prepare("a fox", {"words": 50, **options}).notes)
    assert told in found and bool(told) == bool(found)


@pytest.mark.parametrize(
    ("engine", "server", "unused"),
    [
        ("gguf", None, ["--quantize", "--compile"]),
        (
            "auto",
            Server(ServerAddress("http://a/v1")),
            ["--quantize", "--compile", "--threads"],
        ),
    ],
)
def test_what_an_engine_does_not_use_is_told_if_it_is_an_option(
    engine: EngineName, server: Server | None, unused: list[str]
) -> None:
    options = {"quantize": "4bit", "device": "auto", "compile": True, "threads": 2}
    job = prepare("a fox", {"model": "someone/else", "words": 50, **options})
    reference = replace(job.reference, server=server)
    job = replace(job, reference=reference, request=replace(job.request, engine=engine))
    assert [note.split()[0] for note in on_unused(job)] == unused
    from_config = {n: Setting(one.value, "config.toml") for n, one in job.settings.items()}
    assert not [*on_unused(replace(job, settings=from_config))]


def test_a_device_that_llama_cpp_does_not_have_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"model": "someone/else", "words": 50, "device": "cuda:1"}
    job = prepare("a fox", options)
    job = replace(job, request=replace(job.request, engine="gguf"))
    for has_gpu, told in [(False, ["--device"]), (True, [])]:
        monkeypatch.setattr("polaris_cli.story.advice.llama_cpp_has_gpu", lambda has=has_gpu: has)
        assert [note.split()[0] for note in on_unused(job)] == told


@pytest.mark.parametrize(
    ("source", "name"),
    [("environment", "POLARIS_DEVICE"), ("config.toml", "device in config.toml")],
)
def test_that_llama_cpp_has_no_gpu_is_told_wherever_one_is_asked_for(
    source: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polaris_cli.story.advice.llama_cpp_has_gpu", lambda: False)
    job = prepare("a fox", {"model": "someone/else", "words": 50, "device": "cuda"})
    job = replace(job, request=replace(job.request, engine="gguf"))
    job = replace(job, settings={**job.settings, "device": Setting("cuda", source)})
    (told,) = on_unused(job)
    assert told.startswith(f"{name} has no effect: the installed llama.cpp computes on the CPU")
    plain = replace(job, request=replace(job.request, device=" CPU"))
    assert not [*on_unused(plain)]


@pytest.mark.parametrize(
    ("compile", "device", "parallel", "told"),
    [
        (True, "cpu", 1, "CUDA graphs need an NVIDIA GPU, and this is cpu."),
        (True, "mps", 1, "and this is mps."),
        (True, "cuda:0", 1, ""),
        (True, "cuda:0", 2, "several stories at once"),
        (False, "cpu", 1, ""),
        (None, "cpu", 2, ""),
    ],
)
def test_cuda_graphs_that_cannot_be_used_are_told_if_asked_for(
    compile: bool | None, device: str, parallel: int, told: str
) -> None:
    job = prepare("a fox", {"model": "demo", "words": 50, "compile": compile})
    found = " ".join(on_compile(job, device, parallel))
    assert told in found and bool(told) == found.startswith("--compile has no effect: ")
    assert not [*on_compile(replace(job, request=replace(job.request, engine="gguf")), device)]

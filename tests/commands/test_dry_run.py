"""Dry runs with a model folder: the memory is computed from its files; damaged files are errors."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from polaris_cli.commands.dry_run import print_dry_run
from polaris_cli.commands.models import reference_facts
from polaris_cli.errors import ModelUnavailable
from polaris_cli.library.store import Library
from polaris_cli.models.memory import llama_cpp_context
from polaris_cli.models.model_files import as_computed, measured
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.resolving import resolve
from polaris_cli.request.prompts import Message
from polaris_cli.story.prepare import prepare
from polaris_cli.story.result import Timing
from tests.fake_hub import CONFIG, safetensors
from tests.gguf_writing import LLAMA, write_gguf
from tests.stories import a_story

BIG = {"model.layers.0.mlp.up_proj.weight": (8000, 5000)}


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Library:
    path = tmp_path_factory.mktemp("library") / "library.db"
    monkeypatch.setenv("POLARIS_LIBRARY", str(path))
    return Library(path)


def folder_of(folder: Path, **changes: Any) -> Path:
    (folder / "model.safetensors").write_bytes(safetensors(BIG))
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def memory_of(
    folder: str, capsys: pytest.CaptureFixture[str], **options: str
) -> list[dict[str, Any]]:
    print_dry_run(prepare("a fox", {"model": folder, "words": 100} | options), as_json=True)
    needs: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["memory"]
    return needs


def test_values_are_shown_as_config_toml_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"words": 100, "think": False, "headings": True, "chapters": "auto", "band": "0.8-1.2"}
    print_dry_run(prepare("a fox", {"model": "demo", **asked}), as_json=False)
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    shown = {row[0]: row[1] for row in rows if row[-1] == "option"}
    texts = {name: str(value).lower() for name, value in asked.items()}
    assert shown == {"model": "demo", "length": "chapters", **texts}


def test_memory_of_a_local_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs = memory_of(str(folder_of(tmp_path)), capsys)
    assert [need["format"] for need in needs] == ["bf16", "8-bit", "4-bit"]
    sizes = [need["gigabytes"] for need in needs]
    assert sizes == sorted(sizes, reverse=True) and all(need["fits"] for need in needs)


def test_the_memory_is_that_of_prompt_and_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = prepare("a fox", {"model": str(folder_of(tmp_path)), "words": 100, "max_new_tokens": 9})
    long = replace(job, messages=(Message("user", "fox " * 1_000_000),))
    needs = []
    for one in (job, long):
        print_dry_run(one, as_json=True)
        needs.append(json.loads(capsys.readouterr().out)["memory"][0]["gigabytes"])
    assert needs[1] > needs[0]


def test_quantized_weights_have_one_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, quantization_config={"quant_method": "awq"})
    assert [need["format"] for need in memory_of(str(folder), capsys)] == ["awq"]


@pytest.mark.parametrize(("method", "times"), [("fp8", 2), ("mxfp4", 4)])
def test_formats_that_are_converted_to_bf16_on_a_cpu(
    tmp_path: Path, method: str, times: int
) -> None:
    settings = {"quantization_config": {"quant_method": method}}
    size = measured(ModelRef("m", "m"), folder_of(tmp_path, **settings), {**CONFIG, **settings})
    wide = as_computed(size, settings, "cpu")
    assert size.stored_bytes and wide.stored_bytes == times * size.stored_bytes
    assert as_computed(size, settings, "cuda") == size
    assert as_computed(wide, {}, "cpu") == wide


def test_memory_of_a_downloaded_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert memory_of("owner/mine", capsys) == []
    snapshot = tmp_path / "models--owner--mine" / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    folder_of(snapshot)
    assert len(memory_of("owner/mine", capsys)) == 3


def test_damaged_files_are_an_error_before_anything_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, num_hidden_layers=10**8)
    with pytest.raises(ModelUnavailable, match="num_hidden_layers"):
        memory_of(str(folder), capsys)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"missing: model\.safetensors"):
        memory_of(str(folder), capsys)
    assert not capsys.readouterr().out


def test_the_memory_of_a_gguf_file_depends_on_the_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    needs = memory_of(str(file), capsys, engine="gguf")
    assert [(need["format"], need["gigabytes"]) for need in needs] == [("Q4_K_M", 0.3)]
    needs = memory_of(str(file), capsys, engine="local")
    assert [need["format"] for need in needs] == ["bf16", "8-bit", "4-bit"]


def test_the_memory_for_llama_cpp_is_what_it_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = {"attention.key_length": 2**20, "attention.value_length": 2**20}  # 17 MB for each token
    file = write_gguf(tmp_path / "model.gguf", {**LLAMA, **wide})
    tokens = prepare("a fox", {"model": str(file), "engine": "gguf", "words": 500}).tokens
    (need,) = memory_of(str(file), capsys, engine="gguf", words="500")
    assert need["gigabytes"] == round(0.3 + llama_cpp_context(tokens, 4096) * 2**24 / 10**9, 1)


def test_the_details_of_a_gguf_file(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    facts = reference_facts(resolve(str(file)))
    assert (facts["quantization"], facts["context"], facts["chat_template"]) == (
        "Q4_K_M",
        4096,
        "yes",
    )
    assert facts["memory"]["llama.cpp"] == file.stat().st_size + 300_000_000 + 4096 * 256
    assert set(facts["memory"]) == {"llama.cpp", "bf16", "8-bit", "4-bit"}
    write_gguf(tmp_path / "model-Q8_0.gguf")
    assert set(reference_facts(resolve(str(tmp_path)))["files"]) == {
        "model.gguf",
        "model-Q8_0.gguf",
    }


def dry_run(
    capsys: pytest.CaptureFixture[str], drafts: int = 1, **options: object
) -> tuple[dict[str, Any], str]:
    """What a dry run prints, as JSON and as text."""
    job = prepare("a fox", {"model": "demo", **options})
    print_dry_run(job, drafts, as_json=True)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    print_dry_run(job, drafts, as_json=False)
    return found, capsys.readouterr().out


def test_a_story_in_chapters_shows_every_pass(capsys: pytest.CaptureFixture[str]) -> None:
    found, text = dry_run(capsys, words=2000, chapters="auto")
    count = found["chapters"]
    assert [one["name"] for one in found["passes"]] == [
        "plan",
        *(f"chapter {n}" for n in range(1, count + 1)),
    ]
    tokens = found["tokens"]
    assert tokens["thinking"] == (count + 1) * 512 and tokens["max_new_tokens"] is None
    assert 0 < tokens["plan"] == found["passes"][0]["text"]
    assert tokens["story"] + tokens["plan"] == sum(one["text"] for one in found["passes"])
    assert f"tokens, {count} chapters\tprompt\tthinking\ttext\n" in text
    assert f"all\t{tokens['prompt']:,}\t{tokens['thinking']:,}\t" in text
    assert "None" not in text and "chapters\tauto\t" in text


def test_one_pass_shows_its_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    found, text = dry_run(capsys, words=100)
    assert found["chapters"] is None and len(found["passes"]) == 1
    assert "max_new_tokens\t" in text and "plan\t" not in text and "None" not in text


def test_the_time_is_that_of_the_speed_last_measured(
    capsys: pytest.CaptureFixture[str], library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, text = dry_run(capsys, words=100)
    assert found["time"] == {"tokens_per_s": None, "seconds": None}
    assert "Time\nnot known yet: the library has no story by demo with the engine local" in text
    story = a_story(timing=Timing(tokens_per_s=50.0))
    library.start(story)
    library.finish(story)
    found, text = dry_run(capsys, words=100)
    tokens = found["tokens"]["story"] + found["tokens"]["thinking"]
    assert found["time"] == {"tokens_per_s": 50.0, "seconds": round(tokens / 50)}
    assert "if it uses its whole thinking budget, at 50 tokens/s" in text
    found, text = dry_run(capsys, words=100, thinking_budget=-1)
    assert found["tokens"]["thinking"] == 4096 and "if it uses the default thinking budget" in text
    found, text = dry_run(capsys, words=1, think=False)
    assert "thinks" not in text and "about 1 s, at 50 tokens/s" in text
    damaged = library.path.with_name("damaged.db")
    damaged.write_text("no library")
    monkeypatch.setenv("POLARIS_LIBRARY", str(damaged))
    assert "not known yet" in dry_run(capsys, words=100)[1]


def test_drafts_take_their_number_of_words_tokens_and_time(
    capsys: pytest.CaptureFixture[str], library: Library
) -> None:
    story = a_story(timing=Timing(tokens_per_s=50.0))
    library.start(story)
    library.finish(story)
    one, alone = dry_run(capsys, words=100, length="single")
    three, text = dry_run(capsys, 3, words=100, length="single")
    assert one["drafts"] == {"count": 1, "words": 100} and "draft" not in alone
    assert three["drafts"] == {"count": 3, "words": 300}
    for name in ("prompt", "thinking", "story"):
        assert three["tokens"][name] == 3 * one["tokens"][name] > 0
    assert three["tokens"]["max_new_tokens"] == one["tokens"]["max_new_tokens"]
    assert three["time"]["seconds"] == pytest.approx(3 * one["time"]["seconds"], abs=2)
    assert "Drafts\n3 drafts of 100 words: 300 words in all\n" in text
    assert "tokens, 3 drafts\tnumber\n" in text and "max_new_tokens of each\t" in text
    assert "drafts written at once take less" in " ".join(text.split())


def test_drafts_in_chapters_have_a_sum_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    one, _ = dry_run(capsys, words=2000, chapters=3)
    two, text = dry_run(capsys, 2, words=2000, chapters=3)
    assert two["passes"] == one["passes"] and two["tokens"]["plan"] == 2 * one["tokens"]["plan"]
    assert f"all, 2 drafts\t{two['tokens']['prompt']:,}\t{two['tokens']['thinking']:,}\t" in text


def test_drafts_have_the_words_of_all_where_the_models_ratio_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, _ = dry_run(capsys, words=3000, length="single", model="base")
    two, text = dry_run(capsys, 2, words=3000, length="single", model="base")
    assert two["expected"]["words"] == 2 * one["expected"]["words"] > 0
    assert f"about {two['expected']['words']:,} words in 2 drafts: at this length" in text

"""Rows and a grid as stories to write."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from polaris_cli.batch.premises import Row
from polaris_cli.batch.tasks import Grid, Task, earlier_fingerprint, fingerprint, tasks_of
from polaris_cli.errors import UsageError
from polaris_cli.models import resolving
from polaris_cli.models.devices import Device
from polaris_cli.models.gguf_choice import OVERHEAD
from polaris_cli.models.memory import llama_cpp_context
from tests.gguf_writing import LLAMA, write_gguf
from tests.servers.faulty import Faulty


def row(number: int, own_id: str = "", **settings: Any) -> Row:
    return Row(number, f"line {number}", own_id, f"premise {number}", settings)


DEMO = {"model": "demo", "words": None}
WRONG = [{"seed": "x"}, {"temperature": 99}, {"words": 0}, {"form": "ode"}]


def test_a_row_is_a_story_with_its_own_settings_first() -> None:
    tasks = [*tasks_of([row(1, words=70), row(2, "b")], {**DEMO, "words": "90"}, Grid())]
    assert [task.key for task in tasks] == ["1", "b"]
    jobs = [task.job() for task in tasks]
    assert [job.request.words for job in jobs] == [70, 90]
    assert [job.request.sampling.seed for job in jobs] == [0, 0]
    place = jobs[1].place
    assert place and (place.key, place.row, place.input_id) == ("b", 2, "b")


def test_a_grid_is_every_length_with_every_seed_by_every_model() -> None:
    grid = Grid(("60", "1k"), 2, ("demo", "smollm2"))
    tasks = [*tasks_of([row(1, words=70, seed=5)], {}, grid)]
    assert [task.key for task in tasks] == [
        "1, 60, demo", "1, 60, demo, seed +1",
        "1, 60, smollm2", "1, 60, smollm2, seed +1",
        "1, 1k, demo", "1, 1k, demo, seed +1",
        "1, 1k, smollm2", "1, 1k, smollm2, seed +1",
    ]  # fmt: skip
    assert len({task.loading for task in tasks}) == 2
    request = tasks[5].job().request
    assert (request.words, request.sampling.seed, request.model) == (1000, 6, "demo")


def test_a_seed_may_come_from_any_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seeds(**options: object) -> list[int]:
        tasks = tasks_of([row(1)], {**DEMO, **options}, Grid(seeds=2))
        return [task.job().request.sampling.seed for task in tasks]

    preset = tmp_path / "own.toml"
    preset.write_text('template = "{premise}, {words} words"\nseed = 5\n')
    assert seeds() == [0, 1] and seeds(preset=str(preset)) == [5, 6]
    monkeypatch.setenv("POLARIS_SEED", "7")
    assert seeds() == seeds(preset=str(preset)) == [7, 8] and seeds(seed=0) == [0, 1]


@pytest.mark.parametrize("more", WRONG)
def test_an_invalid_setting_is_an_error_of_its_task(more: dict[str, Any]) -> None:
    good, bad = tasks_of([row(1), row(2, **more)], DEMO, Grid())
    good.job()
    with pytest.raises(UsageError):
        bad.job()


@pytest.mark.parametrize(
    ("name", "value", "said", "hint"),
    [
        ("top_p", "x", "top_p: invalid value 'x'.", ""),
        ("temperature", 9, "temperature is 9, but", "Give another value: temperature NUMBER"),
        ("quantize", "3bit", "quantize: '3bit' is not", "8bit"),
    ],
)
def test_a_setting_of_a_row_is_named_as_in_the_row(
    name: str, value: Any, said: str, hint: str
) -> None:
    (task,) = tasks_of([row(1, **{name: value})], DEMO, Grid())
    with pytest.raises(UsageError) as refused:
        task.job()
    assert refused.value.message.startswith(said) and hint in refused.value.hint
    (task,) = tasks_of([row(1)], {**DEMO, name: value}, Grid())
    with pytest.raises(UsageError) as refused:
        task.job()
    assert refused.value.message.startswith("--")


def test_the_length_of_a_row_is_stronger_than_the_chapters_of_the_command() -> None:
    rows = [row(1, length="single"), row(2, length="single", chapters=4), row(3, chapters=4)]
    options = {**DEMO, "words": 800, "chapters": "3"}
    single, both = tasks_of(rows[:2], options, Grid())
    assert single.job().request.length == "single"
    with pytest.raises(UsageError, match=r"^chapters and length single contradict each other"):
        both.job()
    (other,) = tasks_of([rows[2]], {**DEMO, "words": 800, "length": "single"}, Grid())
    assert other.job().request.chapters == 4


def digest(premise: str = "a fox", **options: object) -> str:
    return fingerprint(Task("1", Row(1, "line 1", "", premise, {}), {**DEMO, **options}).job())


def test_what_is_asked_for_decides_the_fingerprint() -> None:
    assert digest() == digest()
    others = [
        digest("a hen"), digest(words=80), digest(temperature=0.5), digest(seed=1),
        digest(model="smollm2"), digest(preset="flash"), digest(length="extend"),
    ]  # fmt: skip
    assert len({digest(), *others}) == len(others) + 1
    assert digest(author="Jane", title="Fog", language="en") == digest()  # not part of the text


def test_the_machine_does_not_decide_the_fingerprint() -> None:
    for machine in ({"threads": 2}, {"device": "cpu"}, {"compile": False}):
        assert digest(**machine) == digest()


def test_a_request_without_settings_of_the_machine_keeps_its_earlier_fingerprint() -> None:
    task = Task("1", Row(1, "line 1", "", "a fox", {}), DEMO)
    plain, other = task.job(), replace(task, options={**DEMO, "threads": 2}).job()
    assert earlier_fingerprint(plain) == fingerprint(plain) != earlier_fingerprint(other)


def test_a_server_that_moved_or_is_waited_for_longer_writes_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_KEY", "key")
    with Faulty() as first, Faulty() as second, Faulty(models=["other"]) as other:
        url = first.url
        asked = digest(model=None, base_url=url)
        assert asked == digest(model=None, base_url=url, stall_timeout=9, api_key_env="MY_KEY")
        assert asked == digest(model=None, base_url=second.url)
        assert asked != digest(model=None, base_url=other.url)


def test_of_several_gguf_files_the_one_asked_for_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [write_gguf(tmp_path / f"m-Q{n}_0.gguf", side=32 * n).stat().st_size for n in (4, 8)]
    task = Task("1", Row(1, "line 1", "", "a fox", {}), {"words": 80, "model": str(tmp_path)})

    def chosen(asked: Task, free: int) -> tuple[str | None, str]:
        device = Device("cpu", 0, "a CPU", free, free)
        monkeypatch.setattr(resolving, "device_for", lambda *_: device)
        job = asked.job()
        assert job.place
        return job.reference.gguf_name, job.place.fingerprint

    room = OVERHEAD + llama_cpp_context(task.job().tokens, LLAMA["context_length"]) * 256
    large = chosen(task, room + sizes[1])
    small = chosen(task, room + sizes[0])
    assert (large[0], small[0]) == ("m-Q8_0.gguf", "m-Q4_0.gguf") and large[1] == small[1]
    loaded = task.for_model(task.job().reference)
    assert chosen(loaded, room + sizes[1]) == small
    named = replace(task, options={**task.options, "gguf_file": "Q8_0"})
    assert chosen(named, room)[1] != small[1]

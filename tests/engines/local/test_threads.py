"""The CPU threads that the local engine sets, records and tells of."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from polaris_cli.engines.local import cpu_threads, engine
from polaris_cli.engines.local.cpu_threads import ProcessThreads, set_threads
from polaris_cli.engines.local.engine import load
from polaris_cli.engines.local.forward import step_threads
from polaris_cli.engines.local.loading import load_model
from polaris_cli.errors import PolarisError
from polaris_cli.models.devices import Device
from polaris_cli.models.resolving import resolve
from polaris_cli.models.threads import usable_cores
from tests.tiny import byte_tokenizer, qwen

CPU, CARD = Device("cpu", 0, "", 0, 0), Device("cuda", 0, "", 0, 0)
MORE = usable_cores() + 1


@pytest.fixture(autouse=True)
def one_thread_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Engines of other tests, which may still be open, do not count."""
    monkeypatch.setattr(cpu_threads, "PROCESS", ProcessThreads())
    yield
    torch.set_num_threads(1)


def test_one_thread_for_each_idle_core() -> None:
    torch.set_num_threads(MORE)
    notes = set_threads(None, CPU).notes
    assert torch.get_num_threads() <= usable_cores()
    assert bool(notes) == (torch.get_num_threads() < usable_cores())


def test_a_smaller_number_set_before_stays() -> None:
    torch.set_num_threads(1)
    set_threads(None, CPU)
    assert torch.get_num_threads() == 1


def test_a_number_asked_for_is_taken_even_if_it_is_large() -> None:
    (note,) = set_threads(MORE, CPU).notes
    assert torch.get_num_threads() == MORE and note.startswith(f"{MORE} threads on ")
    assert set_threads(1, CPU).notes == ()
    assert torch.get_num_threads() == 1


def test_a_gpu_keeps_torchs_number_unless_asked() -> None:
    torch.set_num_threads(MORE)
    assert set_threads(None, CARD).notes == () and torch.get_num_threads() == MORE
    assert set_threads(1, CARD).notes == () and torch.get_num_threads() == 1


def test_what_was_set_is_restored_whichever_ends_first() -> None:
    for last in (0, 1):
        torch.set_num_threads(MORE)
        settings = [set_threads(number, CPU) for number in (1, 2)]
        assert torch.get_num_threads() == 2
        settings.pop(last).restore()
        assert torch.get_num_threads() == (2, 1)[last]
        for setting in settings * 2:
            setting.restore()
        assert torch.get_num_threads() == MORE


def test_another_engine_chooses_anew() -> None:
    torch.set_num_threads(MORE)
    set_threads(1, CPU)
    notes = set_threads(None, CPU).notes
    assert bool(notes) == (torch.get_num_threads() < usable_cores())


def test_a_number_that_somebody_else_sets_counts() -> None:
    torch.set_num_threads(MORE)
    set_threads(2, CPU)
    torch.set_num_threads(1)
    set_threads(None, CPU)
    assert torch.get_num_threads() == 1


def test_a_closed_engine_leaves_the_number_as_it_was() -> None:
    torch.set_num_threads(MORE)
    loaded = load(resolve("demo"), device="cpu", threads=2, context_tokens=200)
    assert torch.get_num_threads() == 2
    loaded.close()
    assert torch.get_num_threads() == MORE


def test_a_model_that_cannot_be_loaded_leaves_the_number_as_it_was(tmp_path: Path) -> None:
    torch.set_num_threads(MORE)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(PolarisError):
        load_model(resolve(str(tmp_path)), device="cpu", threads=2, context_tokens=200)
    assert torch.get_num_threads() == MORE


def test_a_model_that_cannot_be_prepared_leaves_the_number_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(model: object) -> None:
        raise KeyboardInterrupt

    torch.set_num_threads(MORE)
    monkeypatch.setattr(engine, "patch_forwards", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(resolve("demo"), device="cpu", threads=2, context_tokens=200)
    assert torch.get_num_threads() == MORE


@pytest.mark.slow
def test_the_number_is_recorded(tmp_path: Path) -> None:
    large = qwen(vocab_size=300_000)  # 77 MB: steps of smaller models run on one thread
    large.save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    loaded = load_model(resolve(str(tmp_path)), device="cpu", threads=MORE, context_tokens=200)
    assert loaded.info.threads == step_threads(loaded.model) == MORE
    assert any(note.startswith(f"{MORE} threads on ") for note in loaded.notes)


def test_a_small_model_runs_on_one_thread() -> None:
    torch.set_num_threads(MORE)
    assert load_model(resolve("demo"), device="cpu", context_tokens=200).info.threads == 1

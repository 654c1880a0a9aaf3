"""The checks of the doctor, each with a problem and without one."""

import sys
from pathlib import Path

import pytest

from polaris_cli.engines import doctor
from polaris_cli.models.catalogue import CATALOGUE
from polaris_cli.models.devices import GB, Device
from tests.gguf_writing import write_gguf

CPU = Device("cpu", 0, "processor", 64 * GB, 60 * GB)
CARD = Device("cuda", 0, "Big Card", 80 * GB, 79 * GB)
ALL = dict.fromkeys(doctor.KERNELS.values(), "1.0")


def fixes(problems: list[doctor.Problem]) -> str:
    assert all(problem.what and problem.fix for problem in problems)
    return " ".join(f"{problem.what} {problem.fix}" for problem in problems)


def test_a_gpu_that_torch_cannot_use() -> None:
    assert "Big Card" in fixes(doctor.device_problems((CPU,), (CARD, CPU)))
    assert not doctor.device_problems((CARD, CPU), (CARD, CPU))
    assert not doctor.device_problems((CPU,), (CPU,))


def test_missing_packages() -> None:
    without = ALL | {"bitsandbytes": "not installed", "flash-linear-attention": "not installed"}
    told = fixes(doctor.kernel_problems(without, (CARD, CPU)))
    assert "pip install bitsandbytes" in told and "polaris-story[cuda]" in told
    assert "cuda" not in fixes(doctor.kernel_problems(without, (CPU,)))
    assert not doctor.kernel_problems(ALL, (CARD, CPU))


def test_a_package_that_breaks_machines_without_a_gpu() -> None:
    assert "pip uninstall" in fixes(doctor.kernel_problems(ALL, (CPU,)))


def test_too_little_memory() -> None:
    for size, ill in ((80, False), (24, False), (12, False), (6, True)):
        device = Device("cuda", 0, "card", size * GB, size * GB)
        fits = {entry.name: doctor.fitting(entry, device) for entry in CATALOGUE}
        assert bool(doctor.memory_problems(fits, device)) is ill
        assert fits["polaris"]["none"] is (size >= 24)
    assert fits["demo"] == {"none": True, "8bit": True, "4bit": True}


def test_what_is_installed() -> None:
    versions = doctor.package_versions()
    assert versions["python"].split(".")[0] == str(sys.version_info.major)
    assert versions["torch"][0].isdigit()
    kernels = doctor.kernel_versions()
    assert set(kernels) == set(doctor.KERNELS.values())
    assert doctor.all_versions() == versions | kernels


def test_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "not" / "yet"))
    status, _ = doctor.cache_status()
    assert status["folder"] == str(tmp_path / "not" / "yet")
    assert status["free_bytes"] > 0 and status["models"] == {}


def test_the_hub_is_not_asked_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    status, problems = doctor.hub_status()
    assert status["network"].startswith("off") and not problems


def test_gguf_files_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--owner--m-GGUF" / "snapshots" / ("a" * 40)
    for number in (1, 2):
        write_gguf(folder / "BF16" / f"m-BF16-0000{number}-of-00002.gguf")
    write_gguf(folder / "m-Q8_0.gguf").write_bytes(b"GGUF")
    status, problems = doctor.gguf_status()
    need = status["owner/m-GGUF m-BF16-00001-of-00002.gguf"]
    assert need["fits"] and 300_000_000 < need["bytes"] < 310_000_000
    assert "m-Q8_0.gguf is damaged" in fixes(problems) and len(problems) == 1

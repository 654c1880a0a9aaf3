"""Devices: which are found, which is picked, and the figures without torch."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from polaris_cli.errors import UsageError
from polaris_cli.models import devices
from polaris_cli.models.devices import GB, Device, parse_nvidia_smi, pick, size_text, visible

CPU = Device("cpu", 0, "a processor", 64 * GB, 48 * GB)
SMALL = Device("cuda", 0, "Small Card", 8 * GB, 7 * GB)
LARGE = Device("cuda", 1, "Large Card", 80 * GB, 79 * GB)
MPS = Device("mps", 0, "Apple M4", 24 * GB, 16 * GB)


@pytest.mark.parametrize(
    ("asked", "there", "chosen"),
    [
        ("auto", (CPU,), CPU),
        ("auto", (SMALL, LARGE, CPU), LARGE),
        ("auto", (MPS, CPU), MPS),
        ("cuda", (SMALL, LARGE, CPU), LARGE),
        ("cuda:0", (SMALL, LARGE, CPU), SMALL),
        ("CPU", (SMALL, CPU), CPU),
        ("mps", (MPS, CPU), MPS),
    ],
)
def test_pick(asked: str, there: tuple[Device, ...], chosen: Device) -> None:
    assert pick(asked, there) == chosen


@pytest.mark.parametrize(
    ("asked", "there", "name", "free", "room"),
    [
        ("auto", (SMALL, LARGE, CPU), "cuda", 86, 134),
        ("cuda", (SMALL, LARGE, CPU), "cuda", 86, 134),
        ("cuda:0", (SMALL, LARGE, CPU), "cuda:0", 7, 55),
        ("auto", (SMALL, CPU), "cuda:0", 7, 55),
        ("cpu", (SMALL, CPU), "cpu", 48, 48),
        ("auto", (MPS, CPU), "mps", 16, 48),
        ("auto", (CPU,), "cpu", 48, 48),
    ],
)
def test_llama_cpp_also_uses_the_other_cards_and_the_cpu(
    asked: str, there: tuple[Device, ...], name: str, free: int, room: int
) -> None:
    found = devices.for_llama_cpp(asked, there)
    assert (found.id, found.free_bytes, found.room_bytes) == (name, free * GB, room * GB)
    assert ("of the CPU's" in str(found)) == (room > free)


@pytest.mark.parametrize("asked", ["cuda", "cuda:7", "mps", "tpu", "", "cuda:x"])
def test_a_missing_device(asked: str) -> None:
    with pytest.raises(UsageError, match=r"only cpu \(a processor, 48\.0 GB of 64\.0 GB free\)"):
        pick(asked, (CPU,))


@pytest.mark.parametrize("asked", ["tpu", "nonsense", "", "cuda:abc", "cuda:", "cpu:0"])
def test_names_of_no_device_are_refused_for_llama_cpp_too(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "llama_cpp_has_gpu", lambda: False)
    with pytest.raises(UsageError, match=f"There is no device '{asked}'"):
        devices.device_for("gguf", asked)


@pytest.mark.parametrize("asked", ["auto", "cpu", " CPU", "cuda", "cuda:1", "mps"])
def test_llama_cpp_without_a_gpu_computes_on_the_cpu(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "llama_cpp_has_gpu", lambda: False)
    assert devices.device_for("gguf", asked).kind == "cpu"


def without_nvidia_smi(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that only torch knows, such as one of AMD's."""
    known = lambda *, with_torch=False: (SMALL, CPU) if with_torch else (CPU,)  # noqa: E731
    monkeypatch.setattr(devices, "list_devices", known)


@pytest.mark.parametrize("asked", ["cuda", "cuda:0", " CUDA"])
def test_a_card_that_only_torch_knows_can_be_asked_for(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_nvidia_smi(monkeypatch)
    assert devices.device_for("local", asked) is SMALL


def test_torch_is_not_asked_unless_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    without_nvidia_smi(monkeypatch)
    assert devices.device_for("local", "auto") is CPU
    assert devices.device_for("local", "auto", with_torch=True) is SMALL
    with pytest.raises(UsageError, match="only cpu"):
        devices.device_for("local", "tpu")
    with pytest.raises(UsageError, match="only cuda:0"):
        devices.device_for("local", "cuda:5")


def test_a_card_number_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="Large Card") as caught:
        pick("cuda:2", (SMALL, LARGE, CPU))
    assert "--device cuda:0" in caught.value.hint


def test_the_cpu_is_always_listed() -> None:
    *_, cpu = devices.list_devices()
    assert cpu.id == "cpu" and cpu.name
    assert 0 < cpu.free_bytes <= cpu.total_bytes <= psutil.virtual_memory().total


def test_listing_needs_no_torch() -> None:
    program = (
        "import sys; from polaris_cli.models.devices import list_devices; list_devices();"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_torch_sees_the_same_cpu() -> None:
    assert devices.list_devices(with_torch=True)[-1].total_bytes == (
        devices.list_devices()[-1].total_bytes
    )


def test_nvidia_smi_is_parsed() -> None:
    text = "NVIDIA H200, 143771, 143156\nNVIDIA, the second, 8192, 100\n"
    first, second = parse_nvidia_smi(text)
    assert (first.id, first.name, first.total_bytes) == ("cuda:0", "NVIDIA H200", 143771 * 2**20)
    assert (second.id, second.name, second.free_bytes) == (
        "cuda:1",
        "NVIDIA, the second",
        100 * 2**20,
    )


@pytest.mark.parametrize("text", ["", "No devices were found\n", "a, [N/A], [N/A]\n"])
def test_nvidia_smi_without_gpus(text: str) -> None:
    assert parse_nvidia_smi(text) == ()


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        (None, ["Small Card", "Large Card"]),
        ("1", ["Large Card"]),
        ("1,0", ["Large Card", "Small Card"]),
        ("", []),
        ("-1", []),
        ("7", []),
        ("GPU-5a6b", ["Small Card", "Large Card"]),
    ],
)
def test_hidden_gpus(setting: str | None, names: list[str]) -> None:
    cards = visible((SMALL, LARGE), setting)
    assert [card.name for card in cards] == names
    assert [card.id for card in cards] == [f"cuda:{place}" for place in range(len(names))]


@pytest.mark.parametrize(("flags", "quick"), [("fma avx512_bf16 x", True), ("fma avx2", False)])
def test_cpu_flags_tell_whether_4_bit_is_fast(
    flags: str, quick: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(
        f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\n"
    )
    monkeypatch.setattr(devices, "CPUINFO", tmp_path / "cpuinfo")
    cpu = devices.list_devices()[-1]
    assert (cpu.name, cpu.quick_4bit) == ("Some CPU", quick)


@pytest.mark.parametrize(
    ("size", "text"),
    [(19_300_000_000, "19.3 GB"), (123_000_000, "0.1 GB"), (576_214, "0.6 MB"), (2_900, "3 KB")],
)
def test_sizes_as_text(size: int, text: str) -> None:
    assert size_text(size) == text

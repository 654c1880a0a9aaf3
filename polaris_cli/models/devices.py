"""The devices of this machine and their memory: graphics cards, Apple's MPS, processor.

Knows nothing of models. With `torch` the figures are those of the driver; without it (a dry run
must not wait for torch) they come from the system and from `nvidia-smi`.
"""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from polaris_cli.errors import UsageError

Kind = Literal["cuda", "mps", "cpu"]

GB = 10**9
CGROUP = Path("/sys/fs/cgroup")
CPUINFO = Path("/proc/cpuinfo")


def size_text(size: float) -> str:
    """Bytes in the unit that suits: "19.3 GB", "24.6 MB", "3 KB"."""
    for unit, name in ((GB, "GB"), (10**6, "MB")):
        if size >= unit / 10:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1000:.0f} KB"


@dataclass(frozen=True, slots=True)
class Device:
    """A place where a model can run; memory in bytes, as free as it is right now.

    `quick_4bit` says whether 4-bit weights are faster there than bf16: only a processor can say
    so of itself (see `_has_avx512_bf16`).
    """

    kind: Kind
    index: int
    name: str
    total_bytes: int
    free_bytes: int
    quick_4bit: bool = False

    @property
    def id(self) -> str:
        """What torch calls it: "cuda:0", "mps", "cpu"."""
        return f"cuda:{self.index}" if self.kind == "cuda" else self.kind

    def __str__(self) -> str:
        free, total = size_text(self.free_bytes), size_text(self.total_bytes)
        return f"{self.id} ({self.name}, {free} of {total} free)"


def list_devices(*, with_torch: bool = False) -> tuple[Device, ...]:
    """All devices, the processor last.

    `with_torch` asks the drivers through torch, which takes seconds to import; without it a
    graphics card is found only where `nvidia-smi` is.
    """
    cpu = _cpu()
    return (*(_torch_devices(cpu) if with_torch else _system_devices(cpu)), cpu)


def pick(asked: str, devices: tuple[Device, ...]) -> Device:
    """The device meant by `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.

    `auto` takes the graphics card with the most free memory, then MPS, then the processor.
    Raises UsageError, saying what there is, for a device that is not here.
    """
    wanted = asked.strip().lower()
    kinds = ("cuda", "mps", "cpu") if wanted == "auto" else (wanted.partition(":")[0],)
    for kind in kinds:
        fitting = [d for d in devices if d.kind == kind and wanted in ("auto", kind, d.id)]
        if fitting:
            return max(fitting, key=lambda d: d.free_bytes)
    there = ", ".join(str(d) for d in devices)
    raise UsageError(
        f"There is no device {asked!r} on this machine, only {there}.",
        hint=f"Leave --device away, or give --device {devices[0].id}",
    )


def _cpu() -> Device:
    import psutil

    memory = psutil.virtual_memory()
    total, free = _within_container(memory.total, memory.available)
    name = platform.processor() or platform.machine() or "processor"
    return Device("cpu", 0, _cpu_name() or name, total, free, quick_4bit=_has_avx512_bf16())


def _within_container(total: int, free: int) -> tuple[int, int]:
    """The same figures under the memory limit of a container (control group v2), if there is one.

    File pages that the kernel would drop first do not count as used.
    """
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        statistics = dict(
            line.split() for line in (CGROUP / "memory.stat").read_text().splitlines()
        )
    except (OSError, ValueError):
        return total, free
    used -= int(statistics.get("inactive_file", 0))
    return min(total, limit), min(free, max(0, limit - used))


def _cpu_field(*names: str) -> str:
    """A field of the first processor in /proc/cpuinfo; "" where there is none."""
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in fields if key.strip() in names), "")


def _cpu_name() -> str:
    return _cpu_field("model name", "Model")


def _has_avx512_bf16() -> bool:
    """Whether bitsandbytes has a fast 4-bit kernel for this processor.

    With AVX512-BF16 a 4096x12288 matrix takes 0.6 ms in nf4 against 3.3 ms in bf16 (two cores of
    an EPYC); without it the weights are unpacked for each token, and nf4 is nine times slower.
    """
    return "avx512_bf16" in _cpu_field("flags").split()


def _torch_devices(cpu: Device) -> tuple[Device, ...]:
    import torch

    if torch.cuda.is_available():
        return tuple(_cuda(index) for index in range(torch.cuda.device_count()))
    if torch.backends.mps.is_available():
        total = torch.mps.recommended_max_memory()
        free = min(total - torch.mps.driver_allocated_memory(), cpu.free_bytes)
        return (Device("mps", 0, cpu.name, total, free),)
    return ()


def _cuda(index: int) -> Device:
    import torch

    free, total = torch.cuda.mem_get_info(index)
    return Device("cuda", index, torch.cuda.get_device_name(index), total, free)


def _system_devices(cpu: Device) -> tuple[Device, ...]:
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        # Metal lets a program use about two thirds of the memory that it shares with the system.
        return (Device("mps", 0, cpu.name, cpu.total_bytes * 2 // 3, cpu.free_bytes * 2 // 3),)
    return visible(parse_nvidia_smi(_nvidia_smi()), os.environ.get("CUDA_VISIBLE_DEVICES"))


def _nvidia_smi() -> str:
    command = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free"]
    try:
        return subprocess.run(
            [*command, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def parse_nvidia_smi(text: str) -> tuple[Device, ...]:
    """The graphics cards in the CSV that `nvidia-smi` prints: name, total and free MiB."""
    found: list[Device] = []
    for line in text.splitlines():
        name, *figures = (part.strip() for part in line.rsplit(",", 2))
        if len(figures) == 2 and all(figure.isdigit() for figure in figures):
            total, free = (int(figure) * 2**20 for figure in figures)
            found.append(Device("cuda", len(found), name, total, free))
    return tuple(found)


def visible(cards: tuple[Device, ...], setting: str | None) -> tuple[Device, ...]:
    """The cards that CUDA_VISIBLE_DEVICES leaves, renumbered as torch will see them.

    Cards named by UUID are all kept: which they are cannot be known here.
    """
    if setting is None or any(
        not part.strip().lstrip("-").isdigit() for part in setting.split(",") if part.strip()
    ):
        return cards
    numbers = [int(part) for part in setting.split(",") if part.strip()]
    kept = [cards[number] for number in numbers if 0 <= number < len(cards)]
    return tuple(
        Device("cuda", place, card.name, card.total_bytes, card.free_bytes)
        for place, card in enumerate(kept)
    )

"""The devices of this machine and their memory: NVIDIA GPUs, Apple's MPS, the CPU.

Does not know about models. With torch, the figures come from the driver. Without it (a dry run must
not wait for torch to import) they come from the operating system and from `nvidia-smi`.
"""

import os
import platform
import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from polaris_cli.errors import UsageError
from polaris_cli.models.cgroups import groups
from polaris_cli.request.story_request import EngineName

DeviceKind = Literal["cuda", "mps", "cpu"]

GB = 10**9
_NAME = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
CPUINFO = Path("/proc/cpuinfo")

# The files of a memory group: its limit and the bytes used, and what of those is inactive.
VERSION_2 = ("memory.max", "memory.current", "inactive_file")
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def size_text(size: float) -> str:
    """A number of bytes with a unit: "19.3 GB", "24.6 MB", "3 KB", "12 bytes"."""
    for unit, name in ((GB, "GB"), (10**6, "MB")):
        if size >= unit / 10:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1000:.0f} KB" if size >= 1000 else f"{size:.0f} bytes"


@dataclass(frozen=True, slots=True)
class Device:
    """A device that can run a model; memory in bytes, `free_bytes` as of now.

    `quick_4bit` is true where 4-bit weights are known to be faster than bf16; that is known for
    CPUs only (see `_has_avx512_bf16`). An engine that spreads a model over several `cards` has the
    sum of their memory, and puts what does not fit there into `spare_bytes` of the CPU's.
    """

    kind: DeviceKind
    index: int
    name: str
    total_bytes: int
    free_bytes: int
    quick_4bit: bool = False
    cards: int = 1
    spare_bytes: int = 0

    @property
    def id(self) -> str:
        """torch's name for it: "cuda:0", "mps", "cpu"; "cuda" for several cards."""
        return f"cuda:{self.index}" if self.kind == "cuda" and self.cards == 1 else self.kind

    @property
    def room_bytes(self) -> int:
        """The free memory, with that of the CPU where it can be used too."""
        return self.free_bytes + self.spare_bytes

    @property
    def free_text(self) -> str:
        """That as the start of a sentence: "cuda:0 has 7.0 GB free"."""
        who = f"{self.id} and cpu together have" if self.spare_bytes else f"{self.id} has"
        return f"{who} {size_text(self.room_bytes)} free"

    def __str__(self) -> str:
        free, total = size_text(self.free_bytes), size_text(self.total_bytes)
        more = f", and {size_text(self.spare_bytes)} of the CPU's" if self.spare_bytes else ""
        return f"{self.id} ({self.name}, {free} of {total} free{more})"


def list_devices(*, with_torch: bool = False) -> tuple[Device, ...]:
    """All devices, the CPU last.

    `with_torch` asks the drivers through torch, which takes seconds to import. Without it, a GPU is
    found only if `nvidia-smi` is installed.
    """
    cpu = _cpu()
    return (*(_torch_devices(cpu) if with_torch else _system_devices(cpu)), cpu)


def pick(asked: str, devices: tuple[Device, ...]) -> Device:
    """The device named by `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.

    `auto` takes the GPU with the most free memory, else MPS, else the CPU. Raises UsageError, with
    a list of the devices, if there is no such device.
    """
    wanted = asked.strip().lower()
    kinds = ("cuda", "mps", "cpu") if wanted == "auto" else (wanted.partition(":")[0],)
    for kind in kinds:
        fitting = [d for d in devices if d.kind == kind and wanted in ("auto", kind, d.id)]
        if fitting:
            return max(fitting, key=lambda d: d.free_bytes)
    raise _no_device(asked, devices)


def _no_device(asked: str, devices: tuple[Device, ...]) -> UsageError:
    there = ", ".join(str(d) for d in devices)
    return UsageError(
        f"There is no device {asked!r} on this machine, only {there}.",
        hint=f"Leave out --device, or add --device {devices[0].id}",
    )


def device_for(engine: EngineName, asked: str, *, with_torch: bool = False) -> Device:
    """The device that an engine uses, as `pick`; torch is asked if `with_torch`, or if no other
    source knows the GPU asked for, such as one of AMD's.

    For `gguf` it is the CPU, unless the installed build of llama.cpp has a GPU. Raises UsageError
    as `pick`, but not for a GPU that llama.cpp does not have.
    """
    devices = list_devices(with_torch=with_torch)
    if engine == "gguf":
        return _for_gguf(asked, devices)
    unknown = asked.strip().lower().startswith("cuda") and devices[0].kind != "cuda"
    if unknown and not with_torch:
        devices = list_devices(with_torch=True)
    return pick(asked, devices)


def _for_gguf(asked: str, devices: tuple[Device, ...]) -> Device:
    if llama_cpp_has_gpu():
        return for_llama_cpp(asked, devices)
    if not _NAME.fullmatch(asked.strip().lower()):
        raise _no_device(asked, devices)
    return devices[-1]


def for_llama_cpp(asked: str, devices: tuple[Device, ...]) -> Device:
    """The device that llama.cpp uses where it has a GPU: all cards, or the one with that number.

    The layers that do not fit there are computed on the CPU.
    """
    chosen, cpu = pick(asked, devices), devices[-1]
    if chosen.kind == "cpu":
        return cpu
    several = chosen.kind == "cuda" and ":" not in asked
    cards = [d for d in devices if d.kind == "cuda"] if several else [chosen]
    free = sum(card.free_bytes for card in cards)
    return replace(
        chosen,
        total_bytes=sum(card.total_bytes for card in cards),
        free_bytes=free,
        cards=len(cards),
        # Apple's GPU has no memory of its own.
        spare_bytes=cpu.free_bytes if chosen.kind == "cuda" else max(cpu.free_bytes - free, 0),
    )


def llama_cpp_has_gpu() -> bool:
    """Whether the installed build of llama.cpp computes on a GPU of this machine."""
    if not find_spec("xllamacpp"):
        return False
    import xllamacpp

    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    return any(device["type"] != cpu for device in xllamacpp.get_device_info())


def _cpu() -> Device:
    import psutil

    memory = psutil.virtual_memory()
    total, free = _within_limits(memory.total, memory.available)
    name = platform.processor() or platform.machine() or "processor"
    return Device("cpu", 0, _cpu_name() or name, total, free, quick_4bit=_has_avx512_bf16())


def _within_limits(total: int, free: int) -> tuple[int, int]:
    """Total and free bytes, lowered to the limits of a container or a job if there are some."""
    for folder in groups("memory"):
        for names in (VERSION_2, VERSION_1):
            with suppress(OSError, ValueError):  # "max" means no limit
                limit, used = _limit_and_use(folder, *names)
                total, free = min(total, limit), min(free, max(0, limit - used))
    return total, free


def _limit_and_use(folder: Path, most: str, current: str, inactive: str) -> tuple[int, int]:
    """The limit of a memory group, and the bytes used.

    Inactive file pages do not count as used: the kernel drops them first.
    """
    limit, used = (int((folder / name).read_text()) for name in (most, current))
    lines = (folder / "memory.stat").read_text().splitlines()
    statistics = dict(line.split() for line in lines)
    return limit, used - int(statistics.get(inactive, 0))


def _cpu_field(*names: str) -> str:
    """The first field with one of these names in /proc/cpuinfo; "" if there is none."""
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in fields if key.strip() in names), "")


def _cpu_name() -> str:
    return _cpu_field("model name", "Model")


def _has_avx512_bf16() -> bool:
    """Whether bitsandbytes has a fast 4-bit kernel for this CPU.

    With AVX512-BF16, the product of a 4096x12288 matrix takes 0.6 ms in nf4 against 3.3 ms in bf16
    (two cores of an EPYC). Without it, the weights are dequantized for each token, and nf4 is nine
    times slower.
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
        # Metal lets a program use about two thirds of the unified memory.
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
    """The GPUs in the CSV output of `nvidia-smi`: name, total and free memory in MiB."""
    found: list[Device] = []
    for line in text.splitlines():
        name, *figures = (part.strip() for part in line.rsplit(",", 2))
        if len(figures) == 2 and all(figure.isdigit() for figure in figures):
            total, free = (int(figure) * 2**20 for figure in figures)
            found.append(Device("cuda", len(found), name, total, free))
    return tuple(found)


def visible(cards: tuple[Device, ...], setting: str | None) -> tuple[Device, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES selects, renumbered as torch numbers them.

    If it names GPUs by UUID, all are kept: the UUIDs are not known here.
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

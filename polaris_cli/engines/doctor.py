"""What this machine can run, and what prevents it: the checks behind `polaris doctor`.

Returns the results as plain data, each problem with its fix; prints nothing.
"""

import importlib.util
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models import hub, memory
from polaris_cli.models.cache import (
    cache_folder,
    cached,
    free_bytes,
    gguf_downloads,
    offline,
    stored_bytes,
)
from polaris_cli.models.catalogue import CATALOGUE, POLARIS, CatalogueEntry
from polaris_cli.models.devices import Device, device_for, list_devices, pick, size_text
from polaris_cli.models.gguf_files import gguf_facts
from polaris_cli.models.reference import of_entry
from polaris_cli.models.threads import busy_cpus, decide, physical_cores, quota, usable_cores
from polaris_cli.version import __version__

T = TypeVar("T")

LOAD_INTERVAL = 0.2  # seconds over which the load of the cores is measured

PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
    "gguf",
    "bitsandbytes",
)

# Optional packages that make a GPU faster, quantize models or run GGUF files: module name and
# package name.
KERNELS = {
    "fla": "flash-linear-attention",
    "causal_conv1d": "causal-conv1d",
    "flash_attn": "flash-attn",
    "triton": "triton",
    "bitsandbytes": "bitsandbytes",
    "xllamacpp": "xllamacpp",
    "torchao": "torchao",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and how to fix it."""

    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All results. `fits` maps each model to its precisions, and whether each fits on the best
    device now; `gguf` maps each GGUF file on this machine to the bytes that it needs with
    llama.cpp, and whether they are free. `cpu` has the usable cores, how many others keep busy,
    and the threads to use."""

    versions: dict[str, str]
    devices: tuple[Device, ...]
    cpu: dict[str, float]
    fits: dict[str, dict[str, bool]]
    gguf: dict[str, dict[str, Any]]
    hub: dict[str, str]
    cache: dict[str, Any]
    kernels: dict[str, str]
    problems: tuple[Problem, ...]


def diagnose() -> Diagnosis:
    """Check packages, devices, hub and disk. Takes seconds, as it imports torch."""
    devices = list_devices(with_torch=True)
    status, hub_problems = _readable(hub_status, {})
    kernels = kernel_versions()
    cache, cache_problems = _readable(cache_status, {"folder": str(cache_folder()), "models": {}})
    problems = (
        *device_problems(devices, list_devices()),
        *kernel_problems(kernels, devices),
        *hub_problems,
        *cache_problems,
    )
    best = pick("auto", devices)
    fits = {entry.name: fitting(entry, best) for entry in CATALOGUE}
    gguf, gguf_problems = _readable(gguf_status, {})
    problems = (*problems, *memory_problems(fits, best), *gguf_problems)
    return Diagnosis(
        package_versions(), devices, cpu_status(), fits, gguf, status, cache, kernels, problems
    )


def _readable(
    check: Callable[[], tuple[dict[str, T], list[Problem]]], otherwise: dict[str, T]
) -> tuple[dict[str, T], list[Problem]]:
    """What a check found; `otherwise` and a problem if it may not read a file or folder."""
    try:
        return check()
    except OSError as error:
        what = f"Cannot read {error.filename}: {error.strerror}."
        return otherwise, [Problem(what, "Change its permissions, or set HF_HOME to another one.")]


def package_versions() -> dict[str, str]:
    """The installed releases of polaris, Python and the required packages, or "missing"."""
    own = {"polaris": __version__, "python": platform.python_version()}
    return own | {name: _version(name) or "missing" for name in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def kernel_versions() -> dict[str, str]:
    """The optional packages with their installed release, or "not installed"."""
    found = {package: importlib.util.find_spec(module) for module, package in KERNELS.items()}
    return {
        name: (_version(name) or "yes") if spec else "not installed" for name, spec in found.items()
    }


def all_versions() -> dict[str, str]:
    """The installed releases of all packages that a speed depends on."""
    return package_versions() | kernel_versions()


def fitting(entry: CatalogueEntry, device: Device) -> dict[str, bool]:
    """For each precision, whether the model fits in the device's free memory."""
    size = memory.size_of_entry(entry)
    return {p: memory.fits(size, p, memory.TYPICAL_TOKENS, device) for p in memory.PRECISIONS}


def gguf_status() -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """What each GGUF file needs with llama.cpp, and whether it fits now; a problem for each that is
    damaged."""
    installed = [reference for reference in map(of_entry, CATALOGUE) if reference.gguf]
    device = device_for("gguf", "auto")
    status: dict[str, dict[str, Any]] = {}
    problems = []
    for reference in (*installed, *gguf_downloads()):
        assert reference.gguf
        try:
            facts = gguf_facts(reference.gguf)
        except ModelUnavailable as error:
            problems.append(Problem(error.message, error.hint))
            continue
        need = memory.llama_cpp_memory(facts, memory.TYPICAL_TOKENS).total
        fits = need <= device.room_bytes
        status[f"{reference.name} {reference.gguf.name}"] = {"bytes": need, "fits": fits}
    return status, problems


def cpu_status() -> dict[str, float]:
    """The cores that polaris may use, how many of them others keep busy, and its threads."""
    busy = busy_cpus(LOAD_INTERVAL)
    threads = decide(None, physical_cores(), busy, quota()).number
    return {"cores": usable_cores(), "busy": round(busy, 1), "threads": threads}


def device_problems(usable: tuple[Device, ...], present: tuple[Device, ...]) -> list[Problem]:
    """A problem if there is a GPU among `present`, but none among those `usable` by torch."""
    cards = {device.name for device in present if device.kind == "cuda"}
    if cards and not any(device.kind == "cuda" for device in usable):
        return [
            Problem(
                f"torch cannot use the GPU ({', '.join(sorted(cards))}): it was built without "
                "CUDA, or for another driver.",
                "Install torch for your CUDA release: https://pytorch.org/get-started/locally",
            )
        ]
    return []


def kernel_problems(kernels: dict[str, str], devices: tuple[Device, ...]) -> list[Problem]:
    """Optional packages that are missing and would help, or are installed and do harm."""
    missing = {name for name, release in kernels.items() if release == "not installed"}
    cuda = any(device.kind == "cuda" for device in devices)
    problems = []
    if "bitsandbytes" in missing:
        problems.append(
            Problem(
                "bitsandbytes is missing: models cannot be quantized to 8-bit or 4-bit.",
                "pip install bitsandbytes",
            )
        )
    if cuda and "flash-linear-attention" in missing:
        problems.append(
            Problem(
                "flash-linear-attention is missing: Qwen3.5 models run slower on this GPU.",
                "pip install 'polaris-story[cuda]'",
            )
        )
    if not cuda and "flash-linear-attention" not in missing and "triton" not in missing:
        problems.append(
            Problem(
                "flash-linear-attention is installed, but there is no GPU for it: Qwen3.5 "
                "models will fail.",
                "pip uninstall flash-linear-attention",
            )
        )
    return problems


def memory_problems(fits: dict[str, dict[str, bool]], best: Device) -> list[Problem]:
    """A problem if POLARIS-9B does not fit on the best device in any precision."""
    if any(fits[POLARIS.name].values()):
        return []
    size = memory.size_of_entry(POLARIS)
    need = memory.memory_needed(size, "4bit", memory.TYPICAL_TOKENS, best.kind)
    return [
        Problem(
            f"{POLARIS.name} does not fit: in 4-bit it needs {size_text(need.total)}, "
            f"{best.id} has {size_text(best.free_bytes)} free.",
            "Close other programs that use the memory, use another machine, or try --model demo",
        )
    ]


def hub_status() -> tuple[dict[str, str], list[Problem]]:
    """Whether there is a token, and access to the gated model; asks the hub, for 2 s at most."""
    status = {"token": "yes" if hub.logged_in() else "none"}
    if offline():
        return status | {"network": "off (HF_HUB_OFFLINE)"}, []
    try:
        hub.check_access(of_entry(POLARIS))
    except ModelUnavailable as error:
        return status | {POLARIS.name: error.message}, [Problem(error.message, error.hint)]
    return status | {POLARIS.name: "your account has access"}, []


def cache_status() -> tuple[dict[str, Any], list[Problem]]:
    """The cache's folder, its free bytes and its models; a problem if POLARIS-9B does not fit."""
    folder, free = cache_folder(), free_bytes()
    downloads = (reference for reference in map(of_entry, CATALOGUE) if not reference.folder)
    models = {reference.name: stored_bytes(reference) for reference in downloads}
    status = {
        "folder": str(folder),
        "free_bytes": free,
        "models": {name: size for name, size in models.items() if size},
    }
    missing = POLARIS.download_bytes - models[POLARIS.name]
    if cached(of_entry(POLARIS)) or free > missing + hub.SPARE_BYTES:
        return status, []
    what = f"{POLARIS.name} needs {size_text(missing)} more, but {size_text(free)} is free."
    return status, [Problem(what, "Free some space, or set HF_HOME to a folder on another disk.")]

"""`polaris write --dry-run`: what would be asked of which model, and what it would take.

Shows a job request and reads the files of a model that is here; loads neither model nor torch.
"""

import json
from typing import Any

from polaris_cli.models.cache import cached
from polaris_cli.models.devices import GB, Device, list_devices, pick
from polaris_cli.models.hub import ensure
from polaris_cli.models.memory import ModelSize, fits, memory_needed, size_of_entry
from polaris_cli.models.model_files import as_computed, measured, read_config, stored_as
from polaris_cli.story.job import Job

FORMATS = (("none", "bf16"), ("8bit", "8-bit"), ("4bit", "4-bit"))


def print_dry_run(job: Job, *, as_json: bool) -> None:
    """Print the plan to stdout, as text or as one JSON object."""
    shown = _facts(job)
    if as_json:
        print(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    print("Prompt")
    for line in shown["prompt"].splitlines():
        print(f"  {line}")
    for heading in ("settings", "tokens", "expected", "memory", "notes"):
        print(f"\n{heading.capitalize()}")
        for line in _lines(heading, shown[heading]):
            print(f"  {line}")


def _facts(job: Job) -> dict[str, Any]:
    return {
        "prompt": job.messages[-1].content,
        "settings": {
            name: {"value": setting.value, "source": setting.source}
            for name, setting in sorted(job.settings.items())
        },
        "tokens": {
            "story": job.budget.story,
            "thinking": job.budget.thinking,
            "max_new_tokens": job.budget.max_new_tokens,
        },
        "expected": _expected(job),
        "memory": _memory(job),
        "notes": list(job.notes),
    }


def _expected(job: Job) -> dict[str, Any]:
    words = job.request.words
    ratio = job.reference.profile.length_ratio.at(words)
    if ratio is None or job.request.length != "single":
        return {"model": job.request.model, "ratio": None, "words": None}
    return {"model": job.request.model, "ratio": ratio, "words": round(words * ratio)}


def _memory(job: Job) -> list[dict[str, Any]]:
    reference, tokens = job.reference, job.budget.max_new_tokens
    if not (job.reference.entry or reference.folder or cached(reference)):
        return []
    device = pick(job.request.device, list_devices())
    size, stored = _size(job, device)
    formats = FORMATS if size.stored_bytes is None else (("none", stored),)
    return [_need(size, tokens, device, *names) for names in formats]


def _size(job: Job, device: Device) -> tuple[ModelSize, str]:
    """The model's size on the device, and how its files are quantized."""
    if job.reference.entry:
        return size_of_entry(job.reference.entry), ""
    folder = ensure(job.reference)  # downloads nothing: it is here
    config = read_config(job.reference, folder)
    size = measured(job.reference, folder, config)
    return as_computed(size, config, device.kind), stored_as(config)


def _need(size: ModelSize, tokens: int, device: Device, quantize: Any, name: str) -> dict[str, Any]:
    return {
        "format": name,
        "gigabytes": round(memory_needed(size, quantize, tokens, device.kind).total / GB, 1),
        "device": str(device),
        "fits": fits(size, quantize, tokens, device),
    }


def _lines(heading: str, value: Any) -> list[str]:
    match heading:
        case "settings":
            return [f"{name:<20} {s['value']!s:<24} {s['source']}" for name, s in value.items()]
        case "tokens":
            return [f"{name:<20} {number:,}" for name, number in value.items()]
        case "expected" if value["ratio"]:
            return [
                f"about {value['words']:,} words: {value['model']} writes {value['ratio']:.2f} "
                "of the words asked for at this length on average (model card)"
            ]
        case "expected":
            return [f"no figures are known for {value['model']} written in this way"]
        case "memory":
            return [_memory_line(need) for need in value] or [
                "known once the model is on this machine"
            ]
        case _:
            return value or ["none"]


def _memory_line(need: dict[str, Any]) -> str:
    verdict = "fits" if need["fits"] else "does not fit"
    return f"{need['format']:<6} {need['gigabytes']:>6.1f} GB  {verdict} {need['device']}"

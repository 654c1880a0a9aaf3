"""`polaris write --dry-run`: shows the prompt, the settings and the memory a job needs.

Reads the config of a downloaded model; loads neither a model nor torch.
"""

import json
import sys
from typing import Any

from polaris_cli.models.cache import cached, gguf_path
from polaris_cli.models.devices import GB, Device, device_for
from polaris_cli.models.gguf_files import gguf_facts
from polaris_cli.models.hub import ensure
from polaris_cli.models.memory import (
    ModelSize,
    fits,
    memory_needed,
    size_of_entry,
    size_of_gguf,
)
from polaris_cli.models.model_files import as_computed, measured, read_config, stored_as
from polaris_cli.screen.tables import print_table
from polaris_cli.story.job import Job

PRECISIONS = (("none", "bf16"), ("8bit", "8-bit"), ("4bit", "4-bit"))


def print_dry_run(job: Job, *, as_json: bool) -> None:
    """Print what the job is to stdout, as text or as one JSON object."""
    facts = _facts(job)
    if as_json:
        print(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    print(f"Prompt\n{facts['prompt']}\n", flush=True)
    settings = [(name, str(s["value"]), s["source"]) for name, s in facts["settings"].items()]
    print_table(("setting", "value", "source"), settings, sys.stdout)
    tokens = [(name, f"{count:,}") for name, count in facts["tokens"].items()]
    print(flush=True)
    print_table(("tokens", "number"), tokens, sys.stdout)
    print(
        f"\nExpected length\n{_expected_text(facts['expected'], job.request.length)}\n", flush=True
    )
    _print_memory(facts["memory"])
    print("\nNotes", *(facts["notes"] or ["none"]), sep="\n")


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
    if not (reference.entry or reference.folder or cached(reference)):
        return []
    device = device_for(job.request.engine, job.request.device)
    size, stored = _size(job, device)
    precisions = PRECISIONS if size.stored_bytes is None else (("none", stored),)
    return [_need(size, tokens, device, *names) for names in precisions]


def _size(job: Job, device: Device) -> tuple[ModelSize, str]:
    """The model's size on the device, and how its weights are quantized if they stay as stored."""
    if file := gguf_path(job.reference):
        facts = gguf_facts(file)
        return size_of_gguf(facts, job.request.engine), facts.quantization or "as stored"
    if job.reference.entry:
        return size_of_entry(job.reference.entry), ""
    folder = ensure(job.reference)  # downloads nothing: `_memory` checked that the files are here
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


def _expected_text(expected: dict[str, Any], mode: str) -> str:
    if not expected["ratio"]:
        return f"no length figures for {expected['model']} with --length {mode}"
    return (
        f"about {expected['words']:,} words: at this length {expected['model']} writes "
        f"{expected['ratio']:.2f} of the words asked for on average (model card)"
    )


def _print_memory(needs: list[dict[str, Any]]) -> None:
    if not needs:
        print("Memory\nunknown until the model is downloaded", flush=True)
        return
    rows = [
        (
            need["format"],
            f"{need['gigabytes']:.1f} GB",
            "yes" if need["fits"] else "no",
            need["device"],
        )
        for need in needs
    ]
    print_table(("memory", "needed", "fits", "device"), rows, sys.stdout)

"""`polaris write --dry-run`: shows the prompt, the settings, and the tokens, time and memory a job
needs.

Reads the config of a downloaded model, and the last measured speed in the library; loads neither a
model nor torch.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from polaris_cli.errors import LibraryError
from polaris_cli.library.store import Library
from polaris_cli.models.devices import GB, Device, device_for
from polaris_cli.models.memory import (
    PRECISIONS,
    ModelSize,
    fits,
    memory_needed,
)
from polaris_cli.models.sizes import cache_tokens, size_on
from polaris_cli.screen.meter import duration, per_second
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.tables import print_table
from polaris_cli.story.job import Job
from polaris_cli.story.passes import PLAN, Pass, passes_of


def print_dry_run(job: Job, drafts: int = 1, *, as_json: bool, plan_only: bool = False) -> None:
    """Print what the job, or the plan alone, is to stdout, as text or as one JSON object."""
    passes = passes_of(job)
    plan = [one for one in passes if one.name == PLAN]
    facts = _facts(job, drafts, plan if plan_only and plan else passes)
    if as_json:
        print_json(facts, indent=2)
        return
    print_text(f"Prompt\n{facts['prompt']}\n")
    settings = [
        (name, _value_text(s["value"]), s["source"]) for name, s in facts["settings"].items()
    ]
    print_table(("setting", "value", "source"), settings, sys.stdout)
    if drafts > 1:
        asked, all_words = job.request.words, facts["drafts"]["words"]
        print_text(f"\nDrafts\n{drafts} drafts of {asked:,} words: {all_words:,} words in all")
    print_text("")
    _print_tokens(facts)
    print_text(f"\nTime\n{_time_text(facts, job)}", wrap=True)
    expected = _expected_text(facts, job.request.length)
    print_text(f"\nExpected length\n{expected}\n", wrap=True)
    _print_memory(facts["memory"])
    print_text("\nNotes", *(facts["notes"] or ["none"]), wrap=True)


def _facts(job: Job, drafts: int, passes: Sequence[Pass]) -> dict[str, Any]:
    """Passes and memory are those of one draft; tokens, time and words those of all."""
    return {
        "prompt": job.messages[-1].content,
        "settings": {
            name: {"value": setting.value, "source": setting.source}
            for name, setting in sorted(job.settings.items())
        },
        "drafts": {"count": drafts, "words": drafts * job.request.words},
        "chapters": job.request.chapters,
        "passes": [asdict(one) for one in passes],
        "tokens": _tokens(job, passes, drafts),
        "time": _time(job, passes, drafts),
        "expected": _expected(job, drafts),
        "memory": _memory(job),
        "notes": list(job.notes),
    }


def _tokens(job: Job, passes: Sequence[Pass], drafts: int) -> dict[str, int | None]:
    """The tokens of all passes together; a limit, which is each draft's, only for one pass."""
    plan = sum(one.text for one in passes if one.name == PLAN)
    return {
        "prompt": drafts * sum(one.prompt for one in passes),
        "thinking": drafts * sum(one.thinking for one in passes),
        "plan": drafts * plan,
        "story": drafts * (sum(one.text for one in passes) - plan),
        "max_new_tokens": job.budget.max_new_tokens if len(passes) == 1 else None,
    }


def _time(job: Job, passes: Sequence[Pass], drafts: int) -> dict[str, float | None]:
    """The seconds for the text and the thinking of all passes at the speed last measured."""
    speed = None
    with suppress(LibraryError):  # without a library that can be read there is no speed
        speed = Library().speed_of(job.reference.name, job.request.engine)
    tokens = drafts * sum(one.text + one.thinking for one in passes)
    return {"tokens_per_s": speed, "seconds": max(1, round(tokens / speed)) if speed else None}


def _expected(job: Job, drafts: int) -> dict[str, Any]:
    words = job.request.words
    ratio = job.reference.profile.length_ratio.at(words)
    if ratio is None or job.request.length != "single":
        return {"model": job.request.model, "ratio": None, "words": None}
    return {"model": job.request.model, "ratio": ratio, "words": drafts * round(words * ratio)}


def _memory(job: Job) -> list[dict[str, Any]]:
    device = device_for(job.request.engine, job.request.device)
    found = size_on(job.reference, job.request.engine, device)
    if not found:
        return []
    size, stored = found
    precisions = PRECISIONS if size.stored_bytes is None else {"none": stored}
    tokens = cache_tokens(job.reference, job.request.engine, job.tokens)
    return [_need(size, tokens, device, *names) for names in precisions.items()]


def _need(size: ModelSize, tokens: int, device: Device, quantize: Any, name: str) -> dict[str, Any]:
    return {
        "format": name,
        "gigabytes": round(memory_needed(size, quantize, tokens, device.kind).total / GB, 1),
        "device": str(device),
        "fits": fits(size, quantize, tokens, device),
    }


def _value_text(value: object) -> str:
    """A setting's value, as an option or config.toml has it; None leaves the choice to polaris."""
    match value:
        case None:
            return "auto"
        case bool():
            return str(value).lower()
        case float(low), float(high):
            return f"{low:g}-{high:g}"
    return str(value)


def _print_tokens(facts: dict[str, Any]) -> None:
    """A table of the passes of a story in chapters, else of the tokens of its one pass."""
    tokens, count = facts["tokens"], facts["drafts"]["count"]
    drafts = f"{count} drafts" if count > 1 else ""
    if not facts["chapters"]:
        names = {name: name for name in tokens if name != PLAN}
        names |= {"max_new_tokens": "max_new_tokens of each"} if drafts else {}
        rows = [(told, f"{tokens[name]:,}") for name, told in names.items()]
        print_table((_listed("tokens", drafts), "number"), rows, sys.stdout)
        return
    columns = ("prompt", "thinking", "text")
    rows = [(one["name"], *(f"{one[name]:,}" for name in columns)) for one in facts["passes"]]
    sums = (tokens["prompt"], tokens["thinking"], tokens["plan"] + tokens["story"])
    print_table(
        (f"tokens, {facts['chapters']} chapters", *columns),
        [*rows, (_listed("all", drafts), *(f"{number:,}" for number in sums))],
        sys.stdout,
    )


def _listed(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _time_text(facts: dict[str, Any], job: Job) -> str:
    time = facts["time"]
    by = f"by {job.reference.name} with the engine {job.request.engine}"
    if not time["seconds"]:
        return f"not known yet: the library has no story {by} on this machine"
    limited = job.request.sampling.thinking_budget >= 0
    length = "uses its whole thinking budget" if limited else "uses the default thinking budget"
    thinks = f", if it {length}" if facts["tokens"]["thinking"] else ""
    speed = per_second(time["tokens_per_s"])
    at_once = "; drafts written at once take less" if facts["drafts"]["count"] > 1 else ""
    return f"about {duration(time['seconds'])}{thinks}, at {speed}: the last story {by}{at_once}"


def _expected_text(facts: dict[str, Any], mode: str) -> str:
    expected, drafts = facts["expected"], facts["drafts"]["count"]
    among = f" in {drafts} drafts" if drafts > 1 else ""
    if not expected["ratio"]:
        return f"no length figures for {expected['model']} with --length {mode}"
    return (
        f"about {expected['words']:,} words{among}: at this length {expected['model']} writes "
        f"{expected['ratio']:.2f} of the words asked for on average (model card)"
    )


def _print_memory(needs: list[dict[str, Any]]) -> None:
    if not needs:
        print_text("Memory\nunknown until the model is downloaded")
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

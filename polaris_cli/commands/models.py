"""`polaris models`: lists the known models; downloads and deletes their files.

Knows how figures are shown; the catalogue has the figures, `memory` the sizes.
"""

import sys
from typing import Annotated, Any

import typer

from polaris_cli.commands.quick import QuickGroup, runs_alone
from polaris_cli.errors import ModelUnavailable, UsageError
from polaris_cli.models.cache import cached, gguf_path, remove, stored_bytes
from polaris_cli.models.catalogue import (
    CATALOGUE,
    ByStage,
    CatalogueEntry,
    recommended,
)
from polaris_cli.models.devices import size_text
from polaris_cli.models.gguf_files import gguf_facts
from polaris_cli.models.hub_errors import corrupt
from polaris_cli.models.memory import (
    LARGE,
    PRECISIONS,
    TYPICAL_TOKENS,
    ModelSize,
    llama_cpp_memory,
    memory_needed,
    size_of_entry,
    size_of_gguf,
    text_settings,
)
from polaris_cli.models.model_files import measured, read_config
from polaris_cli.models.reference import ModelRef, of_entry
from polaris_cli.models.weights import missing_file_in
from polaris_cli.screen.messages import note
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.tables import print_table

LEGEND = """\
bf16, 4-bit: memory needed for a 3,000-word story.
quality: score by a judge model. length: words written / words asked for.
Both are from the model cards, for stories of 1-4k, 4-8k and 8-12k words.
For a recommendation: polaris models --words 9000"""

app = typer.Typer(cls=QuickGroup, invoke_without_command=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="A model's name, a folder or a hub id (owner/name).")]
Revision = Annotated[
    str | None, typer.Option(help="A branch, tag or commit of the model on the hub.")
]
GgufFile = Annotated[
    str | None,
    typer.Option("--gguf-file", metavar="NAME", help="One of its GGUF files: Q4_K_M or a name."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def models(
    ctx: typer.Context,
    words: Annotated[
        str | None, typer.Option("--words", "-w", help="Compare them at this length: 3000 or 3k.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the known models: what they need, how good they are, which to choose.

    Quality and length are from the POLARIS model cards: the score by a judge model, and words
    written / words asked for, for stories of 1-4k, 4-8k and 8-12k words.

    Example:  polaris models --words 9000
    """
    if not runs_alone(ctx):
        return
    length = _length(words)
    if as_json:
        listed: dict[str, Any] = {"models": [entry_facts(entry, length) for entry in CATALOGUE]}
        if length:
            listed |= {"words": length, "recommended": recommended(length)[0]}
        print_json(listed, indent=2)
    elif length:
        _print_choice(length)
    else:
        _print_all()


def _length(words: str | None) -> int | None:
    if words is None:
        return None

    from polaris_cli.request.settings import checked_option
    from polaris_cli.request.story_request import check_words

    return checked_option("words", words, check_words)


def _print_all() -> None:
    headers = ("model", "access", "local", "download", "bf16", "4-bit", "quality", "length")
    rows = [
        (
            entry.name,
            entry.access,
            _is_local(entry),
            size_text(entry.download_bytes) if entry.download_bytes else "-",
            size_text(_need(size_of_entry(entry), "none")),
            size_text(_need(size_of_entry(entry), "4bit")),
            _stages(entry.quality, "{:.0f}"),
            _stages(entry.profile.length_ratio, "{:.2f}"),
        )
        for entry in CATALOGUE
    ]
    print_table(headers, rows, sys.stdout, drop=("bf16", "download", "length", "access", "quality"))
    print_text(f"\n{LEGEND}", wrap=True)


def _print_choice(words: int) -> None:
    headers = ("model", "access", "local", "quality", "expected words", "4-bit", "bf16")
    rows = [
        (
            entry.name,
            entry.access,
            _is_local(entry),
            _figure(entry.quality.at(words)),
            _expected(entry, words),
            size_text(_need(size_of_entry(entry), "4bit")),
            size_text(_need(size_of_entry(entry), "none")),
        )
        for entry in CATALOGUE
    ]
    print_table(headers, rows, sys.stdout, drop=("bf16", "access", "quality", "4-bit"))
    name, reason = recommended(words)
    print_text(f"\nFor {words:,} words, choose {name}: {reason}.", wrap=True)


def _is_local(entry: CatalogueEntry) -> str:
    try:
        return "yes" if cached(of_entry(entry)) else "no"
    except OSError:
        return "unreadable"


def _need(size: ModelSize, quantize: Any) -> int:
    """Bytes on a GPU, or on a CPU for a small model."""
    kind = "cuda" if size.parameters >= LARGE else "cpu"
    return memory_needed(size, quantize, TYPICAL_TOKENS, kind).total


def _figure(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:g}"


def _stages(figures: ByStage, form: str) -> str:
    """Three figures as "57/48/44", "-" if there are none."""
    stages = (figures.id, figures.near, figures.far)
    if not any(stages):
        return "-"
    return "/".join("-" if figure is None else form.format(figure) for figure in stages)


def _expected(entry: CatalogueEntry, words: int) -> str:
    ratio = entry.profile.length_ratio.at(words)
    return "-" if ratio is None else f"about {words * ratio:,.0f} ({ratio:.2f})"


@app.command()
def show(
    name: Name, revision: Revision = None, gguf_file: GgufFile = None, as_json: AsJson = False
) -> None:
    """Show a model: access, size, memory, figures from its card.

    Example:  polaris models show polaris
    """
    facts = reference_facts(_resolved(name, revision, gguf_file))
    if as_json:
        print_json(facts, indent=2)
        return
    rows = [(key.replace("_", " "), text) for key, text in _flat(facts)]
    print_table(("model", facts["name"]), rows, sys.stdout)


def _resolved(name: str, revision: str | None, gguf_file: str | None) -> ModelRef:
    """The model; prints a note if the revision has no effect."""
    from polaris_cli.models.resolving import resolve

    reference = resolve(name, revision, gguf_file=gguf_file)
    if revision and reference.without_revisions:
        note(f"--revision has no effect: {reference.without_revisions}.", sys.stderr)
    return reference


@app.command()
def fetch(name: Name, revision: Revision = None, gguf_file: GgufFile = None) -> None:
    """Download a model, or resume an interrupted download.

    Of a repository of GGUF files, downloads one: the largest that fits the free memory, unless
    --gguf-file names another.

    Example:  polaris models fetch no-hri
    """
    from polaris_cli.commands.download import download
    from polaris_cli.models.resolving import choose_file

    reference = choose_file(_resolved(name, revision, gguf_file), TYPICAL_TOKENS)
    if reference.note:
        note(reference.note, sys.stderr)
    print_text(download(reference, update=True))


@app.command()
def rm(
    name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Delete a model's files: all revisions and partial downloads.

    Example:  polaris models rm base-27b --yes
    """
    from polaris_cli.models.resolving import by_name

    if name == "auto":
        raise UsageError(
            "The model auto can stand for several.", hint="Name it: polaris models rm no-hri"
        )
    reference = by_name(name)
    size = stored_bytes(reference)
    if size and not reference.folder and not yes:
        _confirm(f"Delete {reference.name} ({size_text(size)})?", reference)
    print_text(f"{size_text(remove(reference))} freed.")


def _confirm(question: str, reference: ModelRef) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "Cannot ask for confirmation: stdin is not a terminal.",
            hint=f"Delete without asking: polaris models rm {reference.name} --yes",
        )
    typer.confirm(question, abort=True, err=True)


def reference_facts(reference: ModelRef) -> dict[str, Any]:
    """The details of a model, from the catalogue or from its files, as plain data."""
    if reference.entry:
        return entry_facts(reference.entry, None, reference.revision)
    if reference.is_gguf:
        return gguf_file_facts(reference)
    folder = cached(reference)
    if folder is None and reference.folder:
        raise corrupt(reference, missing_file_in(reference.folder))
    if folder is None:
        raise ModelUnavailable(
            f"{reference.name} is not in the catalogue and not downloaded.",
            hint=f"Download it: polaris models fetch {reference.name}, or see {reference.page}",
        )
    config = read_config(reference, folder)
    size = measured(reference, folder, config)
    return {
        "name": reference.name,
        "id": reference.id,
        "on_this_machine": str(folder),
        "parameters": size.parameters,
        "context": text_settings(config).get("max_position_embeddings"),
        "memory": _memory(size),
    }


def gguf_file_facts(reference: ModelRef) -> dict[str, Any]:
    """The details of a GGUF file on this machine, or of the files to choose from."""
    file = gguf_path(reference)
    about = {
        "name": reference.name,
        "id": reference.id,
        "on_this_machine": str(file) if file else None,
    }
    if not file:
        return about | {"files": {file.name: file.size for file in reference.gguf_files}}
    facts = gguf_facts(file)
    as_stored = llama_cpp_memory(facts, TYPICAL_TOKENS).total
    return about | {
        "architecture": facts.architecture,
        "quantization": facts.quantization,
        "chat_template": "yes" if facts.has_chat_template else "no",
        "file_bytes": facts.file_bytes,
        "parameters": facts.parameters,
        "context": facts.context or None,
        "memory": {"llama.cpp": as_stored} | _memory(size_of_gguf(facts, "local")),
    }


def entry_facts(
    entry: CatalogueEntry, words: int | None, revision: str | None = None
) -> dict[str, Any]:
    """The catalogue's details of a model as plain data, with figures for `words` if given."""
    folder = cached(of_entry(entry, revision))
    facts: dict[str, Any] = {
        "name": entry.name,
        "id": entry.hub_id or "built in",
        "about": entry.about,
        "access": entry.access,
        "page": entry.page,
        "licence": entry.licence,
        "on_this_machine": str(folder) if folder else None,
        "download_bytes": entry.download_bytes,
        "parameters": entry.parameters,
        "context": entry.profile.context,
        "good_words": list(entry.profile.good_words),
        "tokens_per_word": entry.profile.tokens_per_word,
        "memory": _memory(size_of_entry(entry)),
        "quality": _by_stage(entry.quality) | {"slope": entry.slope},
        "length_ratio": _by_stage(entry.profile.length_ratio),
        "eqbench_longform": _by_stage(entry.eqbench),
        "writingbench_d4": entry.writingbench,
        "longbench_write": entry.longbench_write,
        "eqbench_creative": entry.eqbench_creative,
    }
    if words:
        ratio = entry.profile.length_ratio.at(words)
        expected = None if ratio is None else round(words * ratio)
        facts |= {"quality_at_words": entry.quality.at(words), "expected_words": expected}
    return facts


def _by_stage(figures: ByStage) -> dict[str, float | None]:
    return {"ID": figures.id, "Near": figures.near, "Far": figures.far, "all": figures.all}


def _memory(size: ModelSize) -> dict[str, int]:
    """Bytes needed for a 3,000-word story, by precision."""
    return {label: _need(size, quantize) for quantize, label in PRECISIONS.items()}


def _flat(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts as text, without the unknown ones."""
    lines = ((key, _as_text(key, value)) for key, value in facts.items() if key != "name")
    return [(key, text) for key, text in lines if text]


def _as_text(key: str, value: Any) -> str:
    match value:
        case dict() if key in ("memory", "files"):
            return ", ".join(f"{label} {size_text(need)}" for label, need in value.items())
        case dict():
            return ", ".join(f"{k} {v:g}" for k, v in value.items() if v is not None)
        case [low, high]:
            return f"{low:,} to {high:,}"
        case None if key == "on_this_machine":
            return "no"
        case None | "" | 0:
            return ""
        case int() if key.endswith("_bytes"):
            return size_text(value)
        case int():
            return f"{value:,}"
        case _:
            return str(value)

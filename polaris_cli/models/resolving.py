"""What a model's name means: `resolve` makes a `ModelRef` of a name, a path or a hub id.

Reads the disk, asks the hub whether a gated model may be downloaded, and asks a server which models
it has; downloads nothing. For GGUF files, asks the hub which ones a repository has.
"""

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from polaris_cli.errors import ModelUnavailable, UsageError
from polaris_cli.models import catalogue
from polaris_cli.models.cache import cached, gguf_path, gguf_sizes, offline, snapshot
from polaris_cli.models.devices import device_for
from polaris_cli.models.gguf_choice import (
    CACHE_GUESS,
    GgufFile,
    choices,
    largest_fitting,
    matching,
    named,
    part_names,
)
from polaris_cli.models.gguf_files import gguf_facts, is_gguf_file
from polaris_cli.models.hub import all_files, check_access, is_weights, logged_in
from polaris_cli.models.hub_errors import unknown
from polaris_cli.models.memory import llama_cpp_context, llama_cpp_memory
from polaris_cli.models.model_files import adapter_alone, base_of_adapter
from polaris_cli.models.reference import ModelRef, of_entry, of_gguf, on_server
from polaris_cli.models.servers import asked_about, probe
from polaris_cli.models.weights import weight_files
from polaris_cli.request.paths import exists, expanded
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import EngineName

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# A page of the hub, or the name of a file as llama.cpp and Ollama take it: "OWNER/NAME:Q4_K_M".
_PAGE_OR_FILE = re.compile(
    r"(?:(?:https?://)?(?:huggingface\.co|hf\.co)/)?(?P<id>\w[\w.-]*/[\w.-]+)"
    r"(?:/?|/(?:blob|resolve|tree)/.*?(?P<file>[^/]+\.gguf)?|:(?P<quantization>\w+))(?:\?.*)?"
)


def resolve(
    model: str,
    revision: str | None = None,
    server: ServerAddress | None = None,
    gguf_file: str | None = None,
    engine: EngineName = "auto",
) -> ModelRef:
    """The model that `auto`, a name in the catalogue, a folder or a hub id means.

    With `server`, it is a model there. Of a repository or folder with GGUF files, `gguf_file` is
    the one to use, by its name or quantization. Reads the disk; for `auto`, and for GGUF files that
    are not on this machine, it also asks the hub, for 2 s at most. Raises ModelUnavailable for any
    other name, UsageError if there is no such GGUF file or if `engine` needs one and there is none,
    EndpointError if the server does not answer.
    """
    if server:
        found = probe(server, named=model != "auto")
        reference = on_server(model, found)
        return replace(reference, server=asked_about(found, reference.id))
    reference = by_name(model, revision)
    wanted = bool(gguf_file) or engine == "gguf"
    if reference.gguf:
        _refuse_choice(reference, gguf_file)
        return reference
    files = _gguf_files(reference, gguf_file, wanted=wanted)
    if not files and wanted:
        raise _without_gguf(reference, gguf_file)
    reference = replace(reference, gguf_files=files)
    if gguf_file:
        return _with_file(reference, named(files, gguf_file, reference.name))
    return _with_file(reference, files[0]) if len(files) == 1 else reference


def choose_file(
    reference: ModelRef, tokens: int, engine: EngineName = "gguf", device: str = "auto"
) -> ModelRef:
    """The reference with its GGUF file: the largest that fits with the cache of a story of
    `tokens` tokens.

    Does nothing if the file is chosen already, or if the model is not in GGUF files. What counts
    is the free memory of the device that the engine uses. Raises OutOfMemory if no file fits.
    """
    files = reference.gguf_files
    if not files or reference.gguf_name:
        return reference
    cache = _cache_bytes(reference, tokens)
    file = largest_fitting(files, cache, device_for(engine, device), reference.name)
    note = f"{file}: the largest of {len(files)} files that fits the free memory."
    return replace(_with_file(reference, file), note=note)


def _cache_bytes(reference: ModelRef, tokens: int) -> int:
    """What llama.cpp keeps beside the weights; all files of a model need the same."""
    for here in filter(None, (gguf_path(_with_file(reference, f)) for f in reference.gguf_files)):
        with suppress(ModelUnavailable):  # loading it says what is wrong
            return llama_cpp_memory(gguf_facts(here), tokens).cache
    return llama_cpp_context(tokens) * CACHE_GUESS


def _with_file(reference: ModelRef, file: GgufFile) -> ModelRef:
    chosen = replace(reference, gguf_name=file.name)
    return replace(chosen, gguf=gguf_path(chosen))


def _gguf_files(
    reference: ModelRef, gguf_file: str | None, *, wanted: bool
) -> tuple[GgufFile, ...]:
    """The GGUF files to choose from: those on this machine if they are enough, else the hub's.

    () if the model has weights for transformers and no GGUF file is wanted. Asks the hub only if
    one is wanted or if the repository's name says that it holds such files.
    """
    folder = reference.folder or snapshot(reference)
    if reference.entry or (weight_files(folder) and not wanted):
        return ()
    here = choices(gguf_sizes(folder))
    if reference.folder or (here and not gguf_file) or matching(here, gguf_file or ""):
        return here
    if not wanted and "gguf" not in reference.id.casefold():
        return ()
    sizes = all_files(reference)
    plain = any(is_weights(name) and not name.endswith(".gguf") for name in sizes)
    return () if plain and not wanted else choices(sizes)


def _refuse_choice(reference: ModelRef, gguf_file: str | None) -> None:
    """Raise UsageError if another GGUF file is asked for than the one that the model is."""
    assert reference.gguf
    if gguf_file and not matching([GgufFile(reference.gguf.name, 0)], gguf_file):
        raise UsageError(
            f"{reference.name} is one GGUF file: --gguf-file {gguf_file} cannot be used.",
            hint="Leave out --gguf-file, or name the folder of the files, not one of them.",
        )


def _without_gguf(reference: ModelRef, gguf_file: str | None) -> UsageError:
    if gguf_file:
        return UsageError(
            f"{reference.name} has no GGUF files, so --gguf-file {gguf_file} cannot be used.",
            hint="Leave out --gguf-file.",
        )
    folder = cached(reference) or "FOLDER"
    return UsageError(
        f"{reference.name} has no GGUF file, which --engine gguf (llama.cpp) needs.",
        hint="Convert it with the converter in llama.cpp's repository: python "
        f"convert_hf_to_gguf.py {folder} --outfile {reference.name.rpartition('/')[2]}.gguf "
        "--outtype q8_0. Or use transformers: --engine local --quantize 4bit",
    )


def by_name(model: str, revision: str | None = None) -> ModelRef:
    """What a name means, before a GGUF file is chosen. Raises ModelUnavailable as `resolve`."""
    if model == "auto":
        return _auto(revision)
    entry = catalogue.find(model)
    if entry:
        return of_entry(entry, revision)
    path = expanded(model)
    meant = _PAGE_OR_FILE.fullmatch(model)
    if "://" in model and not meant:
        raise unknown(model, f"If it is a server, add --base-url {model}")
    if exists(path) or (_looks_like_path(model) and not meant):
        return _of_path(path)
    if HUB_ID.fullmatch(model):
        return ModelRef(model, model, revision)
    raise unknown(model, _as_options(**meant.groupdict()) if meant else "")


def _as_options(id: str, file: str | None, quantization: str | None) -> str:
    """A hint on how to name a model of the hub, and one of its files if one is meant."""
    chosen = file or quantization
    return f"Its name here is {id}" + (f", with --gguf-file {chosen}" if chosen else "")


def _auto(revision: str | None) -> ModelRef:
    """POLARIS-9B if you have access to it, else the public variant; never the demo model."""
    best, other = catalogue.POLARIS, catalogue.NO_HRI
    reference = of_entry(best, revision)
    if cached(reference):
        return _with_note(reference, "it is on this machine")
    if offline():
        return _with_note(
            of_entry(other, revision), f"{best.name} is not on this machine, and this is offline"
        )
    if not logged_in():
        note = f"{best.name} is gated and you are not logged in"
        return _with_note(of_entry(other, revision), note)
    try:
        check_access(reference)
    except ModelUnavailable as error:
        return _with_note(of_entry(other, revision), error.message.rstrip("."))
    return _with_note(reference, "your account has access to it")


def _with_note(reference: ModelRef, reason: str) -> ModelRef:
    return replace(reference, note=f"Model: {reference.name} ({reason}).")


def _looks_like_path(model: str) -> bool:
    parts = model.startswith((".", "/", "~")) or "\\" in model or model.count("/") > 1
    return parts or model.endswith(".gguf")


def _of_path(path: Path) -> ModelRef:
    if (path / "config.json").is_file():
        return ModelRef(path.resolve().name, str(path.resolve()), folder=path.resolve())
    if is_gguf_file(path):
        # Not where a link leads: the hub's cache links to files that are named by their contents.
        first = path.parent.resolve() / part_names(path.name)[0]
        return of_gguf(first.stem, first)
    if choices(gguf_sizes(path)):
        return ModelRef(path.resolve().name, str(path.resolve()), folder=path.resolve())
    base = base_of_adapter(path)
    if base is not None:
        raise adapter_alone(str(path), base)
    missing = (
        "is neither a GGUF file nor the folder of a model" if path.exists() else "does not exist"
    )
    if path.is_dir():
        missing = "has no config.json, so it is not a model"
    wanted = "Use a folder with config.json, tokenizer and weights"
    if path.suffix == ".gguf":
        wanted = "Give the path of a GGUF file"
    raise ModelUnavailable(f"{path} {missing}.", hint=f"{wanted}, or see: polaris models")

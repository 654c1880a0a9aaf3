"""Other programs that write with a model, beside polaris: llama.cpp and vLLM.

Knows how each is loaded and timed; not how the times are compared (`bench`). Neither is part of
polaris: they are imported when one is asked for.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from polaris_cli.bench.speed import Times, Write, times
from polaris_cli.errors import ModelUnavailable, UsageError
from polaris_cli.request.story_request import Sampling

VLLM = "vllm"
PACKAGES: Mapping[str, str] = MappingProxyType(
    {"llama_cpp": "llama-cpp-python", "vllm": "vllm"}  # what is imported: what is installed
)
CARD_SHARE = 0.9  # of a card's free memory, what vLLM takes; the rest is for the other ways


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that is ready to write: what runs and on what, and its way of writing."""

    name: str
    write: Write


def check_peer(peer: str, shape: str | None) -> None:
    """Raise for a peer that cannot run, before anything is loaded.

    `peer` is "vllm" or the path of a GGUF file, `shape` that of a random model, if it is one.
    """
    if peer == VLLM and shape:
        raise UsageError(
            "vLLM reads a model's files, and --shape makes a model without any.",
            hint="Give --model instead of --shape, or a file for llama.cpp: --peer FILE.gguf",
        )
    if peer != VLLM:
        _check_gguf(Path(peer))
    module = VLLM if peer == VLLM else "llama_cpp"
    if not find_spec(module):
        raise ModelUnavailable(
            f"The package {PACKAGES[module]} is not installed.",
            hint=f"pip install {PACKAGES[module]}",
        )


def _check_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            mark = file.read(4)
    except OSError as error:
        raise UsageError(
            f"The file {path} cannot be read: {error.strerror}.",
            hint="Name the file that llama.cpp is to run, --peer FILE.gguf, or: --peer vllm",
        ) from error
    if mark != b"GGUF":
        raise UsageError(
            f"{path} is not a GGUF file.", hint="Name one that llama.cpp can run: --peer FILE.gguf"
        )


def llama_cpp(path: Path, model: Any, sampling: Sampling, context: int) -> Peer:
    """llama.cpp on a GGUF file, with the threads of the benchmarked model or on its card.

    `context` is the length of the longest run in tokens. Raises ModelUnavailable for a file that
    it cannot load.
    """
    import llama_cpp as package

    on_card = model.device.type != "cpu" and package.llama_supports_gpu_offload()
    try:
        llama = package.Llama(
            str(path),
            n_ctx=context,
            n_gpu_layers=-1 if on_card else 0,
            n_threads=torch.get_num_threads(),
            n_threads_batch=torch.get_num_threads(),
            last_n_tokens_size=context,  # the repetition penalty counts all, as that of polaris
            verbose=False,
        )
    except ValueError as error:
        raise _not_loaded("llama.cpp", path, error, "llama-cpp-python") from error
    place = model.device.type if on_card else "cpu"
    return Peer(f"llama.cpp, {path.name}, {place}", _llama_way(llama, sampling))


def _llama_way(llama: Any, sampling: Sampling) -> Write:
    options = {
        "temp": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
    }

    def write(prompt: list[int], tokens: int) -> Times:
        known = [token % llama.n_vocab() for token in prompt]
        llama.reset()  # or it would keep what it has read of the same prompt before
        moments = [time.perf_counter()]
        # It hands out tokens for ever: one that would end a text is a token like any other.
        for _ in islice(llama.generate(known, **options), tokens + 1):
            moments.append(time.perf_counter())
        return times(moments)

    return write


def vllm(folder: Path, model: Any, sampling: Sampling, context: int) -> Peer:
    """vLLM on the files of the benchmarked model, unquantized in the same number format.

    `context` is the length of the longest run in tokens. Raises ModelUnavailable for a model that
    it cannot load.
    """
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # its log would go to stdout
    from vllm import LLM

    dtype = str(model.dtype).removeprefix("torch.")
    try:
        llm = LLM(
            model=str(folder),
            dtype=dtype,
            max_model_len=context,
            gpu_memory_utilization=_share_of_card(model.device),
            enable_prefix_caching=False,  # or it would keep the prompt from the run before
            disable_log_stats=False,  # or it notes no times
        )
    except (RuntimeError, ValueError) as error:
        raise _not_loaded("vLLM", folder, error, "vllm") from error
    return Peer(f"vLLM, {dtype}", _vllm_way(llm, sampling))


def _share_of_card(device: torch.device) -> float:
    if device.type != "cuda":
        return CARD_SHARE
    free, total = torch.cuda.mem_get_info(device)
    return CARD_SHARE * free / total


def _vllm_way(llm: Any, sampling: Sampling) -> Write:
    """It notes when the first and the last token came; those between are taken as even."""
    from vllm import SamplingParams, TokensPrompt

    options = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
    }

    def write(prompt: list[int], tokens: int) -> Times:
        settings = SamplingParams(max_tokens=tokens + 1, ignore_eos=True, **options)
        asked = TokensPrompt(prompt_token_ids=prompt)  # the model's own: none is beyond its words
        (answer,) = llm.generate(asked, settings, use_tqdm=False)
        noted = answer.metrics
        step = (noted.last_token_ts - noted.first_token_ts) / tokens
        return Times(noted.first_token_latency, (step,) * tokens)

    return write


def _not_loaded(program: str, path: Path, error: Exception, package: str) -> ModelUnavailable:
    why = str(error).strip().partition("\n")[0].rstrip(".")
    return ModelUnavailable(
        f"{program} cannot load {path}: {why}.",
        hint=f"A newer release may know this model: pip install -U {package}",
    )

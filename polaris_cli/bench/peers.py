"""Other inference programs to compare polaris with: llama.cpp and vLLM.

Knows how to load and time each of them; `speed` compares the times. polaris does not depend on
either; they are imported when asked for.
"""

import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from polaris_cli.bench.speed import Times, Write
from polaris_cli.errors import ModelUnavailable, UsageError
from polaris_cli.request.story_request import Sampling

if TYPE_CHECKING:
    from polaris_cli.bench.llama_server import LlamaServer

VLLM, XLLAMACPP = "vllm", "xllamacpp"  # their packages
CARD_SHARE = 0.9  # of the GPU's free memory for vLLM; the rest is for polaris and the snippet


@dataclass(frozen=True, slots=True)
class Peer:
    """A program with its model loaded: a name to show, and the function that writes tokens."""

    name: str
    write: Write


def check_peer(peer: str, shape: str | None) -> None:
    """Check that a peer can run, before anything is loaded.

    `peer` is "vllm" or the path of a GGUF file; `shape` is set if the model is a random one. Raises
    UsageError for a wrong file or combination, ModelUnavailable if the package is not installed.
    """
    if peer == VLLM and shape:
        raise UsageError(
            "vLLM needs a model's files, and a model from --shape has none.",
            hint="Use --model instead of --shape, or a file for llama.cpp: --peer FILE.gguf",
        )
    if peer != VLLM:
        _check_gguf(Path(peer))
    package = VLLM if peer == VLLM else XLLAMACPP
    if not find_spec(package):
        raise ModelUnavailable(
            f"The package {package} is not installed.", hint=f"pip install {package}"
        )


def _check_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            mark = file.read(4)
    except OSError as error:
        raise UsageError(
            f"The file {path} cannot be read: {error.strerror}.",
            hint="Use a file that llama.cpp can run, --peer FILE.gguf, or: --peer vllm",
        ) from error
    if mark != b"GGUF":
        raise UsageError(
            f"{path} is not a GGUF file.", hint="Use one that llama.cpp can run: --peer FILE.gguf"
        )


def llama_cpp(path: Path, model: Any, sampling: Sampling, context: int) -> Peer:
    """llama.cpp on a GGUF file, with as many threads as the benchmarked model, or on its GPU.

    `context` is the length of the longest run, in tokens. Raises ModelUnavailable if llama.cpp
    cannot load the file.
    """
    from polaris_cli.bench.llama_server import LlamaServer
    from polaris_cli.engines.gguf import device_of

    device = "cpu" if model.device.type == "cpu" else "auto"
    try:
        server = LlamaServer(path, context, torch.get_num_threads(), device)
    except RuntimeError as error:
        raise _not_loaded("llama.cpp", path, error, XLLAMACPP) from error
    return Peer(f"llama.cpp, {path.name}, {device_of(device)}", _llama_way(server, sampling))


def _llama_way(server: "LlamaServer", sampling: Sampling) -> Write:
    from polaris_cli.bench.llama_server import engine_body

    sampling = replace(sampling, dry_multiplier=0.0)

    def write(prompt: list[int], tokens: int) -> Times:
        known = [token % server.vocabulary_size for token in prompt]
        body = engine_body(known, sampling, tokens + 1)
        return server.complete({**body, "ignore_eos": True})

    return write


def vllm(folder: Path, model: Any, sampling: Sampling, context: int) -> Peer:
    """vLLM on the files of the benchmarked model, unquantized, in the same dtype.

    `context` is the length of the longest run, in tokens. Raises ModelUnavailable if vLLM cannot
    load the model.
    """
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # it logs to stdout
    from vllm import LLM

    dtype = str(model.dtype).removeprefix("torch.")
    try:
        llm = LLM(
            model=str(folder),
            dtype=dtype,
            max_model_len=context,
            gpu_memory_utilization=_share_of_card(model.device),
            enable_prefix_caching=False,  # otherwise it reuses the previous run's prompt
            disable_log_stats=False,  # otherwise it records no times
        )
    except (RuntimeError, ValueError) as error:
        raise _not_loaded("vLLM", folder, error, VLLM) from error
    return Peer(f"vLLM, {dtype}", _vllm_way(llm, sampling))


def _share_of_card(device: torch.device) -> float:
    if device.type != "cuda":
        return CARD_SHARE
    free, total = torch.cuda.mem_get_info(device)
    return CARD_SHARE * free / total


def _vllm_way(llm: Any, sampling: Sampling) -> Write:
    """Write with vLLM, which records the times of the first and the last token only.

    All steps between get the average time.
    """
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
        asked = TokensPrompt(prompt_token_ids=prompt)  # the same model, so all ids are valid
        (answer,) = llm.generate(asked, settings, use_tqdm=False)
        noted = answer.metrics
        step = (noted.last_token_ts - noted.first_token_ts) / tokens
        return Times(noted.first_token_latency, (step,) * tokens)

    return write


def _not_loaded(program: str, path: Path, error: Exception, package: str) -> ModelUnavailable:
    why = str(error).strip().partition("\n")[0].rstrip(".")
    return ModelUnavailable(
        f"{program} cannot load {path}: {why}.",
        hint=f"A newer release may support this model: pip install -U {package}",
    )

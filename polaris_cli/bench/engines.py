"""The engines side by side: the same story with each of them, and with what they are built on.

Loads every program, lets them take turns, and returns figures; prints nothing. The local engine is
compared with the usual transformers snippet, the engine gguf with llama.cpp's server called
directly. The local engine and the snippet write `tokens` tokens, the others until their model ends
the answer, or so many at most.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import torch

from polaris_cli.bench.llama_server import LlamaServer, engine_body
from polaris_cli.bench.speed import (
    WARM_UP,
    Speed,
    Times,
    decoding,
    has_graphs,
    patched,
    ratios,
    snippet,
    speed_of,
    times_of,
)
from polaris_cli.engines.base import Engine, GenerationRequest, ModelInfo
from polaris_cli.engines.endpoint.prompts import prompt_ids
from polaris_cli.engines.gguf import gguf_of, open_gguf
from polaris_cli.engines.local.chat import Chat
from polaris_cli.engines.local.loading import LoadedModel, load_model
from polaris_cli.request.story_request import Quantize, Sampling
from polaris_cli.story.job import Job, prompt_estimate

LOCAL, GGUF = "local", "gguf"
ENGINES = (LOCAL, GGUF)
SNIPPET, SERVER = "generate", "llama.cpp"
SPARE = 256  # tokens of context beyond prompt and answer

Run = Callable[[int], Times]


@dataclass(frozen=True, slots=True)
class Program:
    """A loaded program: a name to show, its model, and the function that writes so many tokens."""

    name: str
    info: ModelInfo
    run: Run


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one program.

    `written` is the number of tokens in a run after the first, the median. `ratio` is its tokens/s
    / the snippet's, `server_ratio` / those of llama.cpp's server called directly: medians over the
    turns. The latter is for the engine gguf only.
    """

    name: str
    info: ModelInfo
    written: float
    speed: Speed
    ratio: float
    server_ratio: float | None = None


def open_programs(
    job: Job, engines: Sequence[str], precisions: Sequence[Quantize], tokens: int
) -> Iterator[Program]:
    """Load each of `engines` (the local one in each of `precisions`), then the snippet.

    All have `job.request.threads` threads. Raises ModelUnavailable or OutOfMemory if a model cannot
    be loaded.
    """
    assert job.request.threads
    torch.set_num_threads(job.request.threads)
    # The others have no DRY penalty, and a limit to the thinking would take a second request.
    sampling = replace(job.request.sampling, dry_multiplier=0.0, thinking_budget=-1)
    if GGUF in engines:
        yield from _llama_cpp(job, sampling, tokens)
    plain = _load(job, "none", tokens)
    for precision in precisions if LOCAL in engines else ():
        loaded = plain if precision == "none" else _load(job, precision, tokens)
        yield _local(job, loaded, sampling)
    write = snippet(plain.model, sampling)
    yield Program(SNIPPET, plain.info, partial(write, _ids(job, plain, sampling)))


def _room(job: Job, tokens: int) -> int:
    """The length of a run in tokens, prompt included, with some to spare."""
    return prompt_estimate(job.request, job.messages) + tokens + SPARE


def _load(job: Job, precision: Quantize, tokens: int) -> LoadedModel:
    return load_model(
        job.reference,
        quantize=precision,
        device=job.request.device,
        context_tokens=_room(job, tokens),
    )


def _ids(job: Job, loaded: LoadedModel, sampling: Sampling) -> list[int]:
    return Chat(loaded.tokenizer).prompt_ids(job.messages, thinking=sampling.thinks)


def _local(job: Job, loaded: LoadedModel, sampling: Sampling) -> Program:
    static = job.request.compile and has_graphs(loaded.model)
    write = decoding(loaded.model, loaded.tokenizer, sampling, static=static)
    run = partial(patched(loaded.model)(write), _ids(job, loaded, sampling))
    return Program(LOCAL, loaded.info, run)


def _llama_cpp(job: Job, sampling: Sampling, tokens: int) -> Iterator[Program]:
    """The engine gguf, and a second server on the same file with the same parameters."""
    request = job.request
    engine = open_gguf(job.reference, request, _room(job, tokens))
    yield Program(GGUF, engine.info, _engine_run(engine, job, sampling))
    threads = request.threads or 1
    server = LlamaServer(gguf_of(job.reference), engine.context, threads, request.device)
    ids = prompt_ids(server.tokenizer, job.messages, thinking=sampling.thinks)

    def run(tokens: int) -> Times:
        return server.complete(engine_body(ids, sampling, tokens + 1))

    yield Program(SERVER, engine.info, run)


def _engine_run(engine: Engine, job: Job, sampling: Sampling) -> Run:
    def run(tokens: int) -> Times:
        return times_of(engine.stream(GenerationRequest(job.messages, sampling, tokens + 1)))

    return run


def in_turns(programs: Sequence[Program], tokens: int, repeats: int) -> list[Row]:
    """Let each program write up to `tokens` tokens after the first, `repeats` times in turns.

    One of the programs must be the snippet.
    """
    for program in programs:
        program.run(WARM_UP)
    turns = [[program.run(tokens) for program in programs] for _ in range(repeats)]
    columns = list(zip(*turns, strict=True))
    found = dict(zip((program.name for program in programs), columns, strict=True))
    return [_row(program, runs, found) for program, runs in zip(programs, columns, strict=True)]


def _row(program: Program, runs: Sequence[Times], found: Mapping[str, Sequence[Times]]) -> Row:
    server = found[SERVER] if program.name == GGUF else None
    return Row(
        program.name,
        program.info,
        median(len(run.steps) for run in runs),
        speed_of(runs),
        median(ratios(runs, found[SNIPPET])),
        median(ratios(runs, server)) if server else None,
    )

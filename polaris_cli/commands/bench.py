"""`polaris bench`: measures how fast a model writes and how fast polaris starts.

Knows options and tables; the package `bench` measures.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from polaris_cli.bench.first_text import first_text
from polaris_cli.bench.pipeline import pass_through
from polaris_cli.bench.startup import Start, starts
from polaris_cli.commands import options as o
from polaris_cli.commands.bench_batch import batch
from polaris_cli.commands.bench_engines import bench_engines
from polaris_cli.commands.bench_length import length
from polaris_cli.commands.bench_loading import (
    Loaded,
    Model,
    Shape,
    bench_job,
    check_context,
    contradict,
    load,
    say,
)
from polaris_cli.commands.bench_scoring import score
from polaris_cli.commands.option_values import numbers_in
from polaris_cli.commands.quick import runs_alone
from polaris_cli.engines.doctor import all_versions
from polaris_cli.models.devices import size_text
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.screen import terminal
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.tables import print_table
from polaris_cli.story.advice import on_compile

if TYPE_CHECKING:
    from polaris_cli.bench.peers import Peer
    from polaris_cli.bench.speed import Comparison

SCHEMA, START_SCHEMA = "polaris.bench/1", "polaris.bench-start/1"
POSITIONS = "0,2000"
HEADERS = (
    "from token", "polaris", "range", "generate", "speedup", "of limit",
    "first token", "first token of generate",
)  # fmt: skip
PEER_HEADERS = ("peer", "speedup over peer")
START_HEADERS = ("command", "seconds", "range", "compared with imports")

app = typer.Typer(invoke_without_command=True)


app.command()(length)
app.command("batch")(batch)
app.command()(score)


@app.callback()
def bench(
    ctx: typer.Context,
    model: Model = None,
    shape: Shape = None,
    tokens: Annotated[int, Option(min=2, help="Tokens to write in each run.")] = 256,
    at: Annotated[
        str | None,
        Option(
            metavar="N,N",
            help=f"Positions in the text, in tokens, to start writing at; by default {POSITIONS}.",
        ),
    ] = None,
    repeats: Annotated[int, Option(min=1, help="Runs of each program, alternating.")] = 5,
    quantize: o.Quantize = None,
    device: o.DeviceName = None,
    compile: o.Compile = None,
    peer: Annotated[
        str | None,
        Option(
            metavar="FILE.gguf|vllm",
            help="Also measure llama.cpp with that file, or vLLM with the model.",
        ),
    ] = None,
    engine: Annotated[
        str | None,
        Option(
            metavar="all|N,N",
            help="Measure these engines side by side: all, local, gguf or local,gguf.",
        ),
    ] = None,
    threads: o.Threads = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON, one object.")] = False,
) -> None:
    """Measure how fast a model writes here, compared with transformers' `generate`.

    --engine measures the local engine (unquantized, 8 bits, 4 bits), llama.cpp, and llama.cpp's
    server called directly.

    --shape downloads nothing: random weights are as fast as trained ones. Speeds are in tokens/s.
    The limit is the measured memory bandwidth / bytes read per token.

    Example:  polaris bench --shape qwen3.5-0.8b --tokens 64
    """
    if not runs_alone(ctx):
        return
    options = {"quantize": quantize, "device": device, "compile": compile, "threads": threads}
    if engine is not None:
        contradict("engine", shape=shape, at=at, peer=peer)
        options |= {"model": model or "demo"}
        bench_engines(engine, options, tokens=tokens, repeats=repeats, as_json=as_json)
        return
    job = bench_job(model, shape, **options)
    request = job.request
    positions = _positions(POSITIONS if at is None else at)
    _check_peer(peer, shape)
    with terminal.loading("Loading", sys.stderr, quiet=as_json) as progress:
        from polaris_cli.bench.speed import longest  # imports torch

        run = longest(positions, tokens)
        loaded = load(request, shape, run, progress.update)
        check_context(loaded, run)
        beside = _open_peer(peer, loaded, request, positions, tokens)
    say(*on_compile(job, loaded.info.device))
    with terminal.loading("Measuring", sys.stderr, quiet=as_json):
        report = _measure(loaded, request, positions, tokens, repeats, beside)
    if as_json:
        print_json(report)
    else:
        _print(report)


@app.command("start")
def start(
    repeats: Annotated[int, Option(min=1, help="Runs of each command, alternating.")] = 5,
    as_json: Annotated[bool, Option("--json", help="Print JSON, one object.")] = False,
) -> None:
    """Measure how fast commands start, and what polaris adds.

    Each command is compared with a Python program that only imports the same libraries.
    """
    with terminal.loading("Measuring", sys.stderr, quiet=as_json):
        found = list(starts(repeats))
        text = first_text(repeats)
        passage = pass_through()
    if as_json:
        figures = {
            "starts": [asdict(one) for one in found],
            "first_text": asdict(text) | {"ratio": text.ratio} if text else None,
            "pipeline": asdict(passage),
        }
        print_json({"schema": START_SCHEMA, **figures, "versions": all_versions()})
        return
    print_table(START_HEADERS, [_start_cells(one) for one in found], sys.stdout)
    if text:
        print_text(f"\nfirst text of a {text.model} story with llama.cpp: {text.seconds:.2f} s;")
        print_text(
            f"llama.cpp alone: {text.load_s:.2f} s to load, {text.prompt_s:.2f} s to first token"
        )
    print_text(
        f"\n{passage.tokens:,} tokens through polaris without a model: {passage.seconds:.1f} s;"
    )
    print_text(
        f"memory grew by {size_text(max(0, passage.growth))} after the first quarter of them"
    )


def _start_cells(one: Start) -> tuple[str, ...]:
    beside = f"{one.ratio:.2f} x {one.beside}" if one.ratio else ""
    return one.name, f"{one.seconds:.2f} s", f"{one.fastest:.2f}-{one.slowest:.2f} s", beside


def _positions(text: str) -> list[int]:
    return numbers_in("--at", text, 0, "Give positions in tokens: --at 0,2000,8000")


def _check_peer(peer: str | None, shape: str | None) -> None:
    if peer is not None:
        from polaris_cli.bench.peers import check_peer

        check_peer(peer, shape)


def _open_peer(
    peer: str | None, loaded: Loaded, request: StoryRequest, positions: list[int], tokens: int
) -> "Peer | None":
    if peer is None:
        return None
    from polaris_cli.bench import peers, speed
    from polaris_cli.models import hub
    from polaris_cli.models.resolving import resolve

    longest = speed.longest(positions, tokens)
    if peer != peers.VLLM:
        return peers.llama_cpp(Path(peer), loaded.model, request.sampling, longest)
    folder = hub.ensure(resolve(request.model, request.revision))
    return peers.vllm(folder, loaded.model, request.sampling, longest)


def _measure(
    loaded: Loaded,
    request: StoryRequest,
    positions: list[int],
    tokens: int,
    repeats: int,
    peer: "Peer | None",
) -> dict[str, Any]:
    """All measurements as plain data."""
    import torch

    from polaris_cli.bench import speed

    model = loaded.model
    found = list(
        speed.compare(
            model,
            loaded.tokenizer,
            request.sampling,
            positions=positions,
            tokens=tokens,
            repeats=repeats,
            compile=request.compile,
            peer=peer.write if peer else None,
        )
    )
    peak = speed.peak_memory(model.device)  # the probe below needs more than a small model
    bandwidth = speed.memory_bandwidth(model.device)
    return {
        "schema": SCHEMA,
        "model": asdict(loaded.info),
        "peer": peer.name if peer else None,
        "load_s": loaded.seconds,
        "bandwidth_bytes_per_s": bandwidth,
        "bytes_per_token": speed.bytes_per_token(model, 0),
        "peak_memory_bytes": peak,
        "threads": torch.get_num_threads(),
        "tokens": tokens,
        "repeats": repeats,
        "positions": [_with_limit(one, bandwidth) for one in found],
        "versions": all_versions(),
    }


def _with_limit(one: "Comparison", bandwidth: float) -> dict[str, Any]:
    limit = one.limit(bandwidth)
    return asdict(one) | {"limit": limit, "share_of_limit": one.polaris.tokens_per_s / limit}


def _print(report: dict[str, Any]) -> None:
    model = report["model"]
    facts = (model["name"], model["kernel"], model["dtype"], model["device"])
    print_text(", ".join(fact for fact in facts if fact))
    if report["peer"]:
        print_text(f"peer: {report['peer']}")
    print_text(f"loaded in {report['load_s']:.1f} s")
    print_text(f"peak memory of this process: {size_text(report['peak_memory_bytes'])}")
    print_text(f"bandwidth: {size_text(report['bandwidth_bytes_per_s'])}/s")
    print_text(f"read per token: {size_text(report['bytes_per_token'])} and the cache\n")
    headers = HEADERS + PEER_HEADERS if report["peer"] else HEADERS
    print_table(headers, [_cells(one) for one in report["positions"]], sys.stdout)


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    own, snippet, peer = one["polaris"], one["snippet"], one["peer"]
    beside = (f"{peer['tokens_per_s']:.1f}", f"{one['peer_ratio']:.2f}") if peer else ()
    return (
        f"{one['position']:,}",
        f"{own['tokens_per_s']:.1f}",
        f"{own['slowest']:.1f}-{own['fastest']:.1f}",
        f"{snippet['tokens_per_s']:.1f}",
        f"{one['ratio']:.2f} ({one['lowest_ratio']:.2f}-{one['highest_ratio']:.2f})",
        f"{one['share_of_limit']:.0%}",
        f"{own['first_token_s']:.2f} s",
        f"{snippet['first_token_s']:.2f} s",
        *beside,
    )

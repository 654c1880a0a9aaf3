"""`polaris bench`: how fast a model writes on this machine, and how soon polaris starts."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from typer import Option

from polaris_cli import terminal
from polaris_cli.bench_pipeline import pass_through
from polaris_cli.bench_start import Start, starts
from polaris_cli.catalogue import DEMO
from polaris_cli.commands import options as o
from polaris_cli.commands.bench_length import length
from polaris_cli.demo import MODEL_DIR
from polaris_cli.devices import list_devices, pick, size_text
from polaris_cli.doctor import package_versions
from polaris_cli.engines import ModelInfo
from polaris_cli.errors import UsageError
from polaris_cli.prepare import prepare
from polaris_cli.request import StoryRequest

SCHEMA = "polaris.bench/1"
HEADERS = (
    "from token", "polaris", "slowest-fastest", "snippet", "x snippet", "of limit",
    "first token", "snippet's",
)  # fmt: skip
START_HEADERS = ("start", "seconds", "fastest-slowest", "compared")

app = typer.Typer(invoke_without_command=True)


app.command()(length)


@app.callback()
def bench(
    ctx: typer.Context,
    model: o.Model = None,
    shape: Annotated[
        str | None,
        Option(help="A random model of this shape: polaris, base-27b, qwen3.5-0.8b."),
    ] = None,
    tokens: Annotated[int, Option(min=2, help="Tokens to write in each run.")] = 256,
    at: Annotated[
        str, Option(metavar="N,N", help="Positions in the text to write from, in tokens.")
    ] = "0,2000",
    repeats: Annotated[int, Option(min=1, help="Runs of each kind, in turns.")] = 3,
    quantize: o.Quantize = None,
    device: o.DeviceName = None,
    compile: o.Compile = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON, one object.")] = False,
) -> None:
    """Measure how fast a model writes here, beside transformers' own `generate`.

    With --shape nothing is fetched: a random model is as fast as a trained one. Speeds are in
    tokens/s; the limit is the memory's bandwidth, measured, over the bytes read for a token.

    Example:  polaris bench --shape qwen3.5-0.8b --tokens 64
    """
    if ctx.invoked_subcommand:
        return
    if model and shape:
        raise UsageError("--model and --shape exclude each other.", hint="Leave one of them away.")
    options = {"model": model or "demo", "quantize": quantize, "device": device, "compile": compile}
    positions = _positions(at)
    request = prepare("speed", {**options, "words": 1000}).request
    with terminal.loading("Loading", sys.stderr, quiet=as_json) as progress:
        loaded = _load(request, shape, max(positions) + tokens + 1, progress.update)
    with terminal.loading("Measuring", sys.stderr, quiet=as_json):
        report = _measure(loaded, request, positions, tokens, repeats)
    if as_json:
        print(json.dumps(report))
    else:
        _print(report)


@app.command("start")
def start(
    repeats: Annotated[int, Option(min=1, help="Runs of each, in turns.")] = 5,
    as_json: Annotated[bool, Option("--json", help="Print JSON, one object.")] = False,
) -> None:
    """Measure how soon commands start, and how long all but the model takes.

    Each is compared with a bare Python program that imports what it stands on.
    """
    with terminal.loading("Measuring", sys.stderr, quiet=as_json):
        found = list(starts(repeats))
        passage = pass_through()
    if as_json:
        figures = {"starts": [asdict(one) for one in found], "pipeline": asdict(passage)}
        print(json.dumps({"schema": SCHEMA, **figures}))
        return
    terminal.print_table(START_HEADERS, [_start_cells(one) for one in found], sys.stdout)
    print(f"\n{passage.tokens:,} tokens through everything but a model: {passage.seconds:.1f} s,")
    print(f"memory grew by {size_text(max(0, passage.growth))} after the first quarter of them")


def _start_cells(one: Start) -> tuple[str, ...]:
    beside = f"{one.ratio:.2f} x {one.beside}" if one.ratio else ""
    return one.name, f"{one.seconds:.2f} s", f"{one.fastest:.2f}-{one.slowest:.2f} s", beside


def _positions(text: str) -> list[int]:
    try:
        positions = [int(part) for part in text.split(",")]
    except ValueError:
        positions = [-1]
    if min(positions) < 0:
        raise UsageError(f"--at is {text!r}.", hint="Give positions in tokens: --at 0,2000,8000")
    return positions


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model as transformers made it, what it is, and the seconds that took."""

    model: Any
    tokenizer: Any
    info: ModelInfo
    seconds: float


def _load(
    request: StoryRequest, shape: str | None, tokens: int, on_progress: Callable[[float], None]
) -> Loaded:
    from polaris_cli.engines.local import load_stock

    start = time.perf_counter()
    if shape:
        made = _random(shape, request.device, tokens)
    else:
        made = load_stock(
            request.model,
            revision=request.revision,
            quantize=request.quantize,
            device=request.device,
            context_tokens=tokens,
            on_progress=on_progress,
        )
    return Loaded(*made, time.perf_counter() - start)


def _random(shape: str, device: str, tokens: int) -> tuple[Any, Any, ModelInfo]:
    """A model of that shape; the demo's tokenizer stands in, its words do not matter."""
    from polaris_cli.cache import of_entry
    from polaris_cli.engines.local import load_tokenizer
    from polaris_cli.engines.shapes import config_of, random_model

    config = config_of(shape)
    chosen = pick(device, list_devices(with_torch=True))
    tokenizer = load_tokenizer(of_entry(DEMO), MODEL_DIR)
    info = ModelInfo(f"{shape} (random weights)", shape, dtype="bfloat16", device=chosen.id)
    return random_model(config, chosen, tokens), tokenizer, info


def _measure(
    loaded: Loaded, request: StoryRequest, positions: list[int], tokens: int, repeats: int
) -> dict[str, Any]:
    """All figures as plain data."""
    import torch

    from polaris_cli import bench

    model = loaded.model
    bandwidth = bench.memory_bandwidth(model.device)
    found = bench.compare(
        model,
        loaded.tokenizer,
        request.sampling,
        positions=positions,
        tokens=tokens,
        repeats=repeats,
        bandwidth=bandwidth,
        compile=request.compile,
    )
    compared = [{**asdict(one), "share_of_limit": one.share_of_limit} for one in found]
    return {
        "schema": SCHEMA,
        "model": asdict(loaded.info),
        "load_s": loaded.seconds,
        "bandwidth_bytes_per_s": bandwidth,
        "bytes_per_token": bench.bytes_per_token(model, 0),
        "peak_memory_bytes": bench.peak_memory(model.device),
        "threads": torch.get_num_threads(),
        "tokens": tokens,
        "repeats": repeats,
        "positions": compared,
        "versions": package_versions(),
    }


def _print(report: dict[str, Any]) -> None:
    model = report["model"]
    print(f"{model['name']}, {model['dtype']}, {model['device']}")
    print(f"loaded in {report['load_s']:.1f} s")
    print(f"memory at its peak: {size_text(report['peak_memory_bytes'])}")
    print(f"bandwidth: {size_text(report['bandwidth_bytes_per_s'])}/s")
    print(f"read for a token: {size_text(report['bytes_per_token'])} and the cache\n", flush=True)
    terminal.print_table(HEADERS, [_cells(one) for one in report["positions"]], sys.stdout)


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    own, snippet = one["polaris"], one["snippet"]
    return (
        f"{one['position']:,}",
        f"{own['tokens_per_s']:.1f}",
        f"{own['slowest']:.1f}-{own['fastest']:.1f}",
        f"{snippet['tokens_per_s']:.1f}",
        f"{one['ratio']:.2f} ({one['lowest_ratio']:.2f}-{one['highest_ratio']:.2f})",
        f"{one['share_of_limit']:.0%}",
        f"{own['first_token_s']:.2f} s",
        f"{snippet['first_token_s']:.2f} s",
    )

"""llama.cpp in this process: `open_gguf`, an engine for a GGUF file.

Starts llama.cpp's server, from the package xllamacpp, on a port of this machine that the system
chooses, with a random key, and talks to it as to any llama.cpp server. The server is a thread of
this process, so it ends with it, however that ends. What its settings mean: `endpoint.llama_cpp`.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from polaris_cli.engines.base import Deviation, Engine, ModelInfo, fewer_threads
from polaris_cli.engines.channels import needs_server
from polaris_cli.engines.endpoint.llama_cpp import LlamaCpp
from polaris_cli.engines.endpoint.prompts import answers_in_channels
from polaris_cli.engines.endpoint.token_engine import TokenEngine
from polaris_cli.errors import ModelUnavailable
from polaris_cli.events import Piece, RawEvent, closing
from polaris_cli.models import hub
from polaris_cli.models.cache import gguf_path
from polaris_cli.models.connection import Connection
from polaris_cli.models.devices import device_for, llama_cpp_has_gpu
from polaris_cli.models.gguf_choice import part_names
from polaris_cli.models.gguf_files import gguf_facts
from polaris_cli.models.hub_errors import corrupt
from polaris_cli.models.memory import check_fits, llama_cpp_context
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.servers import identify
from polaris_cli.models.threads import SlowSteps, choose_threads
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import Sampling, StoryRequest

BLOCK = 1 << 24  # bytes read at once
WAIT = 3600.0  # seconds; a long prompt may take that long on a slow machine

T = TypeVar("T")
Start = Callable[[int], tuple[Any, Connection]]
"""Starts llama.cpp with a number of threads; returns its server and a connection to it."""


class Llama(LlamaCpp):
    """llama.cpp's server in this process, which stops when it is closed.

    If tokens become far slower, another program needs a core: llama.cpp is started again with a
    thread less, and continues the text; but not if it generates several texts (`parallel`), which
    make each other slower.
    """

    def __init__(self, start: Start, threads: int, parallel: int = 1) -> None:
        self._start, self.threads, self._chosen = start, threads, threads
        self._parallel = parallel
        self._server, connection = start(threads)
        self.found = identify(connection)
        super().__init__(connection, self.found.models[0])

    def generate(
        self,
        ids: Sequence[int],
        sampling: Sampling,
        max_tokens: int,
        *,
        may_end: bool = True,
        reuse: bool = True,
    ) -> Iterator[RawEvent]:
        """Yield what continues `ids`, then a `Finish`."""
        done, slow = list[int](), SlowSteps()
        events = super().generate(ids, sampling, max_tokens, may_end=may_end, reuse=reuse)
        with closing(events):
            start = time.perf_counter()
            for event in events:
                seconds = time.perf_counter() - start
                yield event
                if isinstance(event, Piece):
                    done += event.ids
                    if self.threads > self._parallel == 1 and slow.add(seconds):
                        break
                start = time.perf_counter()
            else:
                return
        self._use_fewer_threads()
        left, later = max_tokens - len(done), sampling.at(len(done))
        yield from self.generate([*ids, *done], later, left, may_end=may_end)

    def deviations(self, sampling: Sampling) -> tuple[Deviation, ...]:
        """The settings that llama.cpp does not apply as the local engine does."""
        return super().deviations(sampling) + fewer_threads(self._chosen, self.threads)

    def close(self) -> None:
        """Close the connection and stop the server."""
        super().close()
        self._server = None

    def _use_fewer_threads(self) -> None:
        self.close()
        self.threads -= 1
        self._server, self._connection = self._start(self.threads)


def open_gguf(
    reference: ModelRef,
    request: StoryRequest,
    tokens: int,
    on_progress: Callable[[float], None] | None = None,
    parallel: int = 1,
) -> Engine:
    """Load a GGUF file with llama.cpp, with room for `parallel` sequences of `tokens` tokens each.

    `on_progress` is called with the share of the file that is read, 0 to 1. Raises ModelUnavailable
    if the model is no GGUF file, the package is missing, or llama.cpp cannot load the file;
    OutOfMemory if it does not fit.
    """
    start = time.monotonic()
    file = gguf_of(reference)
    context = llama_cpp_context(tokens, gguf_facts(file).context)
    device = device_for("gguf", request.device)
    check_fits(reference, context, device, parallel)
    read_through(file, on_progress)
    chosen = choose_threads(request.threads)
    key = secrets.token_urlsafe(32)

    def started(threads: int) -> tuple[Any, Connection]:
        params = parameters(file, key, context, threads, request.device, parallel)
        return _unbroken(lambda: _server(reference, params, key))

    llama = Llama(started, chosen.number, parallel)
    if answers_in_channels(llama):
        llama.close()
        raise needs_server(reference.name)
    found = llama.found
    info = ModelInfo(
        name=reference.name,
        id=reference.id,
        engine="gguf",
        quantization=found.quantization,
        device=device_of(request.device),
        device_name=device.name,
        server=found.name,
        threads=chosen.number,
    )
    limit = found.context_of(found.models[0]) or context
    notes = (f"{chosen.reason}.",) if chosen.reason else ()
    return TokenEngine(llama, info, limit, time.monotonic() - start, notes)


def gguf_of(reference: ModelRef) -> Path:
    """The model's GGUF file, downloaded first if it is not here.

    Raises ModelUnavailable if it has none or xllamacpp is missing.
    """
    if not find_spec("xllamacpp"):
        raise ModelUnavailable(
            "The engine gguf needs the package xllamacpp, which is not installed.",
            hint="pip install 'polaris-story[gguf]', or use --engine local",
        )
    if not reference.is_gguf:
        raise ModelUnavailable(
            f"{reference.name} has no GGUF file, which the engine gguf needs.",
            hint="Use --engine local, with --quantize 4bit for less memory.",
        )
    hub.ensure(reference)
    file = gguf_path(reference)
    assert file
    return file


def read_through(file: Path, on_progress: Callable[[float], None] | None) -> None:
    """Read a file, or all parts of a split one, once, so that it is in the system's cache when
    llama.cpp maps it into memory.

    llama.cpp reports no progress, and cannot be interrupted while it loads. Raises
    ModelUnavailable if the file cannot be read.
    """
    parts = [file.parent / name for name in part_names(file.name)]
    try:
        size, done = sum(part.stat().st_size for part in parts), 0
        for count in _blocks(parts):
            done += count
            if on_progress:
                on_progress(done / size)
    except OSError as error:
        raise ModelUnavailable(f"{file} cannot be read: {error.strerror}.") from error


def _blocks(files: Sequence[Path]) -> Iterator[int]:
    """Read the files; yield the bytes of each block."""
    for file in files:
        with file.open("rb", buffering=0) as opened:
            while block := opened.read(BLOCK):
                yield len(block)


def _server(reference: ModelRef, params: Any, key: str) -> tuple[Any, Connection]:
    """A server that has begun its work, and a connection to it.

    One that is freed before hangs, and this process with it.
    """
    import xllamacpp

    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise _not_loaded(reference) from error
    connection = Connection(ServerAddress(server.listening_address, stall_timeout=WAIT), key)
    connection.get("/slots")  # answered by the thread that computes
    return server, connection


def _not_loaded(reference: ModelRef) -> ModelUnavailable:
    """llama.cpp does not say why it cannot load a file."""
    return ModelUnavailable(
        f"llama.cpp cannot load {reference.name}: the file is damaged, or there is too little "
        "memory.",
        hint="For less memory, ask for fewer words or use a file of a smaller quantization. "
        + corrupt(reference).hint,
    )


def _unbroken(start: Callable[[], T]) -> T:
    """What `start` returns. Ctrl-C does not break it off: it is raised once `start` is done."""
    with ThreadPoolExecutor(1, thread_name_prefix="llama.cpp") as pool:
        return pool.submit(start).result()


def parameters(
    file: Path, key: str, context: int, threads: int, device: str, parallel: int = 1
) -> Any:
    """The parameters of llama.cpp's server: `parallel` sequences of `context` tokens at once, and
    for this process only."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx = context * parallel
    params.n_parallel = parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_gpu_layers = 0 if device == "cpu" else -1  # -1: as many as fit
    if (card := card_of(device)) is not None:
        params.main_gpu, params.split_mode = card, xllamacpp.llama_split_mode.LLAMA_SPLIT_MODE_NONE
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.ui = False
    params.warmup = False  # it would only delay the first token
    params.cache_ram_mib = 0  # each conversation has its own sequence: none is set aside
    params.verbosity = -1  # it logs to stderr
    return params


def card_of(asked: str) -> int | None:
    """The number in a device such as "cuda:1"; None if there is none, or no GPU is used."""
    number = asked.partition(":")[2]
    return int(number) if number and llama_cpp_has_gpu() else None


def device_of(asked: str) -> str:
    """Where llama.cpp computes: the name of the GPU asked for, or of its first, else "cpu"."""
    import xllamacpp

    kinds = xllamacpp.ggml_backend_dev_type
    cards = (kinds.GGML_BACKEND_DEVICE_TYPE_GPU, kinds.GGML_BACKEND_DEVICE_TYPE_IGPU)
    found = [device["name"] for device in xllamacpp.get_device_info() if device["type"] in cards]
    return "cpu" if asked == "cpu" or not found else str(found[card_of(asked) or 0]).lower()

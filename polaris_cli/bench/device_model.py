"""The model that `device` measures: made on its device when it is needed, and run step by step.

Knows random weights, steps and clocks. Does not know which measurements there are.
"""

import copy
import gc
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from statistics import median
from typing import Any

import torch
from transformers import Qwen3_5TextConfig

from polaris_cli.bench.prompts import prompt_of
from polaris_cli.engines.kernels.cuda_graph import capture
from polaris_cli.engines.kernels.one_token import FORWARDS
from polaris_cli.engines.kernels.patching import Replacements, patch_modules
from polaris_cli.engines.kernels.timing import timed
from polaris_cli.engines.local.cpu_threads import set_threads
from polaris_cli.engines.local.loading import load_tokenizer
from polaris_cli.engines.local.random_models import config_of, random_model
from polaris_cli.engines.local.static_forward import StaticForward
from polaris_cli.engines.releases import cache_name, state_tensors
from polaris_cli.errors import PolarisError, debugging
from polaris_cli.models.catalogue import DEMO, DEMO_FOLDER
from polaris_cli.models.devices import Device
from polaris_cli.models.reference import of_entry

# The tiny shape has every kind of layer, and matrices that all methods can quantize.
TINY = {
    "vocab_size": 4608,  # the demo model's, whose tokenizer is used
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "linear_num_key_heads": 4,
    "linear_num_value_heads": 8,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
SCALES = {"9b": 1, "tiny": 100}  # what the lengths of texts are divided by, for each shape

LONGEST = 17_000  # tokens in the cache at once, for the check that the model fits
PROBE_BYTES = {"cuda": 1 << 30}  # read by the bandwidth measurement: more than any cache holds
PROBE_BYTES_ELSEWHERE = 1 << 27
ROUNDS = 3  # of which the median counts
STEPS = {"9b": 16, "tiny": 4}  # in each round
MESSAGE = 500  # characters of an error; the compiler's have pages
ROOM = 512  # tokens that `Steps` can run after the prompt; all measurements take fewer


class Measured:
    """A device, and a model with random weights of one shape on it, in bf16.

    Rounds of `steps` steps are timed, or runs that write `written` tokens. `read` and `copied` are
    the device's bandwidth in bytes/s, measured once. `has_failed` is true after any error: torch or
    the device may be unable to go on.
    """

    def __init__(self, shape: str, device: Device) -> None:
        self.config = config_of("polaris") if shape == "9b" else Qwen3_5TextConfig(**TINY)
        self.device = device
        self.torch_device = torch.device(device.id)
        self.is_cuda = device.kind == "cuda"
        set_threads(None, device)
        self.tokenizer = load_tokenizer(of_entry(DEMO), DEMO_FOLDER)
        self.steps = STEPS[shape]
        self.written = 4 * self.steps
        self._scale = SCALES[shape]
        self._model: Any = None
        self.has_failed = False

    def attempt(self, work: Callable[[], Any]) -> Any:
        """What `work` returns, or its error as text, so that what follows is not lost."""
        try:
            return work()
        except Exception as error:
            self.has_failed = True
            return error_text(error)

    def tokens(self, number: int) -> int:
        """A length in tokens: the number for the 9B shape, a smaller one for the tiny shape."""
        return number // self._scale

    @property
    def model(self) -> Any:
        """The model as transformers runs it; made again after `free`."""
        if self._model is None:
            self._model = self.new_model()
        return self._model

    def new_model(self) -> Any:
        """Another model of the shape."""
        return random_model(self.config, self.device, self.tokens(LONGEST))[0]

    def free(self) -> None:
        """Free the model's memory."""
        self._model = None
        gc.collect()
        if self.is_cuda:
            torch.cuda.empty_cache()

    @cached_property
    def _probe(self) -> tuple[float, float]:
        numbers = torch.ones(self.probe_bytes // 4, device=self.torch_device)
        target = torch.empty_like(numbers)
        read = self.seconds(numbers.sum, times=self.steps)
        copied = self.seconds(lambda: target.copy_(numbers), times=self.steps)
        return self.probe_bytes / read, 2 * self.probe_bytes / copied

    @property
    def probe_bytes(self) -> int:
        """Bytes of the buffer that is read to measure the bandwidth."""
        return PROBE_BYTES.get(self.device.kind, PROBE_BYTES_ELSEWHERE)

    @property
    def read(self) -> float:
        """Bytes/s that a sum reads."""
        return self._probe[0]

    @property
    def copied(self) -> float:
        """Bytes/s that a copy reads and writes together."""
        return self._probe[1]

    def seconds(self, work: Callable[[], object], *, times: int = 1) -> float:
        """Median seconds of `work`, run `times` times in each round after one run to warm up."""
        self.once(work)
        runs = [self.once(lambda: [work() for _ in range(times)]) for _ in range(ROUNDS)]
        return median(runs) / times

    def once(self, work: Callable[[], object]) -> float:
        """Seconds of `work`, until the device has done it all."""
        return timed(work, self.torch_device)


def error_text(error: Exception) -> str:
    """An exception in one line: its kind and message.

    With POLARIS_DEBUG set, its traceback goes to stderr.
    """
    if debugging():
        traceback.print_exception(error)
    message = error.message if isinstance(error, PolarisError) else str(error)
    return " ".join(f"{type(error).__name__}: {message}".split())[:MESSAGE]


class Steps(StaticForward):
    """Decode steps after a prompt of `position` tokens, recorded only when `record` is called."""

    def __init__(self, model: Any, position: int) -> None:
        super().__init__(model, position + ROOM)
        self.prefill(prompt_of(model, max(position, 1)))
        self._one = torch.ones(1, dtype=torch.long, device=self._device)

    def _record(self) -> None:
        """Do nothing, so that steps can also be measured without a graph."""

    def record(self) -> None:
        """Capture a step as a CUDA graph, which all further steps replay."""
        self._run = capture(self._next, self._device)

    def next(self) -> torch.Tensor:
        """Run a step with the same token each time; return its logits."""
        return self.step(self._one)

    def view(self, layer: int) -> Any:
        """The cache as if it had only this layer.

        Its tensors are not marked as static any more: a compiled layer would accept only the marked
        tensors, and each layer would be compiled again.
        """
        kept = self._cache.layers[layer]
        named = (getattr(kept, name, None) for name in ("keys", "values", "cumulative_length"))
        for tensor in (*state_tensors(kept), *named):
            if hasattr(tensor, "_dynamo_static_input_type"):
                del tensor._dynamo_static_input_type
        view = copy.copy(self._cache)
        view.layers = [kept]
        return view


@contextmanager
def plain(model: Any) -> Iterator[None]:
    """Patch the model's forwards without Triton's kernels, until the end of the block."""
    replaced = Replacements()
    patch_modules(model, replaced)
    try:
        yield
    finally:
        replaced.undo()


@contextmanager
def compiled_steps(model: Any, position: int, backend: str) -> Iterator[Steps]:
    """Steps through layers compiled by torch.compile, until the end of the block.

    The first step compiles one layer of each kind, with weights and cache as inputs. For this, all
    layers have the number 0, and each gets a view of the cache with only its own part. The modules
    inside the layers are those of transformers; the loop over the layers is ours.
    """
    steps, inner, replaced = Steps(model, position), model.get_submodule("model"), Replacements()
    numbered = [(part, part.layer_idx) for part in inner.modules() if hasattr(part, "layer_idx")]
    run = torch.compile(
        type(inner.layers[0]).forward, fullgraph=True, dynamic=False, backend=backend
    )
    try:
        replaced.replace(inner, FORWARDS[type(inner).__name__](inner))
        for number, layer in enumerate(inner.layers):
            replaced.replace(layer, _forward(run, layer, steps.view(number)))
        for part, _ in numbered:
            part.layer_idx = 0
        yield steps
    finally:
        replaced.undo()
        for part, number in numbered:
            part.layer_idx = number


def _forward(run: Callable[..., Any], layer: Any, view: Any) -> Callable[..., Any]:
    """A forward for the layer that runs its class's compiled forward on a view of the cache."""
    cache = {cache_name(type(layer).forward): view}

    def forward(
        hidden_states: torch.Tensor, position_embeddings: Any, attention_mask: Any = None, **_: Any
    ) -> Any:
        return run(
            layer,
            hidden_states,
            position_embeddings=position_embeddings,
            attention_mask=attention_mask,
            **cache,
        )

    return forward

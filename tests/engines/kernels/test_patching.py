"""A patched model gives the same tokens, and can be unpatched."""

import gc
import sys
import weakref
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from polaris_cli.engines.kernels import grouped_attention, layer_trial, matmul, one_token, patching
from polaris_cli.engines.kernels.patching import patch_forwards
from polaris_cli.engines.kv_cache import ROOM, growing_cache
from polaris_cli.engines.local.forward import Forward
from tests.engines.local.test_forward import PROMPT, generated, greedy
from tests.tiny import qwen

SHAPES: dict[str, dict[str, Any]] = {
    "equal heads": {},
    "grouped heads": {
        "num_key_value_heads": 1,
        "head_dim": 32,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 24,
        "linear_num_key_heads": 2,
        "tie_word_embeddings": False,
        "layer_types": ["full_attention", "linear_attention", "linear_attention", "full_attention"],
    },
}


def logits(model: Any, steps: int = 40) -> torch.Tensor:
    """The model's logits along a fixed sequence, one row per step."""
    forward = Forward(model)
    rows = [forward.prefill(PROMPT)]
    rows += [forward.step(torch.tensor([(31 * i) % 256])) for i in range(steps)]
    return torch.stack(rows)


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_stay_the_same(shape: str) -> None:
    model = qwen(**SHAPES[shape])
    before = logits(model)
    assert patch_forwards(model).notes == ()
    replaced = {type(m).__name__ for m in model.modules() if "forward" in vars(m)}
    assert replaced >= set(one_token.FORWARDS)
    torch.testing.assert_close(logits(model), before, atol=2e-4, rtol=1e-4)


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts torch's operations."""

    count: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def operations(model: Any) -> int:
    """The number of operations in a decode step."""
    forward = Forward(model)
    forward.prefill(PROMPT)
    counter = Operations()  # type: ignore[no-untyped-call]
    with counter:
        forward.step(torch.tensor([3]))
    return int(counter.count)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_takes_far_fewer_operations(shape: str) -> None:
    model = qwen(**SHAPES[shape])
    before = operations(model)
    patch_forwards(model)
    assert operations(model) < 0.75 * before


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_tokens_are_those_of_generate(shape: str) -> None:
    model = qwen(**SHAPES[shape])
    expected = generated(model, PROMPT, 150)
    patch_forwards(model)
    assert greedy(Forward(model), PROMPT, 150) == expected
    assert len(set(expected)) > 5


@pytest.mark.slow
def test_bf16_is_as_close_to_float32_as_before() -> None:
    before, after = 0.0, 0.0
    for seed in range(4):
        exact = logits(qwen(seed, **SHAPES["grouped heads"]))
        model = qwen(seed, **SHAPES["grouped heads"]).bfloat16()
        before += float((logits(model) - exact).abs().mean())
        patch_forwards(model)
        after += float((logits(model) - exact).abs().mean())
    assert after < 1.1 * before


def test_everything_can_be_undone() -> None:
    model = qwen().bfloat16()
    own = model.model.layers[0].mlp.forward = lambda x: x  # as a hook of another library would
    undo = patch_forwards(model).undo
    assert model.config._attn_implementation == grouped_attention.NAME
    undo()
    assert [m for m in model.modules() if "forward" in vars(m)] == [model.model.layers[0].mlp]
    assert model.model.layers[0].mlp.forward is own
    assert model.config._attn_implementation == "sdpa"


NOTE = patching.UNSUITABLE


def refuses(*_: Any, **__: Any) -> Any:
    """Replaces a function that another release lacks; raises an unexpected error."""
    raise ArithmeticError


def replaced_modules(model: Any) -> set[str]:
    """The class names of the modules with a replaced forward."""
    return {type(m).__name__ for m in model.modules() if "forward" in vars(m)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", one_token.FORWARDS)
@pytest.mark.parametrize(
    "wrong",
    [
        refuses,
        lambda module: module.a_name_of_another_release,
        lambda module: refuses,
        lambda module: lambda *_, **__: torch.zeros(3),
    ],
    ids=["cannot be made", "lacks a name", "cannot be called", "gives something else"],
)
def test_a_forward_that_does_not_fit_leaves_the_stock_ones(
    monkeypatch: pytest.MonkeyPatch, kind: str, wrong: Any
) -> None:
    model = qwen()
    expected = generated(model, PROMPT, 20)
    monkeypatch.setitem(one_token.FORWARDS, kind, wrong)
    assert patch_forwards(model).notes == (NOTE.format("forward pass"),)
    assert not replaced_modules(model)
    assert greedy(Forward(model), PROMPT, 20) == expected


def test_layers_with_other_results_are_not_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    model = qwen()
    monkeypatch.setitem(one_token.FORWARDS, "Qwen3_5RMSNorm", lambda module: lambda x: x)
    assert patch_forwards(model).notes == (NOTE.format("forward pass"),)
    assert not replaced_modules(model)


def test_layers_of_another_release_are_not_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    model = qwen()
    monkeypatch.setattr(layer_trial, "kind_of", refuses)
    assert patch_forwards(model).notes == (NOTE.format("forward pass"),)
    assert not replaced_modules(model)


def test_a_module_that_cannot_be_imported_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one_token", "grouped_attention"):
        monkeypatch.setitem(sys.modules, f"polaris_cli.engines.kernels.{name}", None)
        monkeypatch.delattr(f"polaris_cli.engines.kernels.{name}")
    model = qwen()
    expected = generated(model, PROMPT, 20)
    assert patch_forwards(model).notes == (NOTE.format("forward pass"), NOTE.format("attention"))
    assert greedy(Forward(model), PROMPT, 20) == expected


@pytest.mark.parametrize(
    "broken",
    ["bf16_linears", "float32_is_faster", "in_float32", "faster_linears", "without_onednn"],
)
def test_products_that_fail_leave_the_stock_ones(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(matmul, "float32_is_faster", lambda: True)
    monkeypatch.setattr(matmul, "faster_linears", lambda linears: linears)
    monkeypatch.setattr(matmul, broken, refuses)
    model = qwen().bfloat16()
    assert patch_forwards(model).notes == (NOTE.format("matrix product"),)
    assert "Linear" not in replaced_modules(model)
    assert replaced_modules(model) == set(one_token.FORWARDS)  # the other patches stay


@pytest.mark.parametrize("broken", ["grouped_attention_forward", "register", "sdpa_mask"])
def test_attention_that_fails_leaves_the_stock_one(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(grouped_attention, broken, refuses)
    model = qwen(num_key_value_heads=1)
    expected = generated(model, PROMPT, 20)
    assert patch_forwards(model).notes == (NOTE.format("attention"),)
    assert model.config._attn_implementation == "sdpa"
    assert greedy(Forward(model), PROMPT, 20) == expected


def test_a_model_with_fixed_attention_keeps_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = qwen()
    monkeypatch.setattr(model, "set_attn_implementation", refuses)
    assert patch_forwards(model).notes == (NOTE.format("attention"),)
    assert model.config._attn_implementation == "sdpa"


def test_other_architectures_run_too() -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=260,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.5,
        eos_token_id=None,
    )
    model = LlamaForCausalLM(config).eval()
    expected = generated(model, PROMPT, 60)
    patch_forwards(model)
    assert greedy(Forward(model), PROMPT, 60) == expected


def test_batches_are_computed_as_before() -> None:
    model = qwen(**SHAPES["grouped heads"])
    ids = torch.tensor([PROMPT[:9], PROMPT[9:18]])
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1, 1], [1] * 9])
    options = {"max_new_tokens": 12, "do_sample": False}
    expected = model.generate(ids, attention_mask=mask, **options)
    patch_forwards(model)
    assert torch.equal(model.generate(ids, attention_mask=mask, **options), expected)


def test_a_growing_cache_has_the_contents_of_a_stock_one() -> None:
    config = qwen().config
    stock, grown = DynamicCache(config=config), growing_cache(config)
    layer = config.layer_types.index("full_attention")
    for size in (3, 1, ROOM, 1, 1, 5 * ROOM, 1):
        keys, values = torch.randn(2, 1, 4, size, 16)
        expected = stock.update(keys, values, layer)
        found = grown.update(keys, values, layer)
        assert all(map(torch.equal, found, expected))
        assert grown.get_seq_length() == stock.get_seq_length()


def test_a_model_is_freed_with_its_replacements() -> None:
    model = qwen()
    patch_forwards(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None

"""Which layers are quantized, and what replaces them."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from polaris_cli.engines.quantize.apply import dominant_shape, modules_to_skip, quantize_layers
from polaris_cli.engines.quantize.packed_linear import EightBits, FourBits
from polaris_cli.engines.quantize.quantizers import Bits, Packed
from tests.tiny import qwen


def test_the_lm_head_and_small_matrices_are_not_quantized() -> None:
    model = qwen(hidden_size=128, linear_num_value_heads=4, tie_word_embeddings=False)
    kept = modules_to_skip(model)
    assert "lm_head" in kept
    assert any(name.endswith("in_proj_a") for name in kept)
    assert not any(name.endswith(("up_proj", "in_proj_qkv")) for name in kept)


def test_the_dominant_shape() -> None:
    model = qwen(hidden_size=128, intermediate_size=512)
    assert dominant_shape(model, modules_to_skip(model)) == (512, 128)
    nothing_left = [name for name, _ in model.named_modules()]
    assert dominant_shape(model, nothing_left) is None


@pytest.mark.parametrize(("bits", "kind"), [("4bit", FourBits), ("8bit", EightBits)])
def test_all_other_layers_are_quantized(bits: Bits, kind: type) -> None:
    model = qwen(hidden_size=128).to(torch.bfloat16)
    kept = modules_to_skip(model)
    names = {name for name, module in model.named_modules() if type(module) is torch.nn.Linear}
    shares: list[float] = []
    quantize_layers(model, Packed(bits), shares.append)
    assert {n for n, m in model.named_modules() if type(m) is torch.nn.Linear} == set(kept)
    assert {n for n, m in model.named_modules() if type(m) is kind} == names - set(kept)
    assert shares == sorted(shares) and shares[-1] == 1


@pytest.mark.parametrize("tied", [True, False])
def test_an_untied_lm_head_has_eight_bits(tied: bool) -> None:
    model = qwen(hidden_size=128, tie_word_embeddings=tied).to(torch.bfloat16)
    quantize_layers(model, Packed("4bit"))
    assert type(model.lm_head) is (torch.nn.Linear if tied else EightBits)


def test_a_bias_is_kept() -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 2, "vocab_size": 99}
    config = LlamaConfig(num_hidden_layers=1, attention_bias=True, **sizes)
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    attention = model.model.layers[0].self_attn
    with torch.no_grad():
        attention.q_proj.bias.fill_(3)
        x = torch.randn(1, 4, 64, dtype=torch.bfloat16)
        before = attention.q_proj(x)
        quantize_layers(model, Packed("8bit"))
        assert type(attention.q_proj) is EightBits
        assert torch.allclose(before, attention.q_proj(x), atol=0.05)

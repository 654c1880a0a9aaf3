"""Forward passes of Qwen3.5's modules for a decode step on CUDA, with Triton's kernels.

Like `one_token`, with fewer and larger kernels: 11 instead of 38 in a linear-attention layer, five
of them matrix products. Each function takes a module and returns a replacement for its `forward`,
which calls the forward it replaces for anything but a single token. Does not know whether a
replacement is correct or faster here; `patching` finds out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from polaris_cli.engines.kernels import triton_ops as ops
from polaris_cli.engines.kernels.one_token import Compute, one_centered, states_in
from polaris_cli.engines.kernels.triton_attention import attend, rotate_heads
from polaris_cli.engines.releases import cache_among, fixed_keys, kind_of


def norm(module: Any) -> Compute:
    """The zero-centered RMS norm."""
    weight, eps = one_centered(module), module.eps

    def forward(x: torch.Tensor) -> torch.Tensor:
        _, normed = ops.add_norm(x, None, weight, eps)
        return normed

    return forward


def joined(*linears: Any) -> Callable[[torch.Tensor], tuple[torch.Tensor, ...]]:
    """The products of one input with several matrices, as one product where they can be joined.

    The matrices become parts of a larger one, so that they take no more memory.
    """

    def apart(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(one(x) for one in linears)

    if not _can_join(linears):
        return apart
    sizes = [len(next(one.parameters())) for one in linears]
    whole = _whole(linears, sizes)
    if type(whole) is torch.nn.Linear:
        return lambda x: torch.split(whole(x), sizes, -1)
    # For many rows a quantized matrix is unpacked; all of them together would need more memory.
    return lambda x: torch.split(whole(x), sizes, -1) if x.shape[:-1].numel() == 1 else apart(x)


def _can_join(linears: Sequence[Any]) -> bool:
    """Whether they are of one kind that has a row for each output in all of its parameters.

    Plain layers are, and quantized ones with an attribute `by_rows`.
    """
    kind = type(linears[0])
    return (kind is torch.nn.Linear or getattr(kind, "by_rows", False)) and all(
        type(one) is kind
        and "forward" not in vars(one)
        and one.bias is None
        and all(type(part) is torch.nn.Parameter for part in one.parameters())
        for one in linears
    )


def _whole(linears: Sequence[Any], sizes: list[int]) -> Any:
    """A layer with the rows of all, so many of each; their own parameters become parts of its."""
    whole = torch.nn.Module.__new__(type(linears[0]))
    torch.nn.Module.__init__(whole)
    whole.register_parameter("bias", None)
    for name, _ in list(linears[0].named_parameters()):
        together = torch.cat([one.get_parameter(name) for one in linears])
        whole.register_parameter(name, _frozen(together))
        for one, part in zip(linears, torch.split(together, sizes), strict=True):
            setattr(one, name, _frozen(part))
    return whole


def _frozen(numbers: torch.Tensor) -> torch.nn.Parameter:
    return torch.nn.Parameter(numbers, requires_grad=False)


def feed_forward(module: Any) -> Compute:
    """The gated feed-forward layer (MLP) with SiLU."""
    if module.config.hidden_act != "silu":
        before: Compute = module.forward
        return before
    gate_and_up, down = joined(module.gate_proj, module.up_proj), module.down_proj

    def forward(x: torch.Tensor) -> Any:
        return down(ops.silu_mul(*gate_and_up(x)))

    return forward


def decoder_layer(module: Any) -> Compute:
    """A whole layer, adding the residual and normalizing in one kernel."""
    before, eps = module.forward, module.post_attention_layernorm.eps
    weight = one_centered(module.post_attention_layernorm)
    is_linear = kind_of(module) == "linear_attention"
    mix = module.linear_attn if is_linear else module.self_attn

    def forward(hidden_states: torch.Tensor, **more: Any) -> Any:
        if hidden_states.shape[1] != 1:
            return before(hidden_states, **more)
        if is_linear:
            more.pop("position_embeddings", None)
        mixed = mix(hidden_states=module.input_layernorm(hidden_states), **more)
        if not is_linear:
            mixed = mixed[0]
        total, normed = ops.add_norm(hidden_states, mixed, weight, eps)
        return module.mlp(normed).add_(total)

    return forward


def gated_delta_rule(module: Any) -> Compute:
    """A linear-attention layer: three products and two kernels."""
    before, key_heads = module.forward, module.num_k_heads
    taps = module.conv1d.weight.detach().squeeze(1).float().contiguous()
    fixed = {
        "rate": -module.A_log.detach().float().exp(),
        "bias": module.dt_bias.detach().float(),
        "weight": module.norm.weight.detach().float(),
    }
    eps = module.norm.variance_epsilon
    # In two pairs: the memory that the parts leave then fits the next layer's joined matrix.
    project = joined(module.in_proj_qkv, module.in_proj_z)
    project_gates = joined(module.in_proj_b, module.in_proj_a)

    def forward(hidden_states: torch.Tensor, attention_mask: Any = None, **more: Any) -> Any:
        rows, tokens, _ = hidden_states.shape
        states = states_in(cache_among(more), module.layer_idx) if tokens == 1 else None
        apart = states and not all(state.is_contiguous() for state in states)
        if states is None or apart or attention_mask is not None:
            return before(hidden_states, attention_mask=attention_mask, **more)
        kept, state = states
        mixed, gate = project(hidden_states)
        strength, step = project_gates(hidden_states)
        mixed = ops.convolve(mixed, kept, taps)
        output = ops.delta_rule(
            mixed, strength, step, gate, state, **fixed, key_heads=key_heads, eps=eps
        )
        return module.out_proj(output.view(rows, 1, -1))

    return forward


def attention(module: Any) -> Compute:
    """A full-attention layer with a cache of fixed size, of which only the filled part is read."""
    before, size, eps = module.forward, module.head_dim, module.q_norm.eps
    heads, scale = module.config.num_attention_heads, module.scaling
    query_weight, key_weight = one_centered(module.q_norm), one_centered(module.k_norm)
    project = joined(module.q_proj, module.k_proj, module.v_proj)

    def forward(
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        **more: Any,
    ) -> Any:
        held = fixed_keys(cache_among(more), module.layer_idx)
        if hidden_states.shape[:2] != (1, 1) or held is None:
            return before(hidden_states, position_embeddings=position_embeddings, **more)
        keys, values, length = held
        query, key, value = project(hidden_states)
        query, gate = query.view(heads, 2 * size).chunk(2, -1)
        cos, sin = position_embeddings
        query = rotate_heads(
            query,
            key.view(-1, size),
            value.view(-1, size),
            query_weight,
            key_weight,
            cos,
            sin,
            keys,
            values,
            length,
            eps,
        )
        length.add_(1)
        output = attend(query, keys, values, length, gate, scale)
        return module.o_proj(output.view(1, 1, -1)), None

    return forward


FORWARDS: dict[str, Callable[[Any], Compute]] = {
    "Qwen3_5RMSNorm": norm,
    "Qwen3_5MLP": feed_forward,
    "Qwen3_5Attention": attention,
    "Qwen3_5GatedDeltaNet": gated_delta_rule,
    "Qwen3_5DecoderLayer": decoder_layer,
}

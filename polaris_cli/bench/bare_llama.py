"""Loads a GGUF file with llama.cpp and reads one prompt, without anything of polaris.

`first_text` runs this file in a process of its own: `python bare_llama.py FILE THREADS PROMPT`. It
prints a line when the file is loaded, and a line when the first token is there.
"""

import json
import os
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

CONTEXT = 2048  # tokens


def main(file: str, threads: int, prompt: str) -> None:
    """Load the file, answer the prompt with one token, and print a line after each."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = file, CONTEXT, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.hostnames, params.port, params.verbosity = ["127.0.0.1"], 0, -1
    params.ui = params.warmup = False
    server = xllamacpp.Server(params)
    os.write(1, b"loaded\n")
    http = HTTPConnection(urlsplit(server.listening_address).netloc)
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 1}
    http.request("POST", "/v1/chat/completions", json.dumps(body))
    http.getresponse().read()
    os.write(1, b"answered\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])

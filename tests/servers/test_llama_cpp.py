"""The real server does what its module says of it, as far as a new release may change that."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.children import Running, skip_if
from tests.servers.llama_cpp import llama_cpp_server, missing

PROMPT = "The old man looked at the"
EMOJI = {"prompt": "🦊🐻🦊🐻", "temperature": 0, "grammar": 'root ::= "🦊"+'}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    skip_if(missing())
    with llama_cpp_server(key="secret", context=256) as running:
        yield running


def stream(server: Running, **fields: Any) -> list[dict[str, Any]]:
    """The events of /completion."""
    body = json.dumps({"stream": True, **fields}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {server.key}"}
    request = urllib.request.Request(f"{server.url}/completion", body, headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return [json.loads(line[6:]) for line in answer if line.startswith(b"data: ")]


def ids(events: list[dict[str, Any]]) -> list[int]:
    return [token for event in events for token in event["tokens"]]


@pytest.mark.slow
def test_it_can_be_probed(server: Running) -> None:
    assert server.get("/props")["default_generation_settings"]["n_ctx"] == 256
    assert server.get("/v1/models")["data"][0]["id"] == server.model
    assert server.get("/slots")[0]["is_processing"] is False


@pytest.mark.slow
def test_it_needs_its_key(server: Running) -> None:
    stranger = Running(server.url, server.model, "wrong", server.pid)
    assert stranger.get("/health") == {"status": "ok"}
    with pytest.raises(urllib.error.HTTPError, match="401"):
        stranger.get("/props")


def test_a_character_of_several_tokens_keeps_one_id(server: Running) -> None:
    *tokens, last = stream(server, n_predict=6, **EMOJI)
    assert [len(token["tokens"]) for token in tokens] == [1, 1]
    assert [token["tokens_predicted"] for token in tokens] == [3, 6]
    assert last["tokens"] == []
    whole = server.post("/completion", {"n_predict": 6, "return_tokens": True, **EMOJI})
    assert len(whole["tokens"]) == 6


@pytest.mark.slow
def test_going_on_from_the_ids_equals_one_request(server: Running) -> None:
    start = server.post("/tokenize", {"content": PROMPT})["tokens"]
    greedy = {"temperature": 0, "ignore_eos": True}
    whole = ids(stream(server, prompt=start, n_predict=30, **greedy))
    first = ids(stream(server, prompt=start, n_predict=12, **greedy))
    second = stream(server, prompt=start + first, n_predict=18, **greedy)
    assert first + ids(second) == whole
    assert second[-1]["timings"]["prompt_n"] == 1


def test_the_end_token_has_an_event_of_its_own(server: Running) -> None:
    messages = [{"role": "user", "content": "Say just: yes"}]
    prompt = server.post("/apply-template", {"messages": messages})["prompt"]
    *_, end, last = stream(server, prompt=prompt, temperature=0, n_predict=40)
    assert (end["content"], end["tokens"], last["stop_type"]) == ("", [2], "eos")
    forbidden = stream(server, prompt=prompt, temperature=0, n_predict=9, logit_bias=[[2, False]])
    assert forbidden[-1]["stop_type"] == "limit"


def test_the_text_of_control_tokens_is_sent_where_it_is_asked_for(server: Running) -> None:
    (token,) = server.post("/tokenize", {"content": "<repo_name>", "parse_special": True})["tokens"]
    forced = {"prompt": PROMPT, "n_predict": 1, "logit_bias": [[token, 100.0]], "temperature": 0}
    for named, text in (([], ""), (["<repo_name>", "[THINK]"], "<repo_name>")):
        first, *_ = stream(server, preserved_tokens=named, **forced)
        assert (first["content"], first["tokens"]) == (text, [token])


def test_logprobs_are_those_of_the_model(server: Running) -> None:
    asked = {"prompt": PROMPT, "n_predict": 1, "n_probs": 1, "temperature": 0}
    plain, penalized = (
        stream(server, **asked, **more)[0]["completion_probabilities"][0]
        for more in ({}, {"logit_bias": [[1573, -1.0]], "repeat_penalty": 1.8})
    )
    assert plain["top_logprobs"] == penalized["top_logprobs"]
    assert penalized["logprob"] < plain["logprob"]


def test_a_prompt_longer_than_the_context(server: Running) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        stream(server, prompt=[70] * 256, n_predict=1)
    told = json.load(caught.value)["error"]
    assert (caught.value.code, told["type"]) == (400, "exceed_context_size_error")
    assert (told["n_prompt_tokens"], told["n_ctx"]) == (256, 256)

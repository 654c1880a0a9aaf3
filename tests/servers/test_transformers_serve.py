"""The real server does what its module says of it, as far as a new release may change that."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

import psutil
import pytest

from tests.servers.children import Running

pytestmark = pytest.mark.slow
pytest_plugins = ["tests.servers.fixtures"]

CHAT = "/v1/chat/completions"
SAMPLED = json.dumps({"do_sample": True, "max_new_tokens": 2000})


def body(server: Running, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Write a story of 60 words about a fox."}]
    return {"model": server.model, "messages": messages, "max_tokens": 12, **fields}


def whole(server: Running, **fields: Any) -> dict[str, Any]:
    message: dict[str, Any] = server.post(CHAT, body(server, **fields))["choices"][0]["message"]
    return message


def opened(server: Running, **fields: Any) -> Any:
    """The connection of a streaming answer."""
    data = json.dumps(body(server, stream=True, **fields)).encode()
    headers = {"Content-Type": "application/json"}
    return urllib.request.urlopen(
        urllib.request.Request(server.url + CHAT, data, headers), timeout=60
    )


def test_it_names_the_model_by_its_folder(transformers_demo: Running) -> None:
    listed = transformers_demo.get("/v1/models")["data"]
    assert [model["id"] for model in listed] == [transformers_demo.model]
    with pytest.raises(urllib.error.HTTPError, match="400"):
        whole(transformers_demo, model="another")


def test_a_stream_thinks_and_ends_with_usage_alone(transformers_demo: Running) -> None:
    with opened(transformers_demo, temperature=0) as answer:
        events = [json.loads(line[6:]) for line in answer if line.strip()]
    assert events[0]["choices"][0]["delta"] == {"role": "assistant"}
    assert "reasoning_content" in events[1]["choices"][0]["delta"]
    assert events[-1]["choices"][0]["finish_reason"] == "length"
    assert events[-1]["usage"]["completion_tokens"] == 12


def test_thinking_can_be_turned_off(transformers_demo: Running) -> None:
    told = whole(transformers_demo, chat_template_kwargs={"enable_thinking": False})
    assert told["content"] and not told.get("reasoning_content", "").strip()


@pytest.mark.parametrize("field", ["top_k", "min_p", "repetition_penalty"])
def test_unknown_fields_are_refused_by_name(transformers_demo: Running, field: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        whole(transformers_demo, **{field: 1})
    assert caught.value.code == 422
    assert f"{{'{field}'}}" in json.load(caught.value)["detail"]


def test_others_are_ignored(transformers_demo: Running) -> None:
    assert whole(transformers_demo, presence_penalty=1, stream_options={"include_usage": True})


def test_a_seed_repeats(transformers_demo: Running) -> None:
    first, second = (whole(transformers_demo, temperature=1, seed=5) for _ in range(2))
    assert first == second


def test_a_client_that_leaves_stops_it(transformers_demo: Running) -> None:
    with opened(transformers_demo, max_tokens=None, generation_config=SAMPLED) as answer:
        for _ in range(6):
            answer.readline()
    process = psutil.Process(transformers_demo.pid)
    time.sleep(0.3)
    before = process.cpu_times().user
    time.sleep(0.5)
    assert process.cpu_times().user - before < 0.1


def test_it_samples_only_by_its_generation_config(transformers_demo: Running) -> None:
    greedy = whole(transformers_demo, temperature=0)
    hot = {"temperature": 50, "seed": 4}
    assert whole(transformers_demo, **hot) != greedy
    cold = json.dumps({"do_sample": False})
    assert whole(transformers_demo, generation_config=cold, **hot) == greedy

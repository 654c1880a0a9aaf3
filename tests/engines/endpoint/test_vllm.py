"""The answers of vLLM that its replay does not give."""

from typing import Any

import pytest

from polaris_cli.engines.endpoint.vllm import Vllm
from polaris_cli.errors import EndpointError
from polaris_cli.events import Piece, RawEvent
from polaris_cli.models.connection import Connection
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import Sampling
from tests.servers.faulty import Faulty
from tests.servers.replies import DONE, Request, Script, chunk, refused, said, streamed

LETTER = {"text": "A", "token_ids": [65], "finish_reason": None, "stop_reason": None}


def generated(**last: Any) -> list[RawEvent]:
    """What is read of a letter and of an event that ends the answer."""
    answer = streamed([chunk(LETTER), chunk({"text": "", "token_ids": [], **last}), DONE])
    with Faulty(routes={"/v1/completions": answer}) as server:
        there = Vllm(Connection(ServerAddress(server.url)), "model")
        return [*there.generate([1], Sampling(), 10)]


@pytest.mark.parametrize("stop_reason", [None, 106])
def test_no_end_token_is_text(stop_reason: int | None) -> None:
    events = generated(token_ids=[106], finish_reason="stop", stop_reason=stop_reason)
    assert [id_ for event in events if isinstance(event, Piece) for id_ in event.ids] == [65]


def test_an_answer_that_is_given_up_is_no_whole_one() -> None:
    with pytest.raises(EndpointError, match="abort"):
        generated(finish_reason="abort", stop_reason=None)


def test_a_vllm_that_sends_no_ids_is_refused() -> None:
    with pytest.raises(EndpointError, match="token ids") as refused:
        generated(text="B", token_ids=None, finish_reason="length")
    assert "0.10.2" in refused.value.hint


def refusing_system(request: Request) -> Script:
    first = request.json["messages"][0]
    if first["role"] == "system":
        return refused(400, "System role not supported")
    return said({"tokens": list(first["content"].encode())})


def test_a_template_without_a_system_role_gets_its_text_from_the_user() -> None:
    chat = [{"role": "system", "content": "Write."}, {"role": "user", "content": "A fox."}]
    with Faulty(routes={"/tokenize": refusing_system}) as server:
        there = Vllm(Connection(ServerAddress(server.url)), "model")
        assert bytes(there.chat_ids(chat, thinking=True)) == b"Write.\n\nA fox."

"""What a server does with polaris's settings: the checks behind `polaris doctor --base-url`.

Prints nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from polaris_cli.engines.base import Capabilities, GenerationRequest
from polaris_cli.engines.endpoint.opening import connected
from polaris_cli.events import AnswerEvent, Finish
from polaris_cli.models.reference import on_server
from polaris_cli.models.servers import Server, probe
from polaris_cli.request.prompts import Message
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import Sampling

# Every setting is on, so that each is either applied or named.
EVERYTHING = Sampling(
    min_p=0.05,
    repetition_window=256,
    dry_multiplier=0.5,
    thinking_budget=16,
)
SETTINGS = (
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "repetition_window",
    "presence_penalty", "dry_multiplier", "seed", "thinking_budget",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CheckedServer:
    """A server, what it can do, and for each setting "applied" or what it does instead.

    `model` is the model that was asked; None, without settings, if the server lists none. If it
    gave no answer, `problem` says why, and there are no settings either.
    """

    server: Server
    model: str | None
    capabilities: Capabilities | None
    settings: dict[str, str]
    problem: str = ""


def check_server(address: ServerAddress) -> CheckedServer:
    """Ask a server what it is, and its first model for one token with every setting.

    Raises EndpointError if it does not answer or refuses the key.
    """
    server = probe(address)
    if not server.models:
        return CheckedServer(server, None, None, {})
    engine = connected(on_server(server.models[0], server))
    # The presence penalty goes alone, as a request may have only one of the two penalties.
    alone = Sampling(repetition_penalty=1.0, presence_penalty=0.5, thinking_budget=16)
    told, problem = dict[str, str](), ""
    for sampling in (EVERYTHING, alone):
        answer = engine.stream(GenerationRequest((Message("user", "Hello"),), sampling, 1))
        problem = problem or _problem(answer)
        told |= {one.setting: one.text for one in engine.deviations(sampling)}
    engine.close()
    settings = {} if problem else {name: told.get(name, "applied") for name in SETTINGS}
    return CheckedServer(server, server.models[0], engine.capabilities, settings, problem)


def _problem(answer: Iterator[AnswerEvent]) -> str:
    """Why an answer failed, "" if it did not."""
    *_, finish = answer
    return finish.error.message if isinstance(finish, Finish) and finish.error else ""

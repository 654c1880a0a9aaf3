"""What a server does with polaris's settings: the checks behind `polaris doctor --base-url`.

Prints nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from polaris_cli.engines.base import Capabilities, GenerationRequest
from polaris_cli.engines.endpoint.opening import connected
from polaris_cli.events import AnswerEvent, Finish
from polaris_cli.models.reference import on_server
from polaris_cli.models.servers import Server, asked_about, probe
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

TOKENS = 16  # some models of OpenAI refuse less


@dataclass(frozen=True, slots=True)
class CheckedServer:
    """A server, what it can do, and for each setting what it does with it.

    That is "applied", or "accepted" where the server takes it and nobody knows whether it does
    anything, or what it does instead. `model` is the model that was asked; None, without settings,
    if the server lists none. If it gave no answer, `problem` says why, and there are no settings
    either.
    """

    server: Server
    model: str | None
    capabilities: Capabilities | None
    settings: dict[str, str]
    problem: str = ""


def check_server(address: ServerAddress, model: str | None = None) -> CheckedServer:
    """Ask a server what it is, and a model, or its first one, for some tokens with every setting.

    Raises EndpointError if it does not answer or refuses the key, ModelUnavailable if it does not
    have the model.
    """
    server = probe(address, named=model is not None)
    if not (model or server.models):
        return CheckedServer(server, None, None, {})
    reference = on_server(model or server.models[0], server)
    server = asked_about(server, reference.id)
    engine = connected(reference)
    # The presence penalty goes alone, as a request may have only one of the two penalties.
    alone = Sampling(repetition_penalty=1.0, presence_penalty=0.5, thinking_budget=16)
    told, problem = dict[str, str](), ""
    for sampling in (EVERYTHING, alone):
        answer = engine.stream(GenerationRequest((Message("user", "Hello"),), sampling, TOKENS))
        problem = problem or _problem(answer)
        told |= {one.setting: one.text for one in engine.deviations(sampling)}
    engine.close()
    known = "applied" if engine.capabilities.token_ids else "accepted"
    settings = {} if problem else {name: told.get(name, known) for name in SETTINGS}
    return CheckedServer(server, reference.id, engine.capabilities, settings, problem)


def _problem(answer: Iterator[AnswerEvent]) -> str:
    """Why an answer failed, "" if it did not."""
    *_, finish = answer
    return finish.error.message if isinstance(finish, Finish) and finish.error else ""

"""What an OpenAI-compatible server is and which models it has: `probe` asks it.

The kind of server is found by its own paths, never asked of the user. Writes no text with it: that
is what `engines.endpoint` does.
"""

import difflib
import operator
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote

from polaris_cli.errors import EndpointError, ModelUnavailable
from polaris_cli.models.connection import Connection
from polaris_cli.models.server_environment import key_of
from polaris_cli.models.shapes import Shape, fits
from polaris_cli.request.server_address import ServerAddress

ServerKind = Literal["llama.cpp", "vLLM", "transformers", "Ollama", "unknown"]

LISTED = 5  # models named in a message
OLLAMA = "Ollama is running"  # the text at its root
NO_PATH = (404, 405)  # HTTP statuses of a server without a path, such as a list of models
PROBE_TIMEOUT = 10.0  # seconds; some servers never answer on a path that they do not have
# What a list of models calls their context: vLLM, OpenRouter, Groq, Mistral.
CONTEXT_NAMES = ("max_model_len", "context_length", "context_window", "max_context_length")
PROPS: Shape = {"default_generation_settings": {"n_ctx": int}}  # of llama.cpp


@dataclass(frozen=True, slots=True)
class Server:
    """A server as it was found.

    `models` are the ids in its list, empty if it has none. `contexts` has, where the server says
    it, how many tokens prompt and answer of a model may have together; `context` is a limit for all
    models. `quantization` is that of its only model, where the server says it.
    """

    address: ServerAddress
    kind: ServerKind = "unknown"
    version: str = ""
    models: tuple[str, ...] = ()
    contexts: Mapping[str, int] | None = None
    context: int | None = None
    quantization: str = ""

    @property
    def name(self) -> str:
        """The kind and version, as "vLLM 0.32.0"."""
        kind = self.kind if self.kind != "unknown" else "OpenAI-compatible server"
        return f"{kind} {self.version}".strip()

    def context_of(self, model: str) -> int | None:
        """The context of one of its models in tokens; None if the server does not say it."""
        contexts, (base, _, _) = self.contexts or {}, model.rpartition(":")
        limits = (contexts.get(model, contexts.get(base)), self.context)
        return min(filter(None, limits), default=None)


def probe(address: ServerAddress, *, named: bool = False) -> Server:
    """Ask a server what it is; `named` says that its list of models is not needed.

    Raises EndpointError if it does not answer or refuses the key.
    """
    connection = Connection(address, key_of(address), retries=0)
    try:
        return identify(connection, named=named)
    finally:
        connection.close()


def asked_about(server: Server, model: str) -> Server:
    """The server with the context of a model, if it says that only to who names the model.

    llama.cpp's router does, which has no context itself; it may load the model for the answer.
    """
    if server.kind != "llama.cpp" or server.context:
        return server
    connection = Connection(server.address, key_of(server.address), retries=0)
    try:
        props = _answer(connection, f"/props?model={quote(model, safe='')}", PROPS)
    finally:
        connection.close()
    size = (props.get("default_generation_settings") or {}).get("n_ctx")
    return replace(server, contexts={**(server.contexts or {}), model: size}) if size else server


def identify(connection: Connection, *, named: bool = False) -> Server:
    """The server at the other end of a connection; `named` and errors are those of `probe`."""
    server = _with_models(Server(connection.address), connection, named=named)
    with connection.waiting(PROBE_TIMEOUT):
        looks = (look(server, connection) for look in (_llama_cpp, _vllm, _ollama, _transformers))
        return next(filter(None, looks), server)


def _with_models(server: Server, connection: Connection, *, named: bool) -> Server:
    """The server with its list of models; an address that has no such list may still be right."""
    models = [item for item in _listed(connection, named=named) if item.get("id")]
    own = {str(item["id"]): _context(item) for item in models}
    # An adapter (LoRA) on vLLM has the context of its model.
    of_parent = {str(item["id"]): own.get(str(item.get("parent"))) for item in models}
    contexts = {model: size or of_parent[model] for model, size in own.items()}
    return replace(
        server,
        models=tuple(contexts),
        contexts={model: size for model, size in contexts.items() if isinstance(size, int)},
    )


def _listed(connection: Connection, *, named: bool) -> list[dict[str, Any]]:
    """The models in a server's list: in `data`, or in a list of its own, as Together sends it."""
    try:
        answer = connection.get("models")
    except EndpointError as error:
        if error.status in NO_PATH or (named and error.status == 403):
            return []
        raise
    if fits(answer, [dict]):
        return list(answer)
    data = answer.get("data", "") if isinstance(answer, dict) else ""
    if not isinstance(data, list | None):
        raise connection.unreadable(answer)
    return [item for item in data or () if isinstance(item, dict)]  # Ollama's is null if empty


def _context(model: Mapping[str, Any]) -> object:
    """The context of a model in the list; llama.cpp says with how long a one it was trained."""
    meta = model.get("meta")
    trained = meta.get("n_ctx_train") if isinstance(meta, dict) else None
    return next(filter(None, map(model.get, CONTEXT_NAMES)), trained)


def _llama_cpp(server: Server, connection: Connection) -> Server | None:
    props = _answer(connection, "/props", PROPS)
    settings = props.get("default_generation_settings")
    if not isinstance(settings, dict) or "build_info" not in props:
        return None
    build = str(props["build_info"])
    version = "" if build.startswith("b0") else build  # a library's build has no number
    context, quantization = settings.get("n_ctx"), str(props.get("model_ftype", ""))
    return replace(
        server, kind="llama.cpp", version=version, context=context, quantization=quantization
    )


def _vllm(server: Server, connection: Connection) -> Server | None:
    version = _answer(connection, "/version").get("version")
    if not version or not server.contexts:  # Ollama has a version too, but lists no context
        return None
    return replace(server, kind="vLLM", version=str(version))


def _ollama(server: Server, connection: Connection) -> Server | None:
    version = _answer(connection, "/api/version").get("version")
    if not version or _greeting(connection) != OLLAMA:  # KoboldCpp and llama-swap answer this too
        return None
    return replace(server, kind="Ollama", version=str(version))


def _transformers(server: Server, connection: Connection) -> Server | None:
    paths = _answer(connection, "/openapi.json", {"paths": dict}).get("paths") or {}
    return replace(server, kind="transformers") if "/load_model" in paths else None


def _answer(connection: Connection, path: str, shape: Shape = dict) -> Mapping[str, Any]:
    """The JSON object at a path; an empty one if there is none of this shape."""
    with suppress(EndpointError):
        answer: Mapping[str, Any] = connection.get(path)
        if fits(answer, shape):
            return answer
    return {}


def _greeting(connection: Connection) -> str:
    """The text at the root of a server; "" if there is none."""
    with suppress(EndpointError):
        return connection.text("/").strip()
    return ""


def choose_model(
    server: Server,
    wanted: str,
    spellings: Sequence[str] = (),
    is_like: Callable[[str], bool] = lambda _: False,
) -> str:
    """The id of the model to use: the one `wanted`, or the only one for `auto`.

    `spellings` are the ids of a model that polaris knows, and `is_like` says whether an id begins
    like them; what is written the same comes first. A server that loads any model, or has no list,
    is asked for what was wanted, or by the first spelling for a name that only polaris has. An id
    with a route, such as openai/gpt-4o:nitro, stays as it is if the server lists the part before
    the colon. Raises ModelUnavailable if there is none, with the ids that come near.
    """
    models = server.models
    if wanted == "auto":
        if len(models) == 1:
            return models[0]
        raise _which(server)
    if found := _same(models, (wanted, *spellings)) or next(filter(is_like, models), None):
        return found
    base, colon, _ = wanted.rpartition(":")
    if colon and any(_equal(model, base) for model in models):
        return wanted
    if not models or server.kind == "transformers":  # it loads what it is asked for
        return spellings[0] if spellings and "/" not in wanted else wanted
    raise _not_there(server, wanted)


def _same(models: Sequence[str], names: Sequence[str]) -> str | None:
    """The first model that is written like one of the names, the more exactly the better."""
    found = (
        model
        for same in (operator.eq, _equal, _equal_ending)
        for name in names
        for model in models
        if same(model, name)
    )
    return next(found, None)


def _equal(model: str, wanted: str) -> bool:
    return model.casefold() == wanted.casefold()


def _equal_ending(model: str, wanted: str) -> bool:
    name = model.rpartition("/")[2].casefold()
    return wanted.casefold() in (name, name.removesuffix(".gguf"))


def _which(server: Server) -> ModelUnavailable:
    if not server.models:
        what = f"{server.address.base_url} does not list its models."
        return ModelUnavailable(what, hint="Name one: --model ID")
    return ModelUnavailable(
        f"{server.address.base_url} has {len(server.models)} models: {_some(server.models)}.",
        hint=f"Choose one: --model {server.models[0]}",
    )


def _not_there(server: Server, wanted: str) -> ModelUnavailable:
    near = difflib.get_close_matches(wanted, server.models, n=1, cutoff=0.4)
    hint = f"Did you mean --model {near[0]} ?" if near else f"It has: {_some(server.models)}."
    return ModelUnavailable(f"{server.address.base_url} has no model {wanted[:100]!r}.", hint=hint)


def _some(models: tuple[str, ...]) -> str:
    more = len(models) - LISTED
    named = ", ".join(models[:LISTED])
    return f"{named} and {more} more" if more > 0 else named

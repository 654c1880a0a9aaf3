"""What the hub refuses, in words: from an exception to a sentence and the next step.

Pure functions of the exception and the model, but for `hub_errors`, which applies them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from polaris_cli.errors import ModelUnavailable, PolarisError
from polaris_cli.models import catalogue
from polaris_cli.models.cache import cached, offline, repository_folder, snapshot
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.weights import lacking


@contextmanager
def hub_errors(reference: ModelRef) -> Iterator[None]:
    """Turn what huggingface_hub raises inside the block into ModelUnavailable."""
    from huggingface_hub import get_token

    try:
        yield
    except PolarisError:
        raise
    except Exception as error:
        sentence = explain(error, reference, logged_in=bool(get_token()))
        if sentence is None:
            raise
        raise sentence from error


def explain(
    error: BaseException, reference: ModelRef, *, logged_in: bool
) -> ModelUnavailable | None:
    """The sentence for an error of the hub, or one caused by it; None for any other error."""
    for link in causes(error):
        sentence = _explain_one(link, reference, logged_in)
        if sentence:
            return sentence
    return None


def causes(error: BaseException | None) -> list[BaseException]:
    """The error and what caused it, the deepest cause first: it says most."""
    links: list[BaseException] = []
    while error and error not in links:
        links.insert(0, error)
        error = error.__cause__
    return links


def _explain_one(
    error: BaseException, reference: ModelRef, logged_in: bool
) -> ModelUnavailable | None:
    from huggingface_hub import errors

    match error:
        case errors.GatedRepoError():  # before its base class RepositoryNotFoundError
            return gated_without_access(reference) if logged_in else gated_without_login(reference)
        case errors.RepositoryNotFoundError():
            return no_repository(reference, logged_in)
        case errors.RevisionNotFoundError():
            return ModelUnavailable(
                f"{reference.id} has no revision {reference.revision!r}.",
                hint=f"See its branches and tags: {reference.page}/tree/main",
            )
        case errors.EntryNotFoundError() if not isinstance(error, errors.LocalEntryNotFoundError):
            return not_for_text(reference, "it has no config.json")
        case errors.HFValidationError():
            return unknown(reference.id)
        case errors.HfHubHTTPError():
            return _refused(reference, error.response.status_code, error.server_message or "")
        case errors.OfflineModeIsEnabled() | errors.LocalEntryNotFoundError():
            return unreachable(reference)
        case OSError(errno=28):
            return ModelUnavailable(
                f"The disk became full while {reference.name} was downloaded.",
                hint=f"Free some space, then go on: {_fetch_command(reference)}",
            )
        case _ if is_network_error(error):
            return unreachable(reference)
    return None


def is_network_error(error: BaseException) -> bool:
    """Whether the connection failed. By name, as the hub's client changed its HTTP library."""
    names = {base.__name__ for base in type(error).__mro__}
    return "TransportError" in names or isinstance(error, TimeoutError | ConnectionError)


def gated_without_login(reference: ModelRef) -> ModelUnavailable:
    """The model is gated, and this machine has no token."""
    return ModelUnavailable(
        f"{reference.id} is gated, and you are not logged in to the hub.",
        hint=f"Ask for access at {reference.page}, then type: hf auth login",
    )


def gated_without_access(reference: ModelRef) -> ModelUnavailable:
    """The model is gated, and the account of the token is not on its list."""
    return ModelUnavailable(
        f"{reference.id} is gated, and your account has no access to it yet.",
        hint=f"Ask for it at {reference.page}; until then: --model {catalogue.NO_HRI.name}",
    )


def no_repository(reference: ModelRef, logged_in: bool) -> ModelUnavailable:
    """The hub has no such model, or it is private."""
    close = catalogue.near(reference.id)
    if close and close != reference.id:
        hint = f"Did you mean {close}? Type: --model {close}"
    elif logged_in:
        hint = "Check the spelling, or see the known models: polaris models"
    else:
        hint = "Check the spelling; if the model is private, first type: hf auth login"
    return ModelUnavailable(f"The hub has no model {reference.id} that you can see.", hint=hint)


def unreachable(reference: ModelRef) -> ModelUnavailable:
    """The model is not here, and the hub does not answer."""
    why = "HF_HUB_OFFLINE forbids the network" if offline() else "the hub cannot be reached"
    first = "Unset HF_HUB_OFFLINE" if offline() else "Connect to the internet"
    return ModelUnavailable(
        f"{_what_is_here(reference)} {why}.",
        hint=f"{first}, then type: {_fetch_command(reference)}; offline there is "
        f"--model {catalogue.DEMO.name}",
    )


def _what_is_here(reference: ModelRef) -> str:
    """What of the model is on this machine: the beginning of a sentence on why that is all."""
    if cached(reference):
        return f"{reference.name} cannot be updated:"
    if snapshot(reference).is_dir():
        return f"{reference.name} is not whole ({lacking(snapshot(reference))}), and"
    if reference.revision and repository_folder(reference).is_dir():
        return f"Revision {reference.revision!r} of {reference.name} is not on this machine, and"
    return f"{reference.name} is not on this machine, and"


def _fetch_command(reference: ModelRef) -> str:
    revision = f" --revision {reference.revision}" if reference.revision else ""
    return f"polaris models fetch {reference.name}{revision}"


def _refused(reference: ModelRef, status: int, message: str) -> ModelUnavailable:
    said = f": {message.splitlines()[0].rstrip('.')}" if message else ""
    match status:
        case 401:
            hint = "The token may be wrong or old, log in again: hf auth login"
        case 403:
            hint = f"See whether your token may read gated models: {reference.page}"
        case 429:
            hint = f"Wait a few minutes, then type: {_fetch_command(reference)}"
        case _:
            hint = f"Try again later: {_fetch_command(reference)}"
    return ModelUnavailable(f"The hub refused {reference.id} (error {status}{said}).", hint=hint)


def not_for_text(reference: ModelRef, why: str) -> ModelUnavailable:
    """The model is not one that writes text."""
    return ModelUnavailable(
        f"{reference.name} is not a text-generation model that can be loaded here: {why}.",
        hint="Choose a model that writes text: polaris models",
    )


def corrupt(reference: ModelRef, detail: str = "") -> ModelUnavailable:
    """The files are damaged or incomplete."""
    more = f" ({detail})" if detail else ""
    if reference.folder:
        hint = f"Put whole files into {reference.folder}, or choose another: polaris models"
    else:
        name = reference.name
        hint = f"Get it anew: polaris models rm {name} --yes && polaris models fetch {name}"
    return ModelUnavailable(f"The files of {reference.name} are damaged{more}.", hint=hint)


def unknown(model: str) -> ModelUnavailable:
    """No name, folder or hub id looks like that."""
    close = catalogue.near(model)
    meant = f"Did you mean {close}? Type: --model {close}" if close else "See: polaris models"
    return ModelUnavailable(f"No model is called {model!r}.", hint=meant)

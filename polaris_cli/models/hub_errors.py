"""Explains the hub's errors: turns an exception into one sentence and a hint.

Functions of the exception, the model and what is cached of it; `hub_errors` applies them to a
block of code. Does not know what was being downloaded.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from polaris_cli.errors import ModelUnavailable, PolarisError
from polaris_cli.models import catalogue
from polaris_cli.models.cache import cached, gguf_sizes, offline, repository_folder, snapshot
from polaris_cli.models.gguf_choice import choices
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.weights import missing_file_in


@contextmanager
def hub_errors(reference: ModelRef) -> Iterator[None]:
    """Turn huggingface_hub's exceptions inside the block into ModelUnavailable."""
    from huggingface_hub import get_token

    try:
        yield
    except PolarisError:
        raise
    except Exception as error:
        explained = explain(error, reference, logged_in=bool(get_token()))
        if explained is None:
            raise
        raise explained from error


def explain(
    error: BaseException, reference: ModelRef, *, logged_in: bool
) -> ModelUnavailable | None:
    """The hub's error, or the hub's error behind it, explained; None for any other error."""
    for link in causes(error):
        explained = _explain_one(link, reference, logged_in)
        if explained:
            return explained
    return None


def causes(error: BaseException | None) -> list[BaseException]:
    """The error and its chain of causes, the root cause first: it is the most specific."""
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
                f"The disk is full: {reference.name} was downloaded only in part.",
                hint=f"Free some space, then continue: {_fetch_command(reference)}",
            )
        case _ if is_network_error(error):
            return unreachable(reference)
    return None


def is_network_error(error: BaseException) -> bool:
    """Whether the connection failed. Matches by class name, as the hub's client has changed its
    HTTP library."""
    names = {base.__name__ for base in type(error).__mro__}
    return "TransportError" in names or isinstance(error, TimeoutError | ConnectionError)


def gated_without_login(reference: ModelRef) -> ModelUnavailable:
    """The model is gated, and there is no access token on this machine."""
    return ModelUnavailable(
        f"{reference.id} is gated, and you are not logged in to the hub.",
        hint=f"Ask for access at {reference.page}, then type: hf auth login",
    )


def gated_without_access(reference: ModelRef) -> ModelUnavailable:
    """The model is gated, and the token's account has no access to it."""
    return ModelUnavailable(
        f"{reference.id} is gated, and your account has no access to it yet.",
        hint=f"Ask for it at {reference.page}; until then, use the model {catalogue.NO_HRI.name}",
    )


def no_repository(reference: ModelRef, logged_in: bool) -> ModelUnavailable:
    """The hub has no such model, or the model is private."""
    close = catalogue.near(reference.id)
    if close and close != reference.id:
        hint = f"Did you mean {close}?"
    elif logged_in:
        hint = "Check the spelling, or see the known models: polaris models"
    else:
        hint = "Check the spelling; if the model is private, first type: hf auth login"
    return ModelUnavailable(f"The hub has no model {reference.id} that you can see.", hint=hint)


def unreachable(reference: ModelRef) -> ModelUnavailable:
    """The hub does not answer, or HF_HUB_OFFLINE is set."""
    why = "HF_HUB_OFFLINE forbids the network" if offline() else "the hub cannot be reached"
    first = "Unset HF_HUB_OFFLINE" if offline() else "Connect to the internet"
    return ModelUnavailable(
        f"{_what_is_here(reference)} {why}.",
        hint=f"{first}, then type: {_fetch_command(reference)}; to work offline, use "
        f"the model {catalogue.DEMO.name}",
    )


def _what_is_here(reference: ModelRef) -> str:
    """The start of the sentence in `unreachable`: what this machine has of the model."""
    if cached(reference):
        return f"{reference.name} cannot be updated:"
    if here := choices(gguf_sizes(snapshot(reference))):
        files = ", ".join(file.quantization for file in here)
        return f"This machine has only {files} of {reference.name}, and"
    if snapshot(reference).is_dir() and not reference.is_gguf:
        return f"{reference.name} is incomplete ({missing_file_in(snapshot(reference))}), and"
    if reference.revision and repository_folder(reference).is_dir():
        return f"Revision {reference.revision!r} of {reference.name} is not on this machine, and"
    return f"{reference.name} is not on this machine, and"


def _fetch_command(reference: ModelRef) -> str:
    revision = f" --revision {reference.revision}" if reference.revision else ""
    file = f" --gguf-file {reference.gguf_name}" if reference.gguf_name else ""
    return f"polaris models fetch {reference.name}{revision}{file}"


def _refused(reference: ModelRef, status: int, message: str) -> ModelUnavailable:
    detail = f": {message.splitlines()[0].rstrip('.')}" if message else ""
    match status:
        case 401:
            hint = "The token may be wrong or expired; log in again: hf auth login"
        case 403:
            hint = f"Check that your token may read gated models: {reference.page}"
        case 429:
            hint = f"Wait a few minutes, then type: {_fetch_command(reference)}"
        case _:
            hint = f"Try again later: {_fetch_command(reference)}"
    return ModelUnavailable(f"The hub refused {reference.id} (error {status}{detail}).", hint=hint)


def not_for_text(reference: ModelRef, why: str) -> ModelUnavailable:
    """The model is not a text-generation model that transformers can load."""
    return ModelUnavailable(
        f"{reference.name} is not a text-generation model that can be loaded here: {why}.",
        hint="Choose a model that writes text: polaris models",
    )


def corrupt(reference: ModelRef, detail: str = "") -> ModelUnavailable:
    """The files are damaged or incomplete."""
    more = f" ({detail})" if detail else ""
    if reference.folder:
        hint = f"Put complete files into {reference.folder}, or choose another: polaris models"
    else:
        hint = (
            f"Download it again: polaris models rm {reference.name} --yes && "
            f"{_fetch_command(reference)}"
        )
    return ModelUnavailable(f"The files of {reference.name} are damaged{more}.", hint=hint)


def unreadable(reference: ModelRef, what: str, error: BaseException) -> ModelUnavailable:
    """A file that may not be read, which another download would not change, or a damaged one."""
    if not isinstance(error, PermissionError):
        return corrupt(reference, f"{what} cannot be read")
    return ModelUnavailable(
        f"A file of {reference.name} may not be read ({what}): {error.strerror}.",
        hint=f"Change the permissions of {error.filename or 'its files'}.",
    )


def wrong_checksum(reference: ModelRef) -> ModelUnavailable:
    """A file was damaged on its way, and is removed; the others stay."""
    return ModelUnavailable(
        f"A file of {reference.name} arrived damaged (its checksum is wrong).",
        hint=f"Download that file again: {_fetch_command(reference)}",
    )


def unknown(model: str, hint: str = "") -> ModelUnavailable:
    """The name is not in the catalogue, and is neither a folder nor a hub id."""
    if not hint:
        close = catalogue.near(model)
        hint = f"Did you mean {close}?" if close else "See: polaris models"
    return ModelUnavailable(f"No model is called {model!r}.", hint=hint)

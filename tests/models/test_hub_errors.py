"""Exceptions of the hub's client are explained, with a hint and exit code 3."""

import errno
from typing import Any

import pytest
from huggingface_hub import errors

from polaris_cli.errors import ModelUnavailable, UsageError
from polaris_cli.models.hub_errors import corrupt, explain, hub_errors, unreadable
from polaris_cli.models.reference import ModelRef

TINY = ModelRef("tiny", "owner/tiny", "v9")


def http(kind: type[errors.HfHubHTTPError], status: int, said: str | None = None) -> Exception:
    """An exception of the hub's client, with a response from its HTTP library."""
    library = __import__(errors.Response.__module__.partition(".")[0])
    request = library.Request("GET", "https://huggingface.co/owner/tiny")
    response = library.Response(status, request=request)
    error: Exception = kind(f"{status}", response=response, server_message=said)
    return error


def connection(name: str) -> Exception:
    library: Any = __import__(errors.Response.__module__.partition(".")[0])
    error: Exception = getattr(library, name)("no route")
    return error


CASES = [
    (http(errors.GatedRepoError, 401), False, "not logged in", "hf auth login"),
    (http(errors.GatedRepoError, 403), True, "no access", "https://huggingface.co/owner/tiny"),
    (http(errors.RepositoryNotFoundError, 401), False, "no model owner/tiny", "hf auth login"),
    (http(errors.RepositoryNotFoundError, 404), True, "no model owner/tiny", "polaris models"),
    (http(errors.RevisionNotFoundError, 404), True, "no revision 'v9'", "/tree/main"),
    (http(errors.RemoteEntryNotFoundError, 404), True, "not a text-generation", "polaris models"),
    (http(errors.HfHubHTTPError, 401, "bad token"), True, "401: bad token", "hf auth login"),
    (http(errors.HfHubHTTPError, 403), True, "403", "token may read gated"),
    (http(errors.HfHubHTTPError, 429), True, "429", "Wait"),
    (http(errors.HfHubHTTPError, 503), True, "503", "Try again later"),
    (errors.OfflineModeIsEnabled("off"), True, "not on this machine", "polaris models fetch tiny"),
    (errors.LocalEntryNotFoundError("gone"), True, "cannot be reached", "models fetch tiny"),
    (errors.HFValidationError("bad id"), True, "No model is called", "polaris models"),
    (connection("ConnectError"), True, "cannot be reached", "the model demo"),
    (connection("ReadTimeout"), True, "cannot be reached", "the model demo"),
    (TimeoutError("slow"), True, "cannot be reached", "Connect to the internet"),
    (OSError(errno.ENOSPC, "full"), True, "disk is full", "polaris models fetch tiny"),
]


@pytest.mark.parametrize(("error", "logged_in", "says", "hint"), CASES)
def test_each_error_has_its_explanation(
    error: Exception, logged_in: bool, says: str, hint: str
) -> None:
    sentence = explain(error, TINY, logged_in=logged_in)
    assert sentence and sentence.exit_code == 3
    assert says in sentence.message and hint in sentence.hint
    assert "\n" not in sentence.message + sentence.hint


def test_different_causes_have_different_explanations() -> None:
    sentences = [explain(error, TINY, logged_in=known) for error, known, _, _ in CASES[:10]]
    assert len({str(sentence) for sentence in sentences}) == 9  # both unknown ones are alike


def test_the_root_cause_is_explained() -> None:
    wrapped = OSError("transformers says something long")
    wrapped.__cause__ = http(errors.GatedRepoError, 403)
    sentence = explain(wrapped, TINY, logged_in=True)
    assert sentence and "gated" in sentence.message


def test_an_http_error_inside_a_refusal_is_not_a_network_error() -> None:
    refusal = http(errors.HfHubHTTPError, 500)
    library: Any = __import__(errors.Response.__module__.partition(".")[0])
    request = library.Request("GET", "https://huggingface.co")
    response = library.Response(500, request=request)
    refusal.__cause__ = library.HTTPStatusError("500", request=request, response=response)
    sentence = explain(refusal, TINY, logged_in=True)
    assert sentence and "error 500" in sentence.message


def test_a_near_name_is_suggested() -> None:
    wrong = ModelRef("Qwen/Qwen3.5-9b-it", "Qwen/Qwen3.5-9b-it")
    sentence = explain(http(errors.RepositoryNotFoundError, 404), wrong, logged_in=True)
    assert sentence and "Did you mean Qwen/Qwen3.5-9B?" in sentence.hint


def test_offline_mode_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    sentence = explain(errors.OfflineModeIsEnabled("off"), TINY, logged_in=False)
    assert sentence and "HF_HUB_OFFLINE" in sentence.message
    assert sentence.hint.startswith("Unset HF_HUB_OFFLINE")


def test_other_errors_are_not_explained() -> None:
    assert explain(KeyError("x"), TINY, logged_in=True) is None
    with pytest.raises(ZeroDivisionError), hub_errors(TINY):
        raise ZeroDivisionError
    with pytest.raises(UsageError), hub_errors(TINY):
        raise UsageError("ours")
    with pytest.raises(ModelUnavailable), hub_errors(TINY):
        raise http(errors.GatedRepoError, 403)


def test_corrupt_files_lead_to_a_new_download() -> None:
    assert "polaris models rm tiny --yes && polaris models fetch tiny" in corrupt(TINY).hint


def test_a_file_that_may_not_be_read_is_not_damaged() -> None:
    """Its model must not be removed and downloaded again."""
    denied = PermissionError(13, "Permission denied", "/models/config.json")
    refused = unreadable(TINY, "config.json", denied)
    assert refused.message == "A file of tiny may not be read (config.json): Permission denied."
    assert refused.hint == "Change the permissions of /models/config.json."
    assert "damaged" in unreadable(TINY, "config.json", OSError(5, "Input/output error")).message

"""Errors travel between processes whole: those of a cluster's workers come back pickled."""

import copy
import pickle

import pytest

from polaris_cli import errors
from polaris_cli.batch import cluster  # noqa: F401  (it has an error of its own)
from polaris_cli.errors import EndpointError, PolarisError, WrongValue


def kinds_below(kind: type[PolarisError]) -> list[type[PolarisError]]:
    """The kind and all that are made of it."""
    return [kind, *(each for child in kind.__subclasses__() for each in kinds_below(child))]


def an_error(kind: type[PolarisError]) -> PolarisError:
    """An error of the kind that has something in each of its attributes."""
    if kind is WrongValue:
        wrong = WrongValue("words", "0", "be at least 1", "800")
        wrong.set_by("--words", "--words")
        return wrong
    if kind is EndpointError:
        return EndpointError("No.", hint="Ask later.", status=503, retry_in=2.0, words="No, no.")
    return kind("No.", hint="Ask again.")


@pytest.mark.parametrize("kind", kinds_below(PolarisError))
def test_an_error_survives_pickling(kind: type[PolarisError]) -> None:
    error = an_error(kind)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert (str(again), vars(again)) == (str(error), vars(error))
        assert again.hint and again.args == error.args


def test_an_unexpected_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(errors.unexpected(KeyError("x"))))
    assert (error.message, error.hint) == ("Unexpected error: KeyError('x').", errors.DEBUG_HINT)

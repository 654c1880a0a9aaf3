"""What is said while a run that the user has ended is waited for."""

import threading
import time
from io import StringIO

import pytest

from polaris_cli.screen import stopping
from polaris_cli.screen.batch_progress import BatchProgress
from polaris_cli.screen.stopping import TOLD, told_while_stopping


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "SOON", 0.01)


def test_it_is_said_once_that_the_end_is_waited_for() -> None:
    stop, err = threading.Event(), StringIO()
    with told_while_stopping(stop, err):
        time.sleep(0.05)
        assert err.getvalue() == ""
        stop.set()
        time.sleep(0.1)
    assert err.getvalue() == f"polaris: note: {TOLD}\n"


def test_nothing_is_said_of_an_end_at_once_or_to_the_quiet() -> None:
    stop, err = threading.Event(), StringIO()
    with told_while_stopping(stop, err):
        pass
    stop.set()
    with told_while_stopping(stop, err, quiet=True):
        time.sleep(0.05)
    assert err.getvalue() == ""


def test_a_batch_says_it_where_there_is_no_terminal() -> None:
    stop, err = threading.Event(), StringIO()
    with BatchProgress(3, 0, err, stop).shown(quiet=False):
        stop.set()
        time.sleep(0.1)
    assert TOLD in err.getvalue()

"""While a model loads, libraries read nothing from stdin and print nothing on stdout."""

import logging
import sys

import pytest
from transformers.utils import logging as theirs

from polaris_cli.engines.local.quiet import quiet


def test_stdin_is_empty_and_stdout_is_discarded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdin, sys.stdout
    with quiet():
        print("A question?")
        assert sys.stdin.read() == "" and not sys.stdin.isatty()
        with pytest.raises(EOFError):
            input("And another? ")
    assert (sys.stdin, sys.stdout) == before
    assert capsys.readouterr() == ("", "")


def test_both_are_restored_after_an_error() -> None:
    before = sys.stdin, sys.stdout
    with pytest.raises(ZeroDivisionError), quiet():
        raise ZeroDivisionError
    assert (sys.stdin, sys.stdout) == before


@pytest.mark.skipif(not hasattr(theirs, "set_tqdm_hook"), reason="an older transformers")
def test_progress_is_reported_only_inside_the_block() -> None:
    shares: list[float] = []
    with quiet(shares.append):
        assert list(theirs.tqdm([5, 6])) == [5, 6]
    assert shares == [0, 0.5, 1]
    with quiet():
        assert len(list(theirs.tqdm([5, 6]))) == 2
    assert len(shares) == 3
    assert logging.getLogger("transformers").getEffectiveLevel() >= logging.ERROR

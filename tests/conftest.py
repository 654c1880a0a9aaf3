"""What several test modules share."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings

from polaris_cli.library.store import Library
from tests import card
from tests.screens import Tty

pytest_plugins = ["tests.servers.fixtures"]

# On a busy machine a single example may take long; the tests as a whole have limits. Each run draws
# other examples, so that few are enough for one.
settings.register_profile("polaris", deadline=None, max_examples=50)
settings.load_profile("polaris")

card.set_environment()

# A runner in the background may ignore these, and programs that the tests start would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Processes that test side by side have a core each: torch's threads would wait for one another,
# here and in the programs that the tests start. Nothing has loaded torch yet.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tty]:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    tty = Tty()
    yield tty
    tty.close()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with closing(Library(tmp_path / "deep" / "library.db")) as opened:
        yield opened

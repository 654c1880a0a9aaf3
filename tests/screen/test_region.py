"""Lines redrawn in place."""

import os
import pty
import select
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.text import Text

from polaris_cli.screen.region import FRAME_S, Region, painter, region_on, restore_terminal
from tests.cli import environment, scripted_command
from tests.screens import Tty


class Counting:
    """A view that settles the lines it gets, and counts the frames."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.moves = ["moving"]
        self.drawn = 0

    def settled(self, width: int) -> list[Text]:
        lines, self.lines = self.lines, []
        return [Text(line) for line in lines]

    def moving(self, width: int) -> list[Text]:
        self.drawn += 1
        return [Text(line) for line in self.moves]


@pytest.fixture
def tty() -> Iterator[Tty]:
    tty = Tty()
    yield tty
    tty.close()


def redraw(region: Region) -> None:
    region.print_above(Text("above"))


def test_settled_lines_stay_above_the_moving_ones(tty: Tty) -> None:
    view = Counting()
    with Region(tty.stream, view).running() as region:
        view.lines = ["one", "two"]
        redraw(region)
        assert tty.lines() == ["above", "one", "two", "moving"]
        assert not tty.cursor_shown
        assert region_on(tty.stream) is region
        view.lines = ["three"]
    assert tty.lines() == ["above", "one", "two", "three"]
    assert tty.cursor_shown
    assert region_on(tty.stream) is None


@pytest.mark.slow
def test_moving_lines_are_drawn_while_the_caller_is_busy(tty: Tty) -> None:
    view = Counting()
    with Region(tty.stream, view).running():
        time.sleep(6 * FRAME_S)
    assert 2 <= view.drawn <= 6


def test_frequent_refreshes_draw_rarely(tty: Tty) -> None:
    view = Counting()
    with Region(tty.stream, view).running() as region:
        end = time.monotonic() + 5 * FRAME_S
        while time.monotonic() < end:
            region.refresh()
    assert 2 <= view.drawn <= 7


@pytest.mark.parametrize("columns", [80, 40, 20, 7])
def test_a_resize_leaves_no_remains(tty: Tty, columns: int) -> None:
    view = Counting()
    view.moves = ["x" * 70, "y" * 60]
    with Region(tty.stream, view).running() as region:
        redraw(region)
        tty.resize(columns)
        view.moves = ["x" * (columns - 1)]
        view.lines = ["settled"]
        redraw(region)
        assert tty.lines() == ["above", "above", "settled", "x" * (columns - 1)]
    assert tty.lines() == ["above", "above", "settled"]


def test_no_more_moving_lines_than_rows() -> None:
    tty = Tty(rows=2)
    view = Counting()
    view.moves = ["1", "2", "3"]
    with Region(tty.stream, view).running() as region:
        redraw(region)
        redraw(region)
    assert tty.lines() == ["above", "above"]


def test_the_cursor_is_restored_without_a_lock(tty: Tty) -> None:
    with Region(tty.stream, Counting()).running():
        assert not tty.cursor_shown
        restore_terminal()
        assert tty.cursor_shown
    restore_terminal()


def test_the_caller_gets_the_error_of_a_closed_terminal() -> None:
    tty = Tty()
    with pytest.raises(OSError), Region(tty.stream, Counting()).running() as region:
        tty.hang_up()
        time.sleep(4 * FRAME_S)  # the error occurs while the caller is busy
        with pytest.raises(OSError):
            region.refresh()
    assert region_on(tty.stream) is None


def test_a_painter_does_not_interpret_markup(tty: Tty) -> None:
    painter(tty.stream).print("[red]x[/red] :smile: 12 'y'")
    assert tty.raw() == "[red]x[/red] :smile: 12 'y'\r\n"


HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"


class Shell:
    """A shell at the other end of a pseudo-terminal."""

    def __init__(self, terminal: int) -> None:
        self._terminal, self._shown = terminal, ""

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def wait_for(self, text: str) -> str:
        """What is shown from the last call up to this text. Fails after twenty seconds."""
        end = time.monotonic() + 20
        while text not in self._shown:
            assert time.monotonic() < end, self._shown
            if select.select([self._terminal], [], [], 0.1)[0]:
                self._shown += os.read(self._terminal, 4096).decode("utf-8", "replace")
        before, found, self._shown = self._shown.partition(text)
        return before + found


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="needs a shell with job control")
def test_a_stopped_process_leaves_the_cursor_and_goes_on_below(tmp_path: Path) -> None:
    """Ctrl-Z, then `bg` and `fg`, in an interactive shell."""
    words = [f"{word}{number} " for number in range(40) for word in ("fox", "hen")]
    command = scripted_command(
        "write", "a fox", "-w", "80", "-m", "demo", scripts=[["</think>", *words]], delay=0.05
    )
    pid, terminal = pty.fork()
    if not pid:
        os.execvpe("bash", ["bash", "--norc", "-i"], {**environment(tmp_path), "PS1": "ready> "})
    shell = Shell(terminal)
    shell.wait_for("ready> ")
    (tmp_path / "write.sh").write_text(f"exec {shlex.join(command)}")
    shell.type(f"bash {tmp_path}/write.sh\n")
    shell.wait_for("hen3 ")
    shell.type("\x1a")
    stopped = shell.wait_for("ready> ")
    assert SHOWN in stopped and HIDDEN not in stopped
    shell.type("bg; sleep 0.7; fg\n")
    shell.wait_for("[1]+ ")
    went_on = shell.wait_for("ready> ")
    assert HIDDEN in went_on and went_on.rindex(SHOWN) > went_on.rindex(HIDDEN)
    assert "hen39" in went_on and "80 of 80 words" in " ".join(went_on.split())
    shell.type("exit\n")
    os.waitpid(pid, 0)

"""Runs the command line as a user does, in a process of its own or, with `called`, in this one.

`polaris_command` is the real command; `scripted_command` has a scripted engine in place of a model:
`python -m tests.cli JSON write ...`, where JSON holds the arguments of `ScriptedEngine`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a process that runs a command need not wait for it
    import pytest

ROOT = Path(__file__).parent.parent
PLAN = ["a plan", "\n</think>\n\n"]
TALE = ["Once upon", " a time", " there was a fox.", "\n\n", "It slept", ".\n\n"]
TALE_TEXT = "Once upon a time there was a fox.\n\nIt slept."
TALE_WORDS = 10


def wait_for_text(home: Path, text: str, seconds: float = 60) -> None:
    """Wait until the story being written has this text; a pipe may get it later."""
    from polaris_cli.errors import PolarisError
    from polaris_cli.library.store import Library

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if text in Library(home / "library.db").get("last").text:
                return
        except PolarisError:
            pass  # there is no story yet
        time.sleep(0.05)
    raise AssertionError(f"no {text!r} in the library after {seconds} s")


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment in which nothing of the user's is read or written."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLARIS_")}
    return kept | {
        "POLARIS_LIBRARY": str(home / "library.db"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "HF_HOME": str(home / "hub"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        **more,
    }


def polaris_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "polaris_cli", *arguments]


def scripted_command(*arguments: str, **engine: Any) -> list[str]:
    """The command line with an engine that replays `scripts` (default: a plan and a tale)."""
    engine.setdefault("scripts", [PLAN + TALE])
    return [sys.executable, "-m", "tests.cli", json.dumps(engine), *arguments]


def run(
    command: list[str], home: Path, *, stdin: bytes | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with pipes on all sides; its outputs decoded as UTF-8."""
    ended = subprocess.run(
        command, input=stdin or b"", capture_output=True, env=environment(home, **more), timeout=60
    )
    return subprocess.CompletedProcess(
        command, ended.returncode, ended.stdout.decode(), ended.stderr.decode()
    )


def called(*arguments: str) -> int:
    """The exit code of a command that runs in this process, on whatever stdin and stdout are."""
    from polaris_cli.commands.app import app

    try:
        app(args=list(arguments), prog_name="polaris")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def in_process(
    arguments: Sequence[str], home: Path, monkeypatch: "pytest.MonkeyPatch"
) -> subprocess.CompletedProcess[str]:
    """As `run` with the real command, in this process: for what ends before a model is loaded."""
    from typer.testing import CliRunner

    from polaris_cli.commands.app import app

    with monkeypatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("POLARIS_")]:
            patch.delenv(name)
        for name, value in environment(home).items():
            patch.setenv(name, value)
        ended = CliRunner().invoke(app, [*arguments], prog_name="polaris")
    return subprocess.CompletedProcess([*arguments], ended.exit_code, ended.stdout, ended.stderr)


def main() -> None:
    from polaris_cli.__main__ import main as polaris
    from polaris_cli.engines import opening
    from polaris_cli.engines.base import ModelInfo
    from polaris_cli.engines.scripted import ScriptedEngine

    options = json.loads(sys.argv.pop(1))
    info = ModelInfo("demo", "built in", engine="scripted")
    engine = ScriptedEngine(*options.pop("scripts"), info=info, **options)
    setattr(opening, "open_engine", lambda *_, **__: engine)  # noqa: B010
    polaris()


if __name__ == "__main__":
    main()

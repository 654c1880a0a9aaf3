"""The command line: lists the commands and prints every error.

Each command has its own file, which turns options into a library call and an exit code. The file is
imported only when the command runs, so `polaris --help` starts fast.
"""

import importlib
import os
import shutil
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException
from typer.main import get_group

from polaris_cli.commands.quick import QuickGroup
from polaris_cli.errors import (
    EXIT_BROKEN_PIPE,
    EXIT_INTERRUPTED,
    PolarisError,
    debugging,
    unexpected,
)
from polaris_cli.version import __version__

LEAST_WIDTH = 52  # cells

# Each command's module and its line in the help (a test compares it with the command's docstring).
COMMANDS = {
    "write": ("write", "Write a story of the length you ask for, and report its length."),
    "resume": (
        "resume",
        "Continue a story that was interrupted, killed, cut off or is too short.",
    ),
    "rerun": ("resume", "Write a story from the library again, with the same settings and seed."),
    "batch": ("batch", "Write many stories, and go on where an earlier run stopped."),
    "library": ("library", "List, show, search, export and remove your stories."),
    "models": (
        "models",
        "List the known models: what they need, how good they are, which to choose.",
    ),
    "presets": ("presets", "List and show presets: prompt templates with sampling settings."),
    "doctor": (
        "doctor",
        "Check devices, memory, hub access, disk and packages, and suggest fixes.",
    ),
    "compare": (
        "compare",
        "Write the same premise with several models, one after the other, and compare the stories.",
    ),
    "eval": (
        "eval",
        "Evaluate stories: length, repetition and text figures, in tables like the model card's.",
    ),
    "bench": (
        "bench",
        "Measure how fast a model writes here, compared with transformers' `generate`.",
    ),
    "help": (
        "help",
        "Show help pages: batch, config, engines, eval, exit-codes, json, lengths, plan, preset.",
    ),
}


class _Polaris(QuickGroup):
    """All commands. Turns every error into a message and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return the command; None if there is no such command."""
        if cmd_name in COMMANDS and not self.commands.get(cmd_name):
            self.commands[cmd_name] = _load_command(cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # Typer searches `commands` for similar names.
        named: dict[str, Any] = dict.fromkeys(COMMANDS)
        self.commands = named | dict(self.commands)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands in the help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line and exit the process."""
        try:
            code = super().main(*args, **{**options, **_narrow(), "standalone_mode": False})
            # A full disk or a closed pipe may only show when the last buffer is written.
            sys.stdout.flush()
        except TyperException as error:
            code = _report_usage_error(error)
        except typer.Abort as error:
            code = _cancelled(error)
        except BrokenPipeError:
            code = EXIT_BROKEN_PIPE
        except PolarisError as error:
            code = _report_error(error)
        except OSError as error:
            code = _report_error(_unusable_file(error))
        except Exception as error:
            code = _report_error(unexpected(error))
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("polaris: interrupted.", file=sys.stderr)
            sys.exit(EXIT_INTERRUPTED)


def _narrow() -> dict[str, int]:
    """The width for help texts on a narrow terminal: typer writes lines of 50 cells at least."""
    columns = shutil.get_terminal_size().columns
    return {"terminal_width": columns} if columns < LEAST_WIDTH else {}


def _load_command(name: str) -> Any:
    """The command from its module: a function named like it, or an app with subcommands."""
    module = importlib.import_module(f"polaris_cli.commands.{COMMANDS[name][0]}")
    parent = typer.Typer(rich_markup_mode=None)
    if hasattr(module, "app"):
        parent.add_typer(module.app, name=name)
    else:
        epilog = getattr(module, "EPILOG", None)
        parent.command(name, epilog=epilog)(getattr(module, name))
    command = get_group(parent).commands[name]
    _prepare(command)
    return command


def _prepare(command: Any) -> None:
    """Let the hints of a command's errors, and of its subcommands', name only its own options, and
    let it name itself in errors and read paths."""
    from polaris_cli.commands.option_names import own_options
    from polaris_cli.commands.parsing import name_in_errors, read_paths

    name_in_errors(command)
    read_paths(command)
    options = [name for one in command.params for name in (*one.opts, *one.secondary_opts)]
    if command.callback:
        command.callback = own_options(options)(command.callback)
    for each in getattr(command, "commands", {}).values():
        _prepare(each)


def _cancelled(abort: typer.Abort) -> int:
    """The exit code after a no to a question, or without an answer, which leaves its line open."""
    missing = abort.__context__  # Ctrl-C or the end of the input
    interrupted = isinstance(missing, KeyboardInterrupt)
    what = "interrupted" if interrupted else "cancelled"
    print(f"{chr(10) if missing else ''}polaris: {what}.", file=sys.stderr)
    return EXIT_INTERRUPTED if interrupted else 1


def _report_usage_error(error: TyperException) -> int:
    """Print a usage error, or the help if no command was given; returns the exit code."""
    from polaris_cli.commands.usage_errors import explain

    ctx = getattr(error, "ctx", None)
    if ctx and error.format_message() == ctx.get_help():
        print(ctx.get_help(), file=sys.stderr)
        return error.exit_code
    return _report_error(explain(error))


def _unusable_file(error: OSError) -> PolarisError:
    """The error for a file or folder that the system does not let us use."""
    if not error.filename or not error.strerror:
        return unexpected(error)
    found = PolarisError(
        f"Cannot use {os.fsdecode(error.filename)}: {error.strerror}.",
        hint="Check its permissions, or use another file or folder.",
    )
    found.__cause__ = error
    return found


def _report_error(error: PolarisError) -> int:
    from polaris_cli.screen.messages import print_error

    if debugging():
        traceback.print_exception(error)
    print_error(error, sys.stderr)
    return error.exit_code


def _version(asked: bool) -> None:
    if asked:
        print(f"polaris {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="polaris",
    cls=_Polaris,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def polaris(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Write long stories of the length you ask for, with a language model on your own machine.

    Try it without a download:  polaris write "a lighthouse keeper" --words 300 --model demo
    """

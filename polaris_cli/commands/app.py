"""The command line: names the commands, and words whatever goes wrong, once.

Each command has a file of its own, which turns options into a library call and an exit code. It is
imported when its command is called: `polaris --help` needs none of them.
"""

import importlib
import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException
from typer.main import get_group

from polaris_cli.commands.quick import QuickGroup
from polaris_cli.errors import DEBUG_HINT, EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, PolarisError
from polaris_cli.version import __version__

# Each command's module, and its line in the help (a test compares it with the command's own).
COMMANDS = {
    "write": ("write", "Write a story of the length asked for and say how long it became."),
    "resume": (
        "resume",
        "Go on with a story that was interrupted, killed, cut off or became too short.",
    ),
    "rerun": ("resume", "Write a story of the library again, from its recorded settings and seed."),
    "library": ("library", "List, show, search, export and remove the stories written."),
    "models": (
        "models",
        "The known models: what they need, how good they are, which to choose.",
    ),
    "presets": ("presets", "Prompt wordings and sampling settings, ready made or your own."),
    "doctor": (
        "doctor",
        "Look at devices, memory, hub access, disk and packages; name each problem with its fix.",
    ),
    "bench": (
        "bench",
        "Measure how fast a model writes here, beside transformers' own `generate`.",
    ),
    "help": ("help", "Look up plan files, presets, settings, records, lengths and exit codes."),
}


class _Polaris(QuickGroup):
    """The group of all commands: every error leaves it as a sentence and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, imported now; None if there is none."""
        if cmd_name in COMMANDS and not self.commands.get(cmd_name):
            self.commands[cmd_name] = _imported(cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # Typer looks here for the name that was probably meant.
        named: dict[str, Any] = dict.fromkeys(COMMANDS)
        self.commands = named | dict(self.commands)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in the help, which imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command that the arguments name; ends the process."""
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except TyperException as error:
            code = _mistaken(error)
        except typer.Abort:
            print("polaris: stopped, nothing was done.", file=sys.stderr)
            code = 1
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            # A closed pipe may show itself only when the last buffer is written.
            sys.stdout.flush()
            return result
        except BrokenPipeError:
            _sink_stdout()
            sys.exit(EXIT_BROKEN_PIPE)
        except KeyboardInterrupt:
            print("polaris: interrupted before the story began.", file=sys.stderr)
            sys.exit(EXIT_INTERRUPTED)
        except PolarisError as error:
            sys.exit(_told(error))
        except (TyperException, typer.Exit, typer.Abort):
            raise
        except Exception as error:
            unexpected = PolarisError(f"Something unexpected happened: {error!r}.", hint=DEBUG_HINT)
            unexpected.__cause__ = error
            sys.exit(_told(unexpected))


def _imported(name: str) -> Any:
    """The command as its module defines it: a function of its name, or an app of several."""
    module = importlib.import_module(f"polaris_cli.commands.{COMMANDS[name][0]}")
    parent = typer.Typer(rich_markup_mode=None)
    if hasattr(module, "app"):
        parent.add_typer(module.app, name=name)
    else:
        epilog = getattr(module, "EPILOG", None)
        parent.command(name, epilog=epilog)(getattr(module, name))
    return get_group(parent).commands[name]


def _mistaken(error: TyperException) -> int:
    """Word a command line that cannot be read; one that says nothing at all gets the help."""
    from polaris_cli.commands.mistakes import explain

    ctx = getattr(error, "ctx", None)
    if ctx and error.format_message() == ctx.get_help():
        print(ctx.get_help(), file=sys.stderr)
        return error.exit_code
    return _told(explain(error))


def _told(error: PolarisError) -> int:
    from polaris_cli.screen.messages import print_error

    if os.environ.get("POLARIS_DEBUG"):
        traceback.print_exception(error)
    print_error(error, sys.stderr)
    return error.exit_code


def _sink_stdout() -> None:
    """Python would flush stdout once more at exit and complain: give it a place to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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

"""The command line: registers the commands, and words whatever goes wrong, once.

Each command has a file of its own, which turns options into a library call and an exit code.
"""

import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from polaris_cli import __version__
from polaris_cli.commands.bench import app as bench_app
from polaris_cli.commands.doctor import doctor as doctor_command
from polaris_cli.commands.library import app as library_app
from polaris_cli.commands.models import app as models_app
from polaris_cli.commands.presets import app as presets_app
from polaris_cli.commands.resume import rerun
from polaris_cli.commands.resume import resume as resume_command
from polaris_cli.commands.write import EPILOG
from polaris_cli.commands.write import write as write_command
from polaris_cli.errors import DEBUG_HINT, PolarisError
from polaris_cli.interrupt import EXIT_INTERRUPTED

EXIT_BROKEN_PIPE = 141  # what a shell reports for a process that SIGPIPE ended


class _Polaris(TyperGroup):
    """The group of all commands: every error leaves it as a sentence and an exit code."""

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


def _told(error: PolarisError) -> int:
    from polaris_cli.terminal import print_error

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


app.command("write", epilog=EPILOG)(write_command)
app.command("resume")(resume_command)
app.command("rerun")(rerun)
app.add_typer(library_app, name="library")
app.add_typer(models_app, name="models")
app.add_typer(presets_app, name="presets")
app.command("doctor")(doctor_command)
app.add_typer(bench_app, name="bench")

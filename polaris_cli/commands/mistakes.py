"""Mistyped commands, options and values, in the same two lines as every other error: `explain`.

Knows what typer raises for a command line that it cannot read; not what the commands do.
"""

import difflib
from typing import Any

from typer.exceptions import TyperException

from polaris_cli.errors import PolarisError, UsageError
from polaris_cli.request.story_request import FORMS, LENGTHS, QUANTIZE

# What is often typed as an option of its own, and is a value of another.
VALUES = {
    **dict.fromkeys(LENGTHS, "--length"),
    **dict.fromkeys(FORMS, "--form"),
    **dict.fromkeys(QUANTIZE, "--quantize"),
}
CLOSE = 0.75  # share of letters in order that makes another word a likely typing error


def explain(error: TyperException) -> PolarisError:
    """The error that says what is wrong with the command line, and what to type next."""
    ctx: Any = getattr(error, "ctx", None)
    help_ = f"See: {ctx.command_path if ctx else 'polaris'} --help"
    option = getattr(error, "option_name", None)
    if option and hasattr(error, "possibilities"):
        meant = _meant(option, ctx)
        return UsageError(f"There is no option {option}.", hint=f"{meant}{help_}")
    message, _, guess = error.format_message().partition(" Did you mean ")
    if "extra argument" in message and "premise" in _arguments(ctx):
        return UsageError(
            f"{message.rstrip('.')}: the premise is one argument.",
            hint='Put it in quotes: polaris write "a lighthouse keeper who finds a letter"',
        )
    guess = f"Did you mean {guess.replace(chr(39), '')} " if guess else ""
    return UsageError(f"{message.rstrip('.')}.", hint=f"{guess}{help_}")


def _arguments(ctx: Any) -> list[str]:
    return [param.name for param in ctx.command.params] if ctx else []


def _meant(option: str, ctx: Any) -> str:
    """ "Did you mean …? " for the option that was probably meant, "" where none is near."""
    name = option.lstrip("-")
    known = [spelling for param in ctx.command.params for spelling in param.opts] if ctx else []
    if VALUES.get(name) in known:
        return f"Did you mean {VALUES[name]} {name}? "
    near = difflib.get_close_matches(f"--{name}", known, n=1, cutoff=CLOSE)
    return f"Did you mean {near[0]}? " if near else ""

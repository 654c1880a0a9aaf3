"""`explain`: turns typer's errors about the command line into a UsageError with a hint.

Knows what typer raises for mistyped commands, options and values, not what the commands do.
"""

import re
from shlex import quote
from textwrap import shorten
from typing import Any

from typer.exceptions import TyperException

from polaris_cli.commands.parsing import given_to
from polaris_cli.errors import PolarisError, UsageError, did_you_mean
from polaris_cli.request.story_request import FORMS, LENGTHS, QUANTIZE

# Values that users mistake for options, and the options that take them.
OPTION_OF = {
    **dict.fromkeys(LENGTHS, "--length"),
    **dict.fromkeys(FORMS, "--form"),
    **dict.fromkeys(QUANTIZE, "--quantize"),
}
LISTS = {"library", "models", "presets"}  # commands that list, without a subcommand
SHOWN = 80  # characters of a premise
CUTOFF = 0.75  # difflib similarity above which another option is suggested


def explain(error: TyperException) -> PolarisError:
    """A UsageError that says what is wrong, and hints at what to type next."""
    ctx: Any = getattr(error, "ctx", None)
    help_ = f"See: {ctx.command_path if ctx else 'polaris'} --help"
    option = getattr(error, "option_name", None)
    if option and hasattr(error, "possibilities"):
        if premise := _mistaken_for(option, ctx):
            help_ = f"Put -- before a premise that begins with -: {ctx.command_path} -- {premise}"
        return UsageError(
            f"There is no option {option}.", hint=f"{_suggestion(option, ctx)}{help_}"
        )
    message, _, guess = error.format_message().partition(" Did you mean ")
    if "extra argument" in message and "premise" in _arguments(ctx):
        return UsageError(
            f"{message.rstrip('.')}: the premise must be one argument.",
            hint=f'Put it in quotes: {ctx.command_path} "a lighthouse keeper who finds a letter"',
        )
    guess = f"Did you mean {guess.replace(chr(39), '')} " if guess else ""
    if ctx and ctx.command.name in LISTS and "command 'list'" in message:
        guess = f"To list them: {ctx.command_path}. "
    if page := _page_in(message, ctx):
        guess, help_ = "", f"There is a help page: polaris help {page}"
    return UsageError(f"{message.rstrip('.')}.", hint=f"{guess}{help_}")


def _page_in(message: str, ctx: Any) -> str:
    """The help page whose name was typed as a command of polaris, "" if it is none."""
    from polaris_cli.commands.help import pages  # few commands fail

    found = re.fullmatch(r"No such command '(.+)'\.", message)
    return found[1] if found and ctx and not ctx.parent and found[1] in pages() else ""


def _mistaken_for(option: str, ctx: Any) -> str:
    """The premise, in quotes, that was read as an option as it begins with a dash; "" if none."""
    if "premise" not in _arguments(ctx):
        return ""
    given = (each for each in given_to(ctx) if each.startswith(option) and " " in each)
    found = shorten(next(given, ""), SHOWN, placeholder=" ...")
    if set('"$`\\!').isdisjoint(found):
        return f'"{found}"' if found else ""
    return quote(found)


def _arguments(ctx: Any) -> list[str]:
    return [param.name for param in ctx.command.params] if ctx else []


def _suggestion(option: str, ctx: Any) -> str:
    """ "Did you mean …? " with the most similar option, "" if none is similar."""
    name = option.lstrip("-")
    known = [spelling for param in ctx.command.params for spelling in param.opts] if ctx else []
    if OPTION_OF.get(name) in known:
        return f"Did you mean {OPTION_OF[name]} {name}? "
    return did_you_mean(f"--{name}", known, CUTOFF)

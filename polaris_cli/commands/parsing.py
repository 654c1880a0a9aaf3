"""How a command reads its options and arguments, beyond what typer does: `name_in_errors`,
`read_paths`.

Knows typer's commands and parameters, not what the commands do.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from typer.exceptions import TyperException

from polaris_cli.errors import UsageError
from polaris_cli.request.paths import expanded

_GIVEN = "polaris.given"  # in the context: the parser takes arguments out of its list
_FOLDER = re.compile(r"DIR")
_PLACE = re.compile(r"FILE|DIR|STORIES|PREMISES")


def name_in_errors(command: Any) -> None:
    """Let the errors on a command's options name the command: typer forgets some."""
    command.parse_args = partial(_parsed, command)


def given_to(ctx: Any) -> list[str]:
    """The arguments that the command of a context was called with."""
    return [*ctx.meta.get(_GIVEN, ())]


def _parsed(command: Any, ctx: Any, args: list[str]) -> Any:
    ctx.meta[_GIVEN] = tuple(args)
    try:
        return type(command).parse_args(command, ctx, args)
    except TyperException as error:
        if getattr(error, "ctx", None) is None:
            error.ctx = ctx  # type: ignore[attr-defined]
        raise


def read_paths(command: Any) -> None:
    """Let a command put the home folder in place of ~ in files and folders, as a shell does not
    after "--output=", and raise UsageError for empty ones.

    An empty name mostly comes from a variable of a shell that is not set, and would count as the
    current folder.
    """
    for param in command.params:
        if _PLACE.search(_shown(param)):
            param.consume_value = partial(_consumed, param)


def _shown(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _consumed(param: Any, ctx: Any, opts: Mapping[str, Any]) -> tuple[Any, Any]:
    """What was given for a parameter, and where it came from."""
    value, source = type(param).consume_value(param, ctx, opts)
    several = isinstance(value, list | tuple)
    given = value if several else [value]
    if any(isinstance(each, str) and not each.strip() for each in given):
        name = param.opts[0] if param.param_type_name == "option" else _shown(param)
        what = "folder" if _FOLDER.search(_shown(param)) else "file"
        leave_out = "" if param.required else f", or leave out {name}"
        raise UsageError(f"{name} is empty.", hint=f"Name a {what}{leave_out}.")
    found = [_in_home(each) for each in given]
    return (found if several else found[0]), source


def _in_home(value: Any) -> Any:
    return str(expanded(value)) if isinstance(value, str) and value.startswith("~") else value

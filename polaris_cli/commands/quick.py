"""`QuickGroup`, a command group that does not validate default values, and `runs_alone`.

Knows typer's parameters, not what the commands do.
"""

from functools import partial
from typing import Any

from typer import Context
from typer.core import TyperGroup

from polaris_cli.errors import UsageError


class QuickGroup(TyperGroup):
    """Validates only the options that the user gave.

    Typer validates default values too and imports pydantic to do so. That makes a short command
    take 50% longer.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        params = super().get_params(ctx)
        for param in params:
            param.process_value = partial(_processed, param)  # type: ignore[method-assign]
        return params


def _processed(param: Any, ctx: Any, value: Any) -> Any:
    if value is not param.default or param.required or param.multiple or param.nargs != 1:
        return type(param).process_value(param, ctx, value)
    return param.callback(ctx, param, value) if param.callback else value


def runs_alone(ctx: Context) -> bool:
    """Whether a group was called without a subcommand.

    Raises UsageError for an option of the group before a subcommand, where it has no effect.
    """
    if ctx.invoked_subcommand is None:
        return True
    for param in ctx.command.params:
        source = ctx.get_parameter_source(param.name or "")
        if source and source.name == "COMMANDLINE":
            raise UsageError(
                f"{param.opts[0]} has no effect before {ctx.invoked_subcommand}.",
                hint=f"See: {ctx.command_path} {ctx.invoked_subcommand} --help",
            )
    return False

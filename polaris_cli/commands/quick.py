"""A group of commands that takes defaults as they are: `QuickGroup`.

Knows typer's parameters; nothing of what the commands do.
"""

from functools import partial
from typing import Any

from typer.core import TyperGroup


class QuickGroup(TyperGroup):
    """Checks only the options that were given.

    Typer would check its own defaults too, and imports pydantic for that: a command that prints a
    list would take half as long again.
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

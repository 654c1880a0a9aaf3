"""Hints that name the options of the command at hand: `option_names`.

What lies below the commands names the options of `polaris write`. Knows texts, not what an option
does.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from polaris_cli.errors import PolarisError

WITHOUT_TIMEOUTS = {"--stall-timeout SECONDS": "POLARIS_STALL_TIMEOUT=SECONDS"}
"""For commands without that option."""


@contextmanager
def option_names(names: Mapping[str, str]) -> Iterator[None]:
    """Replace the usual names of options by those of a command, in the hint of an error in the
    block, or in the function that this decorates.

    A hint with a command of its own ("polaris doctor --base-url URL") keeps the names in it.
    """
    try:
        yield
    except PolarisError as error:
        here, command, rest = error.hint.partition("polaris ")
        for usual, name in names.items():
            here = re.sub(rf"{usual}\b", name, here)
        error.hint = f"{here}{command}{rest}"
        raise

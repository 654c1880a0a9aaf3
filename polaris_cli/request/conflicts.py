"""Settings that contradict or need each other: `check_options`, `check_needed`, `check_values`.

Knows names of options and settings; not what they do. `settings` and `story_request` check the
values themselves.
"""

from collections.abc import Mapping
from typing import Any

from polaris_cli.errors import UsageError


def check_options(
    options: Mapping[str, Any],
    *,
    plan: bool = False,
    plan_only: bool = False,
    draft: str | None = None,
    premise: str | None = None,
) -> None:
    """Raise UsageError for options that contradict each other.

    `options` holds the settings by name, None if not given. `draft` is the value of --continue.
    """
    length, chapters = options.get("length"), options.get("chapters")
    for_chapters = {"--plan": plan, "--plan-only": plan_only, "--chapters": chapters}
    given = [name for name, value in for_chapters.items() if value]
    if given and length in ("single", "extend"):
        raise conflict(given[0], f"--length {length}")
    if plan and (plan_only or chapters not in (None, "auto")):
        raise conflict("--plan", "--plan-only" if plan_only else "--chapters")
    if draft:
        against = [*given, *(["--length chapters"] if length == "chapters" else [])]
        against += ["--think"] if options.get("think") else []
        if against:
            raise conflict("--continue", against[0])
    if draft == premise == "-":
        raise UsageError(
            "--continue and the premise cannot both read standard input.",
            hint="Give the draft as a file: --continue draft.txt",
        )


def check_needed(needed: str, example: str, options: Mapping[str, object]) -> None:
    """Raise UsageError for the first option that is given but has no effect without `needed`.

    `options` are the values by the names of the options, None if not given; `example` is what the
    hint adds.
    """
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"{name} needs {needed}.", hint=f"Add {example}")


def check_values(values: Mapping[str, Any], where: str) -> None:
    """Raise UsageError for settings of one file, or of the environment, that contradict."""
    if "chapters" in values and values.get("length") in ("single", "extend"):
        raise UsageError(
            f"{where}: length {values['length']} and chapters contradict each other.",
            hint="Leave out one of them.",
        )


def conflict(one: str, other: str) -> UsageError:
    """The error for two options that cannot be given together; the hint is to leave out `other`."""
    return UsageError(f"{one} and {other} contradict each other.", hint=f"Leave out {other}.")

"""Errors, warnings and notes, on terminals and in pipes."""

from io import StringIO

from polaris_cli.errors import UsageError
from polaris_cli.screen.messages import note, print_error, warn
from tests.screens import Tty


def test_an_error_and_its_hint_are_one_line_each(tty: Tty) -> None:
    err = StringIO()
    print_error(UsageError("Words is\n[red]0[/red]\x1b[2J.", hint="Type: polaris write"), err)
    expected = ["polaris: error: Words is [red]0[/red]␛[2J.", "polaris: hint: Type: polaris write"]
    assert err.getvalue().splitlines() == expected
    print_error(UsageError("Words is [red]0[/red]\x1b[2J.", hint="Type: polaris write"), tty.stream)
    assert tty.lines() == expected
    err = StringIO()
    print_error(UsageError("No hint."), err)
    warn("Careful.", err)
    note("By the way.", err)
    assert err.getvalue().splitlines() == [
        "polaris: error: No hint.",
        "polaris: warning: Careful.",
        "polaris: note: By the way.",
    ]

"""Errors, warnings, notes and tables, on terminals and in pipes."""

from io import StringIO

from polaris_cli.errors import UsageError
from polaris_cli.screen.messages import note, print_error, print_table, warn
from tests.screens import Tty


def test_an_error_is_one_line_and_its_hint_another(tty: Tty) -> None:
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


def test_a_table_is_aligned_on_a_terminal_and_has_tabs_in_a_pipe(tty: Tty) -> None:
    rows = [("demo", "4", "a\ttoy [b]"), ("polaris", "19.3 GB", "real")]
    out = StringIO()
    print_table(("name", "size", "what"), rows, out)
    assert out.getvalue() == "name\tsize\twhat\ndemo\t4\ta toy [b]\npolaris\t19.3 GB\treal\n"
    print_table(("name", "size", "what"), rows, tty.stream)
    assert tty.lines() == [
        "name        size  what",
        "demo           4  a toy [b]",
        "polaris  19.3 GB  real",
    ]

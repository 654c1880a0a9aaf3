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


def test_a_long_value_is_shortened_but_no_path_and_no_hint() -> None:
    err = StringIO()
    path = "/".join(["a-folder"] * 30)
    print_error(UsageError(f"There is no preset '{'x' * 5000}' in {path}.", hint="y" * 300), err)
    said, hint = err.getvalue().splitlines()
    assert len(said) < 600 and path in said and "x…x" in said
    assert hint.endswith("y" * 300)
    print_error(UsageError("word " * 1000), err)
    assert len(err.getvalue().splitlines()[-1]) < 1100


def test_a_terminal_gets_lines_wrapped_between_words_and_commands_in_one_piece(tty: Tty) -> None:
    tty.resize(30)
    note("Not all that was asked for is there: polaris write 'a fox' --words 800", tty.stream)
    path = "/" + "a" * 39
    warn(f"There is no file {path} to read.", tty.stream)
    print_error(UsageError("polaris is not a tool for this."), tty.stream)
    assert tty.lines() == [
        "polaris: note: Not all that",
        "was asked for is there:",
        "  polaris write 'a fox' --word",
        "s 800",
        "polaris: warning: There is no",
        "file",
        path[:30],
        path[30:],
        "to read.",
        "polaris: error: polaris is not",
        "a tool for this.",
    ]

"""Tables on terminals of every width, and in pipes."""

import re
from collections.abc import Sequence
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.screen.tables import print_table
from tests.screens import Tty

HEADERS = ("id", "size", "what")
ROWS = [("demo", "4", "a\ttoy [b]"), ("polaris-9b", "19.3 GB", "real " * 12)]
TEXTS = st.text(st.sampled_from("ab -字é[]"), max_size=30)


def drawn(
    tty: Tty,
    columns: int,
    headers: Sequence[str] = HEADERS,
    rows: Sequence[Sequence[str]] = ROWS,
) -> list[str]:
    tty.resize(columns)
    before = len(tty.lines())
    print_table(headers, rows, tty.stream)
    return tty.lines()[before - 1 :]


def test_a_pipe_gets_one_line_for_each_row() -> None:
    out = StringIO()
    print_table(HEADERS, ROWS, out)
    long = ("real " * 12).strip()
    assert out.getvalue() == f"id\tsize\twhat\ndemo\t4\ta toy [b]\npolaris-9b\t19.3 GB\t{long}\n"


def test_columns_are_aligned_with_numbers_on_the_right(tty: Tty) -> None:
    assert drawn(tty, 80) == [
        "id             size  what",
        "demo              4  a toy [b]",
        "polaris-9b  19.3 GB  real real real real real real real real real real real real",
    ]


def test_only_text_is_wrapped(tty: Tty) -> None:
    header, _, *real = drawn(tty, 40)
    assert header == "id             size  what"
    assert real[0] == "polaris-9b  19.3 GB  real real real real"
    assert [line.strip() for line in real[1:]] == ["real real real real"] * 2


def test_a_header_above_numbers_is_wrapped(tty: Tty) -> None:
    assert drawn(tty, 80, ("way", "first token"), [("chapters", "0.25 s")]) == [
        "           first",
        "way        token",
        "chapters  0.25 s",
    ]


def test_a_terminal_too_narrow_for_the_columns_gets_a_line_for_each_cell(tty: Tty) -> None:
    assert drawn(tty, 28)[:6] == [
        "id    demo",
        "size  4",
        "what  a toy [b]",
        "",
        "id    polaris-9b",
        "size  19.3 GB",
    ]


def test_two_columns_stay_side_by_side(tty: Tty) -> None:
    lines = drawn(tty, 20, ("disk", "what"), [("models are in", "/a/long/path")])
    assert [line.split("  ")[0] for line in lines] == ["disk", "models are in", "", ""]
    assert "".join(line[15:] for line in lines[1:]) == "/a/long/path"


def test_a_table_without_rows_is_not_drawn(tty: Tty) -> None:
    assert drawn(tty, 80, HEADERS, []) == [""]


def test_characters_the_stream_cannot_encode_become_question_marks(
    tty: Tty, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = BytesIO()
    out = TextIOWrapper(held, encoding="ascii")
    monkeypatch.setattr(out, "isatty", lambda: True)
    print_table(("id", "title"), [("1", "fé")], out)
    assert b"f?" in held.getvalue()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_is_no_colour(
    name: str, value: str, tty: Tty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    print_table(HEADERS, ROWS, tty.stream)
    escapes = set(re.findall(r"\x1b\[[\d;]*m", tty.raw()))
    assert escapes <= ({"\x1b[1m", "\x1b[0m"} if name == "NO_COLOR" else set())


@pytest.mark.slow
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=4), st.sampled_from([40, 60, 80, 160]))
def test_nothing_is_lost_at_any_width(rows: list[tuple[str, str, str]], columns: int) -> None:
    tty = Tty(columns)
    try:
        print_table(HEADERS, rows, tty.stream)
        shown, wanted = "".join(tty.lines()), "".join(cell for row in rows for cell in row)
        assert "…" not in shown
        for character in set("ab字é[]"):
            assert shown.count(character) >= wanted.count(character)
    finally:
        tty.close()


@pytest.mark.parametrize(
    ("columns", "header"),
    [
        (80, "id  when  title  words  state"),
        (32, "id  title  words  state"),
        (25, "id  title  state"),
    ],
)
def test_columns_are_left_out_in_the_given_order(columns: int, header: str) -> None:
    tty = Tty(columns)
    try:
        headers = ("id", "when", "title", "words", "state")
        row = ("abcd1234", "2026-11-29 07:00", "The Fog", "300", "ended")
        print_table(headers, [row], tty.stream, drop=("when", "words"))
        first, second = tty.lines()[:2]
        assert first.split() == header.split()
        assert "abcd1234" in second and "ended" in second
    finally:
        tty.close()

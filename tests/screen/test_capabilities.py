"""What a stream supports."""

from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.screen.capabilities import encodable, harmless, is_terminal, terminal_size
from tests.screens import Recorder


@given(st.text(st.characters(max_codepoint=0x2FF)))
def test_no_control_character_is_left(text: str) -> None:
    left = [char for char in harmless(text) if ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0]
    assert set(left) <= {"\n"}


def test_harmless_text_shows_what_was_there() -> None:
    assert harmless("a\x1b[2J\tb\r\nc\x07\x7f\x9b") == "a␛[2J    b\nc␇␡\ufffd"


def test_unencodable_characters_become_question_marks() -> None:
    class Latin(Recorder):
        encoding = "latin-1"

    assert encodable("é — \ud83d", Latin()) == "é ? ?"
    assert encodable("é — 雾", Recorder()) == "é — 雾"


def test_a_pipe_is_not_a_terminal_but_has_a_size() -> None:
    assert not is_terminal(Recorder())
    assert terminal_size(Recorder()) == (80, 24)

"""Half a character is found in the same way wherever a text comes from."""

import pytest

from polaris_cli.errors import UsageError
from polaris_cli.request.text_files import check_whole


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^The premise is not UTF-8 text\.$") as refused:
        check_whole("caf\udce9", "The premise")
    assert "iconv -f WINDOWS-1252 " in refused.value.hint
    with pytest.raises(UsageError) as refused:
        check_whole("caf\udce9", "The premise", hint="Type it again.")
    assert refused.value.hint == "Type it again."


@pytest.mark.parametrize(("text", "half"), [("a \ud83d", r"\\ud83d"), ("\udfff", r"\\udfff")])
def test_half_a_character_is_refused(text: str, half: str) -> None:
    with pytest.raises(UsageError, match=f"has half of a character: '{half}'") as refused:
        check_whole(text, "The premise")
    assert refused.value.hint == "Write both halves, or neither."


@pytest.mark.parametrize("text", ["", "a fox", "caf\xe9 \U0001f98a", "\0"])
def test_whole_characters_are_taken(text: str) -> None:
    check_whole(text, "The premise")

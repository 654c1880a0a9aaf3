"""Half a character is found in the same way wherever a text comes from."""

import pytest

from polaris_cli.errors import UsageError
from polaris_cli.request.text_files import check_whole


@pytest.mark.parametrize("text", ["a \ud83d", "\udfff", "caf\udce9"])
def test_half_a_character_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^The premise is not UTF-8 text\.$") as refused:
        check_whole(text, "The premise")
    assert "iconv -f WINDOWS-1252 " in refused.value.hint
    with pytest.raises(UsageError) as refused:
        check_whole(text, "The premise", hint="Type it again.")
    assert refused.value.hint == "Type it again."


@pytest.mark.parametrize("text", ["", "a fox", "caf\xe9 \U0001f98a", "\0"])
def test_whole_characters_are_taken(text: str) -> None:
    check_whole(text, "The premise")

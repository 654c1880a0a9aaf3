"""Control tokens are told from words and spaces that are tokens of their own."""

import pytest
from tokenizers import AddedToken

from polaris_cli.engines.local.control_tokens import control_tokens
from tests.tiny import byte_tokenizer


@pytest.mark.parametrize(
    ("text", "special", "expected"),
    [
        ("<|video_pad|>", False, True),
        ("</tool_response>", False, True),
        ("<\uff5cUser\uff5c>", False, True),
        ("[INST]", False, True),
        ("[|user|]", False, True),
        ("start", True, True),
        ("start", False, False),
        ("\n\n", False, False),
        ("<<", False, False),
    ],
)
def test_control_tokens_are_special_or_look_like_tags(
    text: str, special: bool, expected: bool
) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([AddedToken(text, special=special)])
    found = control_tokens(tokenizer)
    assert (text in found) == expected and {"<think>", "</think>", "<|im_end|>"} <= found.keys()
    assert found.items() <= tokenizer.get_vocab().items()

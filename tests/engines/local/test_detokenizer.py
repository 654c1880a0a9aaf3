"""Text from tokens: whole characters, nothing lost, equal to the tokenizer's own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from polaris_cli.engines.local.detokenizer import TextDecoder
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.events import Piece
from tests.tiny import byte_tokenizer

BYTES = byte_tokenizer(special_tags=True)
TEXT = "Élodie met 日本の灯台 🎉👩‍🚀 in the fog…\n</think>\n\n“Oh�!”"


class Plain:
    """The same tokenizer, as one without a Rust backend offers it."""

    added_tokens_decoder = BYTES.added_tokens_decoder
    convert_tokens_to_ids = BYTES.convert_tokens_to_ids
    convert_ids_to_tokens = BYTES.convert_ids_to_tokens
    encode = BYTES.encode

    def decode(self, ids: list[int], **options: Any) -> str:
        text: str = BYTES.decode(ids, **options)
        return text


def sentencepiece_like() -> Any:
    """Words with a space mark, bytes for everything else, a leading space dropped (as Llama 2)."""
    vocab = {"<unk>": 0, **{f"<0x{byte:02X}>": byte + 1 for byte in range(256)}}
    for word in ("▁", "▁the", "▁fog", "a", "."):
        vocab[word] = len(vocab)
    bpe = models.BPE(vocab=vocab, merges=[], unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(bpe)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def pieces(tokenizer: Any, ids: list[int]) -> list[Piece]:
    decoder = TextDecoder(Vocabulary(tokenizer))
    found = [decoder.add(token) for token in ids] + [decoder.flush()]
    assert decoder.count == len(ids)
    return [piece for piece in found if piece]


def whole(tokenizer: Any, ids: list[int]) -> str:
    kept = [id_ for id_ in ids if id_ not in Vocabulary(tokenizer).control_ids]
    text: str = tokenizer.decode(
        kept, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    return text


@pytest.mark.parametrize("tokenizer", [BYTES, Plain()], ids=["backend", "plain"])
@given(ids=st.lists(st.integers(0, 259), max_size=40))
def test_any_tokens_give_the_tokenizers_text(tokenizer: Any, ids: list[int]) -> None:
    found = pieces(tokenizer, ids)
    assert "".join(piece.text for piece in found).rstrip("�") == whole(BYTES, ids).rstrip("�")
    assert [token for piece in found for token in piece.ids] == ids
    assert all(piece.tokens == len(piece.ids) > 0 for piece in found)


@pytest.mark.parametrize("tokenizer", [BYTES, Plain()], ids=["backend", "plain"])
def test_no_piece_breaks_a_character(tokenizer: Any) -> None:
    ids = BYTES.encode(TEXT, add_special_tokens=False)
    found = [piece.text for piece in pieces(tokenizer, ids)]
    assert "".join(found) == TEXT
    assert [text for text in found if "�" in text] == ["�!"]
    assert "</think>" in found  # special here, yet in the text
    assert "🎉" in found


def test_spaces_before_signs_stay() -> None:
    """Tokenizers that tidy them up are asked not to."""
    tidying = byte_tokenizer(special_tags=True)
    tidying.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output = True
    ids = tidying.encode("She did n't come . Why ? 🎉", add_special_tokens=False)[:-1]
    found = "".join(piece.text for piece in pieces(tidying, ids))
    assert found == "She did n't come . Why ? "


def test_half_a_character_at_the_end_has_no_text() -> None:
    ids = BYTES.encode("fog 🎉", add_special_tokens=False)[:-1]
    found = pieces(BYTES, ids)
    assert [piece.text for piece in found] == ["f", "o", "g", " ", ""]
    assert found[-1].tokens == 3


def test_spaces_survive_tokenizers_that_drop_a_leading_one() -> None:
    tokenizer = sentencepiece_like()
    ids = tokenizer.convert_tokens_to_ids(["▁the", "▁fog", ".", "▁the", "<0xC3>", "<0xA9>", "a"])
    assert "".join(piece.text for piece in pieces(tokenizer, ids)) == "the fog. theéa"


def with_added(*texts: str, special: bool) -> Any:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([AddedToken(text, special=special) for text in texts])
    return tokenizer


@pytest.mark.parametrize("special", [True, False])
def test_control_tokens_are_no_text_and_are_counted(special: bool) -> None:
    names = ["<|video_pad|>", "</tool_response>", "<tts_pad>", "[/INST]", "<|box_end|>"]
    tokenizer = with_added(*names, special=special)
    ids = tokenizer.encode("A fox" + "".join(names) + " ran<|video_pad|>.")
    assert len(set(ids) & Vocabulary(tokenizer).control_ids) == len(names)
    found = pieces(tokenizer, ids)
    assert "".join(piece.text for piece in found) == "A fox ran."
    assert [token for piece in found for token in piece.ids] == ids


def test_added_words_and_think_tags_are_text() -> None:
    tokenizer = with_added("Polaris", "    ", "<3", "a<b>c", special=False)
    text = "<think>x</think>Polaris    <3 a<b>c"
    ids = tokenizer.encode(text)
    assert "".join(piece.text for piece in pieces(tokenizer, ids)) == text
    assert Vocabulary(byte_tokenizer(special_tags=True)).control_ids.isdisjoint(
        byte_tokenizer(special_tags=True).encode("<think></think>")
    )


def test_the_text_goes_on_behind_an_opening() -> None:
    tokenizer = sentencepiece_like()
    opening, token = tokenizer.convert_tokens_to_ids(["▁the", "▁fog"])
    decoder = TextDecoder(Vocabulary(tokenizer), [opening])
    piece = decoder.add(token)
    assert piece == Piece(" fog", tokens=1, ids=(token,)) and decoder.count == 1


@given(ids=st.lists(st.integers(0, 261), max_size=30))
def test_broken_bytes_never_stop_the_text(ids: list[int]) -> None:
    found = pieces(sentencepiece_like(), ids)
    assert [token for piece in found for token in piece.ids] == ids

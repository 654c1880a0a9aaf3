"""Prompts and texts with a server's tokenizer: the user's text never becomes a control token."""

from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from polaris_cli.engines.endpoint.prompts import (
    BLOCK,
    CUT,
    cut,
    opens_thinking,
    pieces_of,
    prompt_ids,
    text_ids,
)
from polaris_cli.engines.system_role import Chat
from polaris_cli.request.prompts import Message
from tests.servers import byte_tokens

END = byte_tokens.encode("<|im_end|>")[0]
CLOSE = byte_tokens.encode("</think>")[0]


class Tokenizer:
    """A server's tokenizer, with bytes as tokens; `opens`: its template opens the thinking."""

    def __init__(self, opens: bool = False) -> None:
        self.opens = opens
        self.asked = 0

    def rendered(self, chat: Chat, *, thinking: bool) -> str:
        turns = [f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in chat]
        return "".join(turns) + "<|im_start|>assistant\n" + "<think>\n" * (self.opens and thinking)

    def chat_ids(self, chat: Chat, *, thinking: bool) -> list[int]:
        return self.tokenize(self.rendered(chat, thinking=thinking))

    def tokenize(self, text: str, *, start: bool = False) -> list[int]:
        self.asked += 1
        return list(byte_tokens.encode(text))

    def detokenize(self, ids: Sequence[int]) -> str:
        return byte_tokens.decode(ids)


def test_a_plain_prompt_takes_one_question() -> None:
    tokenizer = Tokenizer()
    ids = prompt_ids(tokenizer, [Message("user", "a fox & a hen")], thinking=False)
    assert tokenizer.asked == 1 and ids.count(END) == 1


@given(st.text(st.sampled_from("<|im_end|>think/ [INST]\n"), max_size=60))
def test_no_text_of_the_user_is_a_control_token(text: str) -> None:
    for hostile in (text, f"{text}<|im_end|>", f"<think>{text}</think>", f"[INST]{text}"):
        ids = prompt_ids(Tokenizer(), [Message("user", hostile)], thinking=False)
        assert ids.count(END) == 1 and CLOSE not in ids
        assert byte_tokens.decode(ids).count(hostile.strip()) >= 1
        assert END not in text_ids(Tokenizer(), hostile) and CLOSE not in text_ids(
            Tokenizer(), hostile
        )


@given(st.text(max_size=60))
def test_a_cut_text_is_the_same_text(text: str) -> None:
    assert cut(text).replace(CUT, "") == text.replace(CUT, "")


def test_an_opened_thinking_is_seen() -> None:
    assert opens_thinking(Tokenizer(opens=True), thinking=True)
    assert not opens_thinking(Tokenizer(opens=True), thinking=False)
    assert not opens_thinking(Tokenizer(), thinking=True)


@given(st.text(min_size=1, max_size=200), st.integers(0, 3))
def test_pieces_hold_whole_characters_and_every_id(text: str, lost: int) -> None:
    text = text.encode("utf-8", "ignore").decode().replace("\ufffd", "") + "日"
    ids = byte_tokens.encode(text)
    pieces = list(pieces_of(Tokenizer(), ids[: len(ids) - lost]))
    assert "".join(piece.text for piece in pieces) == (text[:-1] if lost else text)
    told = [id_ for piece in pieces for id_ in piece.ids]
    assert told == list(ids[: len(ids) - 3 if lost else len(ids)])
    assert all(piece.tokens == len(piece.ids) for piece in pieces)


class SentencePiece(Tokenizer):
    """A tokenizer that drops a space where a text starts, as those of SentencePiece do."""

    def detokenize(self, ids: Sequence[int]) -> str:
        return super().detokenize(ids).removeprefix(" ")


@given(st.text(st.sampled_from(" a日"), min_size=1, max_size=200))
@example(" a" * BLOCK)
def test_no_space_is_lost_between_pieces(text: str) -> None:
    ids, prompt = byte_tokens.encode(text), byte_tokens.encode("<|im_start|>assistant\n")
    alone = list(pieces_of(SentencePiece(), ids))
    assert "".join(piece.text for piece in alone) == text.removeprefix(" ")
    pieces = list(pieces_of(SentencePiece(), ids, before=prompt))
    assert "".join(piece.text for piece in pieces) == text


def test_pieces_of_a_text_that_changes_its_neighbours_are_whole() -> None:
    class Joining(Tokenizer):
        def detokenize(self, ids: Sequence[int]) -> str:
            return super().detokenize(ids).replace(" .", ".")

    ids = byte_tokens.encode("x" * (BLOCK - 1) + " .Once")
    assert [piece.text for piece in pieces_of(Joining(), ids)][1] == ".Once"


def test_a_piece_ends_with_the_thinking() -> None:
    ids = byte_tokens.encode("A plan.</think>Once")
    first, second = pieces_of(Tokenizer(), ids, CLOSE)
    assert (first.text, second.text) == ("A plan.</think>", "Once")

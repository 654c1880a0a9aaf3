"""The shipped tokenizer and chat template: lossless, the right tags, both thinking switches."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from polaris_cli.demo import rows, tasks
from polaris_cli.demo import tokenizer as tok
from polaris_cli.demo.unseen import UNSEEN
from polaris_cli.models.catalogue import DEMO_FOLDER

RAW = Tokenizer.from_file(str(DEMO_FOLDER / "tokenizer.json"))
TAGS = [tok.END_OF_TEXT, tok.START, tok.END, tok.THINK, tok.THINK_END]


@pytest.fixture(scope="module")
def shipped() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(DEMO_FOLDER)


@settings(max_examples=300)
@given(st.text())
def test_text_survives_encoding_and_decoding(text: str) -> None:
    ids = RAW.encode(text).ids
    assert RAW.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("text", ["café e\u0301 ﬁ", "灯台 🐙 \x00\t\r\n", " a  b \n\n\n c", "2026"])
def test_odd_text_is_not_normalised(shipped: PreTrainedTokenizerBase, text: str) -> None:
    assert shipped.decode(shipped(text)["input_ids"]) == text


def test_tags_are_single_tokens_and_thinking_survives(shipped: PreTrainedTokenizerBase) -> None:
    assert all(len(RAW.encode(tag).ids) == 1 for tag in TAGS)
    text = f"{tok.THINK}a{tok.THINK_END}b{tok.END}"
    ids = shipped(text)["input_ids"]
    assert shipped.decode(ids, skip_special_tokens=True) == f"{tok.THINK}a{tok.THINK_END}b"


def test_auto_class_keeps_our_splitting(shipped: PreTrainedTokenizerBase) -> None:
    text = '"Not today," said the porter at the drift book. 12345 words\n\nfin'
    assert shipped(text)["input_ids"] == RAW.encode(text).ids
    assert shipped.eos_token == tok.END and shipped.pad_token == tok.END_OF_TEXT


def test_shipped_template_is_the_source(shipped: PreTrainedTokenizerBase) -> None:
    assert shipped.chat_template == tok.TEMPLATE.read_text("utf-8")


PROMPT = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n<think>\n"


@pytest.mark.parametrize(
    ("switch", "text"),
    [
        ({}, PROMPT),
        ({"enable_thinking": True}, PROMPT),
        ({"enable_thinking": False}, PROMPT + "\n</think>\n\n"),
    ],
)
def test_template_opens_the_answer(
    shipped: PreTrainedTokenizerBase, switch: dict[str, bool], text: str
) -> None:
    messages = [{"role": "user", "content": " Hello \n"}]
    rendered = shipped.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, **switch
    )
    assert rendered == text


def test_template_drops_earlier_thinking(shipped: PreTrainedTokenizerBase) -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "<think>\nplan\n</think>\n\nstory"},
        {"role": "user", "content": "b"},
    ]
    rendered = shipped.apply_chat_template(messages, tokenize=False)
    assert rendered == (
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nstory<|im_end|>\n"
        "<|im_start|>user\nb<|im_end|>\n"
    )


def test_template_needs_a_user(shipped: PreTrainedTokenizerBase) -> None:
    with pytest.raises(Exception, match="user message"):
        shipped.apply_chat_template([{"role": "system", "content": "x"}], tokenize=False)


def test_training_text_is_what_the_template_renders(shipped: PreTrainedTokenizerBase) -> None:
    for example in [tasks.story_task(Random(1)), tasks.direct_task(Random(2))]:
        *before, answer = example.turns
        messages = [{"role": turn.role, "content": turn.content} for turn in before]
        prompt = shipped.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=answer.thinking is not None,
        )
        row = rows.encode(example, RAW)
        assert RAW.decode(row.ids, skip_special_tokens=False).startswith(prompt)
        learned = [i for i, known in zip(row.ids, row.learn, strict=True) if known]
        rest = RAW.decode(learned, skip_special_tokens=False)
        assert rest.endswith(answer.content + tok.END)


def test_special_tokens_in_the_config_are_the_tokenizers() -> None:
    config = json.loads((DEMO_FOLDER / "config.json").read_text("utf-8"))
    assert config["eos_token_id"] == RAW.token_to_id(tok.END)
    assert config["pad_token_id"] == RAW.token_to_id(tok.END_OF_TEXT)


def test_a_fresh_tokenizer_is_lossless_and_the_same_for_the_same_seed() -> None:
    fresh = tok.train_tokenizer(500, seed=3, examples=20)
    assert fresh.to_str() == tok.train_tokenizer(500, seed=3, examples=20).to_str()
    assert fresh.get_vocab_size() <= 500
    text = 'The 12 keys,\n\n"灯台" 🐙  said Łukasz.'
    assert fresh.decode(fresh.encode(text).ids) == text
    assert all(len(fresh.encode(tag).ids) == 1 for tag in TAGS)


@pytest.mark.parametrize("word", [" harbour", " said", "The", " Mara", ' "', '."', " a", " I"])
def test_a_common_word_is_one_token(word: str) -> None:
    assert len(RAW.encode(word).ids) == 1


@pytest.mark.parametrize("noun", [*(noun for noun, _ in UNSEEN), "saxophone", "porcupine"])
def test_a_noun_to_copy_is_spelt_in_letters(noun: str) -> None:
    for word in noun.split():
        start = [" ", word[0]] if word[0] == "a" else [f" {word[0]}"]
        pieces = [RAW.decode([token]) for token in RAW.encode(f" {word}").ids]
        assert pieces == [*start, *word[1:]]

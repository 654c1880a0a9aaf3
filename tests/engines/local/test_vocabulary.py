"""The tokens with a meaning of their own are found, in every kind of tokenizer."""

import pytest
from tokenizers import AddedToken, processors
from transformers import AutoTokenizer, GenerationConfig

from polaris_cli.engines.local.vocabulary import Vocabulary, stop_ids, token_id
from polaris_cli.models.catalogue import DEMO_FOLDER
from tests.engines.local.test_decode import ENDS, TOKENIZER
from tests.engines.local.test_detokenizer import sentencepiece_like
from tests.tiny import byte_tokenizer, qwen


def test_a_model_that_begins_another_turn_has_ended_its_own() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    (start,) = tokenizer.encode("<|im_start|>", add_special_tokens=False)
    assert start in stop_ids(qwen(vocab_size=264), tokenizer)


LLAMA_3 = (
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
)
GEMMA = (
    "{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"
)
PHI_3 = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
GLM = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}"
LLAMA_2 = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }} </s>{% endif %}{% endfor %}"
)
STRICT = "{% if messages[1:] %}{{ raise_exception('one turn') }}{% endif %}<|eot_id|>"
PLAIN = "{% for m in messages %}{{ m.content }}\n\n{% endfor %}<|eot_id|>"


@pytest.mark.parametrize(
    ("template", "end"),
    [
        (LLAMA_3, "<|eot_id|>"),
        (GEMMA, "<end_of_turn>"),
        (PHI_3, "<|end|>"),
        (GLM, "<|user|>"),
        (LLAMA_2, "</s>"),
        (STRICT, None),
        (PLAIN, None),
        ("{% for m in messages %}{{ m.content }}</think>{% endfor %}", None),
    ],
)
def test_what_the_chat_template_writes_behind_an_answer_ends_it(
    template: str, end: str | None
) -> None:
    tokenizer = byte_tokenizer()
    names = ["<|eot_id|>", "<end_of_turn>", "<|end|>", "<|user|>", "<|assistant|>", "</s>"]
    tokenizer.add_tokens([AddedToken(name, special=True) for name in names])
    tokenizer.chat_template = template
    found = stop_ids(qwen(vocab_size=270), tokenizer) - ENDS
    assert found == ({token_id(tokenizer, end)} if end else set())


def test_stop_ids_come_from_tokenizer_generation_settings_and_config() -> None:
    model = qwen(eos_token_id=7)
    model.generation_config = GenerationConfig(eos_token_id=[8, 9])
    assert stop_ids(model, TOKENIZER) == ENDS | {7, 8, 9}
    model.generation_config = GenerationConfig()
    model.config.eos_token_id = None
    assert stop_ids(model, TOKENIZER) == ENDS
    other = byte_tokenizer()
    other.eos_token = "!"
    assert stop_ids(model, other) == ENDS | {other.convert_tokens_to_ids("!")}


def test_the_id_of_a_token_is_found_alone() -> None:
    tokenizer = byte_tokenizer()
    assert token_id(tokenizer, "</think>") == tokenizer.get_vocab()["</think>"]
    assert token_id(tokenizer, "<|nothing|>") is None
    assert token_id(sentencepiece_like(), "<|nothing|>") is None  # has an unknown token


def test_thinking_is_closed_without_what_a_tokenizer_puts_before_a_text() -> None:
    tokenizer = byte_tokenizer()
    alone = Vocabulary(tokenizer).closing_ids
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_end|> $A", special_tokens=[("<|im_end|>", tokenizer.eos_token_id)]
    )
    assert tokenizer.encode("a")[0] == tokenizer.eos_token_id
    assert Vocabulary(tokenizer).closing_ids == alone


def test_thinking_is_closed_with_the_models_own_tag() -> None:
    tokenizer = byte_tokenizer(tags=False)
    assert Vocabulary(tokenizer).close_id is None
    tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]", "[INST]"]})
    opened, close, turn = tokenizer.convert_tokens_to_ids(["[THINK]", "[/THINK]", "[INST]"])
    vocabulary = Vocabulary(tokenizer)
    assert vocabulary.close_id == close and close in vocabulary.closing_ids
    assert turn in vocabulary.control_ids and not vocabulary.control_ids & {opened, close}


def test_the_insides_of_words_are_those_that_begin_with_a_small_letter() -> None:
    tokenizer = sentencepiece_like()
    assert tokenizer.convert_ids_to_tokens(Vocabulary(tokenizer).word_continuations) == ["a"]
    demo = AutoTokenizer.from_pretrained(DEMO_FOLDER)
    exempt = set(Vocabulary(demo).word_continuations)
    first, *others = demo.encode(" astronomer")
    assert others and exempt.issuperset(others) and first not in exempt
    assert exempt.isdisjoint(demo.encode('The light went out. "So?" 7\n\nÉ 日本'))

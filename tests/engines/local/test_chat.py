"""Prompts: the template's tokens are tokens, the premise is text, whatever it holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, normalizers

from polaris_cli.engines.local.chat import Chat
from polaris_cli.errors import ModelUnavailable, UsageError
from polaris_cli.models.catalogue import DEMO_FOLDER
from polaris_cli.request.prompts import Message
from tests.tiny import byte_tokenizer

TEMPLATE = (DEMO_FOLDER.parent / "chat_template.jinja").read_text("utf-8")
CONTROLS = ("<|im_end|>", "<|endoftext|>", "<|im_start|>", "<think>", "</think>")


def tokenizer(template: str | None = TEMPLATE) -> Any:
    made = byte_tokenizer()
    made.add_tokens([AddedToken("<|im_start|>", special=True)])
    made.chat_template = template
    return made


TOKENIZER = tokenizer()
CHAT = Chat(TOKENIZER)
ADDED = set(TOKENIZER.get_added_vocab().values())


def worded(*contents: str, thinking: bool = True) -> str:
    turns = "".join(f"<|im_start|>user\n{text.strip()}<|im_end|>\n" for text in contents)
    tail = "<think>\n" if thinking else "<think>\n\n</think>\n\n"
    return f"{turns}<|im_start|>assistant\n{tail}"


def controls_of(ids: list[int]) -> list[str]:
    return [TOKENIZER.convert_ids_to_tokens(id_) for id_ in ids if id_ in ADDED]


def test_a_plain_prompt_is_what_the_template_makes() -> None:
    messages = (Message("user", "A lighthouse keeper, naïve — 灯台."),)
    whole = TOKENIZER.apply_chat_template(
        [{"role": "user", "content": messages[0].content}],
        add_generation_prompt=True,
        enable_thinking=True,
        tokenize=False,
    )
    assert CHAT.prompt_ids(messages, thinking=True) == TOKENIZER.encode(whole)


@given(st.lists(st.sampled_from([*CONTROLS, "<", "<<think>", "a ", "é\n", "<|", "|>"]), max_size=8))
def test_no_premise_can_break_the_prompt(parts: list[str]) -> None:
    premise = "".join(parts)
    ids = CHAT.prompt_ids((Message("user", premise),), thinking=True)
    assert TOKENIZER.decode(ids) == worded(premise)
    assert controls_of(ids) == ["<|im_start|>", "<|im_end|>", "<|im_start|>", "<think>"]


def test_the_demo_models_own_tokenizer_is_as_safe() -> None:
    from transformers import AutoTokenizer

    own = AutoTokenizer.from_pretrained(DEMO_FOLDER)
    premise = f"before {' '.join(CONTROLS)} after"
    ids = Chat(own).prompt_ids((Message("user", premise),), thinking=False)
    assert own.decode(ids, skip_special_tokens=False) == worded(premise, thinking=False)
    added = set(own.get_added_vocab().values())
    assert len([id_ for id_ in ids if id_ in added]) == 5


def test_words_beside_a_control_token_are_not_spelt_out() -> None:
    from transformers import AutoTokenizer

    own = AutoTokenizer.from_pretrained(DEMO_FOLDER)
    alone, beside = (
        Chat(own).prompt_ids((Message("user", f"a lighthouse keeper{more}"),), thinking=True)
        for more in ("", " <think>")
    )
    assert beside[:5] == alone[:5]
    assert len(beside) - len(alone) <= len(" <think>")


def test_several_turns_keep_their_places() -> None:
    messages = (Message("user", "first <think>"), Message("user", "\ue000" + "0 second"))
    ids = CHAT.prompt_ids(messages, thinking=False)
    assert TOKENIZER.decode(ids) == worded(*(m.content for m in messages), thinking=False)


def test_a_tokenizer_that_rewrites_text_is_no_way_in() -> None:
    lowering = byte_tokenizer(tags=False)
    lowering.backend_tokenizer.normalizer = normalizers.Lowercase()
    lowering.add_tokens([AddedToken("<think>", normalized=True, special=False)])
    lowering.chat_template = "{{ messages[0].content }}\n<think>"
    assert lowering.get_vocab()["<think>"] in lowering.encode("<THINK>")
    ids = Chat(lowering).prompt_ids((Message("user", "a <THINK> b <think>"),), thinking=True)
    assert ids.count(lowering.get_vocab()["<think>"]) == 1
    assert lowering.decode(ids) == "a <think> b <think>\n<think>"


@pytest.mark.parametrize("text", ["AB", "AB x", "x AB", "xABy"])
def test_a_short_control_token_is_cut_wherever_it_stands(text: str) -> None:
    lowering = byte_tokenizer(tags=False)
    lowering.backend_tokenizer.normalizer = normalizers.Lowercase()
    lowering.add_tokens([AddedToken("ab", normalized=True, special=True)])
    ids = Chat(lowering).text_ids(text)
    assert lowering.get_vocab()["ab"] not in ids and lowering.decode(ids) == text.lower()


def test_a_text_within_an_answer_is_text() -> None:
    text = f"Once {' '.join(CONTROLS)} upon"
    ids = CHAT.text_ids(text)
    assert TOKENIZER.decode(ids) == text and not set(ids) & ADDED
    assert CHAT.text_ids("Once upon") == tuple(TOKENIZER.encode("Once upon"))


def test_a_character_that_is_a_control_token_is_refused() -> None:
    strange = byte_tokenizer(tags=False)
    strange.backend_tokenizer.normalizer = normalizers.NFKC()
    strange.add_tokens([AddedToken("(a)", normalized=True, special=True)])
    strange.chat_template = "{{ messages[0].content }}"
    with pytest.raises(UsageError, match="control token"):
        Chat(strange).prompt_ids((Message("user", "choose ⒜"),), thinking=True)
    with pytest.raises(UsageError, match="control token"):
        Chat(strange).text_ids("choose ⒜")


@pytest.mark.parametrize("text", ["\n\n", "   ", "ing"])
def test_added_words_and_spaces_are_encoded_as_the_tokenizer_does(text: str) -> None:
    """Gemma has added tokens of several line breaks and spaces."""
    made = tokenizer()
    made.add_tokens([AddedToken(text, special=False)])
    told = f"Once{text}upon"
    assert made.get_vocab()[text] in made.encode(told)
    assert Chat(made).text_ids(told) == tuple(made.encode(told))
    prompt = Chat(made).prompt_ids((Message("user", told),), thinking=True)
    assert prompt == made.encode(worded(told))


def test_an_added_character_means_itself() -> None:
    lettered = tokenizer()
    lettered.add_tokens([AddedToken("☕", special=False)])
    messages = (Message("user", "a cup of ☕"),)
    ids = Chat(lettered).prompt_ids(messages, thinking=True)
    assert lettered.decode(ids) == worded("a cup of ☕")


def test_a_base_model_gets_the_text_alone() -> None:
    plain = tokenizer(template=None)
    ids = Chat(plain).prompt_ids((Message("user", "Once <think> upon"),), thinking=True)
    assert plain.decode(ids) == "Once <think> upon\n\n"
    assert not set(ids) & ADDED
    assert not Chat(plain).opens_thinking(thinking=True)


def test_a_base_model_whose_tokenizer_begins_with_no_token_gets_none() -> None:
    plain = tokenizer(template=None)
    plain.bos_token = "<|im_start|>"
    ids = Chat(plain).prompt_ids((Message("user", "Once"),), thinking=True)
    assert plain.decode(ids) == "Once\n\n"


def test_a_base_model_gets_its_first_token() -> None:
    from tokenizers import processors

    plain = tokenizer(template=None)
    plain.bos_token = "<|im_start|>"
    first = plain.bos_token_id
    plain.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", first)]
    )
    ids = Chat(plain).prompt_ids((Message("user", "Once"),), thinking=True)
    assert ids[0] == first and ids.count(first) == 1


ALWAYS = "{{ messages[0].content }}<think>\n"
ON_WISH = "{{ messages[0].content }}{% if enable_thinking %}<think>\n{% endif %}"
BY_DEFAULT = "{{ messages[0].content }}{% if enable_thinking is not false %}<think>{% endif %}"
NEVER = "{{ messages[0].content }}\n"


@pytest.mark.parametrize(
    ("template", "on", "off"),
    [
        (TEMPLATE, True, False),
        (ALWAYS, True, True),
        (ON_WISH, True, False),
        (BY_DEFAULT, True, False),
        (NEVER, False, False),
    ],
)
def test_whether_thinking_is_open(template: str, on: bool, off: bool) -> None:
    chat = Chat(tokenizer(template))
    assert (chat.opens_thinking(thinking=True), chat.opens_thinking(thinking=False)) == (on, off)


def test_a_template_that_refuses() -> None:
    refusing = Chat(tokenizer("{{ raise_exception('only in pairs') }}"))
    with pytest.raises(ModelUnavailable, match="only in pairs"):
        refusing.prompt_ids((Message("user", "x"),), thinking=True)


def test_a_template_without_a_system_role_gets_its_text_from_the_user() -> None:
    """As Gemma 2's."""
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    messages = (Message("system", "You <think> write."), Message("user", "A keeper."))
    answered = (*messages, Message("assistant", "A light."), Message("user", "On."))
    for asked, first in ((messages, ["A keeper."]), (answered, ["A keeper.", "A light.", "On."])):
        ids = Chat(tokenizer(refusing + TEMPLATE)).prompt_ids(asked, thinking=True)
        plain = (Message("user", f"You <think> write.\n\n{first[0]}"), *asked[2:])
        assert ids == CHAT.prompt_ids(plain, thinking=True)


def test_the_next_turn_starts_after_the_messages() -> None:
    messages = (
        Message("user", "A keeper."),
        Message("assistant", "A light."),
        Message("user", "On."),
    )
    prompt = CHAT.prompt_ids(messages, thinking=True)
    start = CHAT.turn_start(messages, prompt, thinking=True)
    assert TOKENIZER.decode(prompt[start:]) == "<|im_start|>assistant\n<think>\n"


def test_where_the_next_turn_starts_may_be_unknown() -> None:
    chat = Chat(tokenizer("{{ 'Answer: ' if add_generation_prompt }}{{ messages[0].content }}"))
    messages = (Message("user", "A keeper."),)
    prompt = chat.prompt_ids(messages, thinking=True)
    assert chat.turn_start(messages, prompt, thinking=True) == 0

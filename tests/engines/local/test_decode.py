"""The decoding loop, held against `model.generate` and against models that recite."""

import gc
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
)

from polaris_cli.engines.local.decode import context_length, decode
from polaris_cli.engines.local.generation import TokenizedRequest
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.errors import ModelUnavailable, OutOfMemory
from polaris_cli.events import Chunk, Finish, Piece
from polaris_cli.models.catalogue import DEMO_FOLDER
from polaris_cli.request.story_request import Sampling
from polaris_cli.streaming.thinking import split_thinking
from tests.tiny import END, END_OF_TEXT, Reciter, byte_tokenizer, qwen

TOKENIZER = byte_tokenizer()
PROMPT: list[int] = TOKENIZER.encode("Write a 300-word story about fog.", add_special_tokens=False)
ENDS = frozenset(TOKENIZER.convert_tokens_to_ids([END, END_OF_TEXT]))
GREEDY = Sampling(temperature=0, repetition_penalty=1.0, thinking_budget=-1)
CLOSE = "\n</think>\n\n"
MODELS: dict[str, dict[str, Any]] = {
    "plain": {"layer_types": ["linear_attention", "full_attention"], "num_hidden_layers": 2},
    "grouped": {
        "num_key_value_heads": 1,
        "head_dim": 32,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 24,
        "linear_num_key_heads": 2,
        "tie_word_embeddings": False,
        "num_hidden_layers": 5,
        "layer_types": ["full_attention", *["linear_attention"] * 3, "full_attention"],
    },
}


def gpt2() -> Any:
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=260, n_positions=64, n_embd=32, n_layer=2, n_head=2, initializer_range=0.5
    )
    return GPT2LMHeadModel(config).eval()


def run(
    model: Any,
    sampling: Sampling = GREEDY,
    *,
    tokenizer: Any = TOKENIZER,
    prompt: Sequence[int] = PROMPT,
    n: int = 300,
    ends: frozenset[int] = ENDS,
    inside: bool = False,
    after: Sequence[int] = (),
    min_new_tokens: int = 0,
) -> tuple[list[Chunk], Finish]:
    """Decode to the end; check what holds of every stream."""
    vocabulary = Vocabulary(tokenizer, ends)
    request = TokenizedRequest(
        prompt, sampling, n, inside, after=after, min_new_tokens=min_new_tokens
    )
    *chunks, finish = decode(model, vocabulary, request)
    assert isinstance(finish, Finish)
    assert finish.prompt_tokens == len(prompt)
    found = [chunk for chunk in chunks if isinstance(chunk, Chunk)]
    assert len(found) == len(chunks)
    assert all(chunk.tokens == len(chunk.ids) for chunk in found)
    whole = Piece(text_of(found, tokenizer))
    split = split_thinking(iter([whole]), opened=inside)
    assert by_kind(found) == by_kind(split)
    return found, finish


def by_kind(events: Iterable[object]) -> dict[str, str]:
    texts = {"thinking": "", "story": ""}
    for event in events:
        if isinstance(event, Chunk):
            texts[event.kind] += event.text
    # The bytes of half a character at the end have no text.
    return {kind: text.rstrip("�") for kind, text in texts.items()}


def ids_of(chunks: list[Chunk]) -> list[int]:
    return [token for chunk in chunks for token in chunk.ids]


def text_of(chunks: list[Chunk], tokenizer: Any = TOKENIZER) -> str:
    """What the model wrote, the tags included."""
    silent = Vocabulary(tokenizer).control_ids
    text: str = tokenizer.decode([id_ for id_ in ids_of(chunks) if id_ not in silent])
    return text


def recite(text: str, sampling: Sampling = GREEDY, **options: Any) -> tuple[list[Chunk], Finish]:
    """Decode a model that wants to write `text` and then end."""
    tokenizer = options.get("tokenizer", TOKENIZER)
    script = tokenizer.encode(text, add_special_tokens=False) + [min(ENDS)] * 50
    return run(Reciter(script, len(PROMPT)), sampling, **options)


def generate(model: Any, prompt: Sequence[int], n: int, **options: Any) -> list[int]:
    row = torch.tensor([prompt])
    output = model.generate(
        row, attention_mask=torch.ones_like(row), max_new_tokens=n, do_sample=False, **options
    )
    tokens: list[int] = output[0, len(prompt) :].tolist()
    return tokens


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "penalty"), [("plain", 1.0), ("plain", 1.1), ("grouped", 1.1)])
def test_greedy_tokens_are_those_of_generate(shape: str, penalty: float) -> None:
    model = qwen(**MODELS[shape])
    pieces, finish = run(model, replace(GREEDY, repetition_penalty=penalty), ends=frozenset(), n=60)
    assert ids_of(pieces) == generate(model, PROMPT, 60, repetition_penalty=penalty)
    assert len(set(ids_of(pieces))) > 5  # else the comparison says little
    assert finish.reason == "length"


@pytest.mark.slow
def test_greedy_tokens_of_the_demo_model_are_those_of_generate() -> None:
    model = AutoModelForCausalLM.from_pretrained(DEMO_FOLDER, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(DEMO_FOLDER)
    message = {"role": "user", "content": "Write a 300-word story about a fox and a bell."}
    prompt = tokenizer.apply_chat_template(
        [message], add_generation_prompt=True, enable_thinking=True, return_dict=False
    )
    pieces, _ = run(model, tokenizer=tokenizer, prompt=prompt, ends=frozenset(), inside=True)
    assert ids_of(pieces) == generate(model, prompt, 300, eos_token_id=-1)


def test_any_causal_model_runs_to_the_end_of_its_context() -> None:
    model = gpt2()
    pieces, finish = run(model, ends=frozenset())
    room = 64 - len(PROMPT)
    assert context_length(model) == 64
    assert ids_of(pieces) == generate(model, PROMPT, room)
    assert finish.reason == "length"


@pytest.mark.parametrize("done", [1, 20])
def test_an_answer_taken_up_again_ends_with_the_context_too(done: int) -> None:
    model = gpt2()
    ids = ids_of(run(model, ends=frozenset())[0])
    again, finish = run(model, ends=frozenset(), after=ids[:done])
    assert ids_of(again) == ids and finish.reason == "length"


def test_a_prompt_beyond_the_context_writes_nothing() -> None:
    pieces, finish = run(gpt2(), prompt=[1] * 70)
    assert (pieces, finish.reason) == ([], "length")


def test_the_limit_is_kept_to_the_token() -> None:
    pieces, finish = recite("fog and rain", n=5)
    assert text_of(pieces) == "fog a"
    assert finish.reason == "length"


def test_a_seed_repeats_a_story() -> None:
    model, sampling = qwen(initializer_range=0.02), Sampling(thinking_budget=-1, seed=3)
    first, again = run(model, sampling, n=60), run(model, sampling, n=60)
    assert first == again
    assert run(model, replace(sampling, seed=4), n=60) != first


def test_a_stop_token_ends_the_story_and_stays_out_of_the_text() -> None:
    pieces, finish = recite("The fog lifted.")
    assert text_of(pieces) == "The fog lifted."
    assert finish == Finish("stop", prompt_tokens=len(PROMPT))


def test_characters_are_never_cut() -> None:
    story = "Élodie saw 🎉 and 灯台."
    pieces, _ = recite(story)
    assert text_of(pieces) == story
    assert "�" not in text_of(pieces)
    assert [piece.tokens for piece in pieces if piece.text == "🎉"] == [4]


def test_a_character_cut_by_the_limit_has_tokens_and_no_text() -> None:
    pieces, finish = recite("fog 🎉", n=6)
    assert "".join(piece.text for piece in pieces) == "fog "
    assert [piece.tokens for piece in pieces] == [1, 1, 1, 1, 2]
    assert finish.reason == "length"


@pytest.mark.parametrize("n", [1, 2, 9, 40])
@pytest.mark.parametrize("tags", [True, False], ids=["tag tokens", "spelt tags"])
def test_thinking_is_closed_after_exactly_so_many_tokens(n: int, tags: bool) -> None:
    tokenizer = byte_tokenizer(tags=tags)
    sampling = replace(GREEDY, thinking_budget=n)
    pieces, _ = recite("hm " * 100, sampling, tokenizer=tokenizer, inside=True, n=120)
    thinking, story = text_of(pieces).split(CLOSE)
    assert thinking == ("hm " * 100)[:n]
    assert "hm" in story


@pytest.mark.slow
def test_the_model_has_read_its_closed_thinking() -> None:
    model, sampling = qwen(), replace(GREEDY, thinking_budget=20)
    found = ids_of(run(model, sampling, n=80, inside=True, ends=frozenset())[0])
    closing = TOKENIZER.encode(CLOSE, add_special_tokens=False)
    thinking = generate(model, PROMPT, 20)
    story = generate(model, PROMPT + thinking + closing, 60 - len(closing))
    assert found == thinking + closing + story


def test_thinking_that_the_model_opens_itself_is_counted_from_there() -> None:
    sampling = replace(GREEDY, thinking_budget=12)
    pieces, _ = recite("\n <think>" + "hm " * 50, sampling, n=100)
    assert text_of(pieces).startswith(f"\n <think>hm hm hm hm {CLOSE}")


def test_a_tag_in_the_story_is_story() -> None:
    text = "She wrote <think> on the wall, and hm hm hm."
    pieces, finish = recite(text, replace(GREEDY, thinking_budget=3))
    assert text_of(pieces) == text
    assert finish.reason == "stop"


def test_thinking_closed_by_the_model_is_left_alone() -> None:
    text = "hm hm\n</think>\n\n" + "The fog lifted. " * 5
    pieces, finish = recite(text, replace(GREEDY, thinking_budget=10), inside=True)
    assert text_of(pieces) == text
    assert finish.reason == "stop"


def test_thinking_opened_again_has_only_what_is_left() -> None:
    text = "hm</think> <think>" + "ah " * 20
    pieces, _ = recite(text, replace(GREEDY, thinking_budget=8), inside=True, n=60)
    assert text_of(pieces).startswith(f"hm</think> <think>ah ah{CLOSE}")


@pytest.mark.parametrize(
    "sampling", [replace(GREEDY, thinking_budget=0), replace(GREEDY, thinking=False)]
)
def test_without_thinking_an_open_tag_is_closed_at_once(sampling: Sampling) -> None:
    pieces, _ = recite("<think>" + "hm " * 30, replace(sampling), n=40)
    assert text_of(pieces).startswith(f"<think>{CLOSE}")
    assert text_of(pieces).count("</think>") == 1


def test_no_budget_means_no_closing() -> None:
    pieces, _ = recite("hm " * 100, GREEDY, inside=True, n=200)
    assert text_of(pieces) == ("hm " * 100)[:200]


def test_thinking_leaves_room_for_a_story() -> None:
    pieces, _ = recite("hm " * 200, replace(GREEDY, thinking_budget=4096), inside=True, n=160)
    thinking, story = text_of(pieces).split(CLOSE)
    assert len(thinking) == 150
    assert story


def test_thinking_leaves_room_for_its_closing_and_a_token() -> None:
    pieces, _ = recite("hm " * 9, replace(GREEDY, thinking_budget=99), inside=True, n=8)
    thinking, story = text_of(pieces).split(CLOSE)
    assert thinking == "hm " and len(story) == 1


def test_an_answer_begins_outside_the_thinking_if_nothing_else_is_said() -> None:
    assert {chunk.kind for chunk in stream_of(qwen()) if isinstance(chunk, Chunk)} == {"story"}


@pytest.mark.parametrize("events", [5, 1000], ids=["closed early", "at its end"])
def test_the_cache_goes_with_the_stream(events: int) -> None:
    model = qwen()
    caches: list[weakref.ref[Any]] = []
    model.register_forward_hook(
        lambda _module, _args, output: caches.append(weakref.ref(output.past_key_values))
    )
    stream = stream_of(model)
    gc.disable()  # it must go by itself, not when the collector comes round
    try:
        for event in islice(stream, events):
            if isinstance(event, Chunk):
                assert caches[-1]() is not None
            else:
                assert caches[-1]() is None
        stream.close()
        assert caches[-1]() is None
    finally:
        gc.enable()


def stream_of(model: Any) -> Any:
    return decode(model, Vocabulary(TOKENIZER), TokenizedRequest(PROMPT, GREEDY, 50))


def test_the_caller_keeps_its_gradients_between_pieces() -> None:
    for _ in stream_of(qwen()):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


class Greedy(Reciter):
    """A model that asks for more memory than there is after five tokens."""

    def forward(
        self, input_ids: torch.Tensor, past_key_values: int | None = None, **options: Any
    ) -> SimpleNamespace:
        if (past_key_values or 0) == self.prompt + 4:
            torch.empty(2**55)
        return super().forward(input_ids, past_key_values, **options)


def test_out_of_memory_keeps_the_text_and_gives_figures() -> None:
    script = TOKENIZER.encode("fog and rain", add_special_tokens=False)
    pieces, finish = run(Greedy(script, len(PROMPT)))
    assert text_of(pieces) == "fog a"
    assert finish.reason == "error"
    assert isinstance(finish.error, OutOfMemory)
    assert f"{len(PROMPT) + 5} tokens" in finish.error.message
    assert str(4 * 2**55) in finish.error.message
    assert "--quantize 4bit" in finish.error.hint


class Faulty(Reciter):
    def forward(self, *_: Any, **__: Any) -> SimpleNamespace:
        raise RuntimeError("shapes do not match")


def test_other_faults_are_not_called_lack_of_memory() -> None:
    _, finish = run(Faulty([], len(PROMPT)))
    assert isinstance(finish.error, ModelUnavailable)
    assert "cannot be run" in finish.error.message and "shapes do not" in finish.error.message


def test_weights_that_are_no_numbers_are_said_to_be_damaged() -> None:
    model = qwen()
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.nan)
    pieces, finish = run(model)
    assert pieces == []
    assert isinstance(finish.error, ModelUnavailable)


def test_ctrl_c_goes_through() -> None:
    class Interrupted(Reciter):
        def forward(self, *_: Any, **__: Any) -> SimpleNamespace:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Interrupted([], len(PROMPT)))


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [GREEDY, Sampling(seed=5, temperature=1.0)])
@pytest.mark.parametrize("done", [1, 2, 17, 99])
def test_an_answer_taken_up_again_goes_on_as_it_would_have(sampling: Sampling, done: int) -> None:
    model = qwen(3)
    whole, _ = run(model, sampling, n=100, ends=frozenset())
    ids = ids_of(whole)
    again, _ = run(model, sampling, n=100 - done, ends=frozenset(), after=ids[:done])
    assert ids_of(again) == ids


@given(st.integers(1, 39))
@settings(max_examples=12)
def test_thinking_that_is_being_closed_is_closed_once(done: int) -> None:
    thinking = replace(GREEDY, thinking_budget=8)
    text = "a plan " * 4 + "</think>\n\nOnce upon a time"
    whole, _ = recite(text, thinking, inside=True, n=40)
    ids = ids_of(whole)
    again, _ = recite(text, thinking, inside=True, n=40 - done, after=ids[:done])
    assert text_of(again) == text_of(whole)


def test_the_end_is_held_back_until_it_may_come() -> None:
    model = Reciter([*TOKENIZER.encode("Once."), *[min(ENDS)] * 20], len(PROMPT))
    pieces, finish = run(model, GREEDY, min_new_tokens=12)
    assert text_of(pieces).startswith("Once.") and len(ids_of(pieces)) == 12
    assert finish.reason == "stop"
    pieces, _ = run(model, GREEDY, after=TOKENIZER.encode("On"), min_new_tokens=12)
    assert len(ids_of(pieces)) == len(TOKENIZER.encode("On")) + 12


def test_a_model_that_ends_inside_its_thinking_writes_the_story_after_all() -> None:
    close = TOKENIZER.convert_tokens_to_ids("</think>")
    script = [*TOKENIZER.encode("a plan"), min(ENDS), *TOKENIZER.encode("\n\nOnce."), min(ENDS)]
    pieces, finish = run(Reciter(script + [min(ENDS)] * 9, len(PROMPT)), inside=True)
    assert text_of(pieces) == "a plan</think>\n\nOnce." and close in ids_of(pieces)
    assert finish.reason == "stop"


def own_tags(opened: str, closed: str) -> Any:
    """A tokenizer whose tags around the thinking are these special tokens."""
    tokenizer = byte_tokenizer(tags=False)
    tokenizer.add_special_tokens({"additional_special_tokens": [opened, closed]})
    return tokenizer


@pytest.mark.parametrize(
    ("tokenizer", "opened", "closed"),
    [
        (own_tags("[THINK]", "[/THINK]"), "[THINK]", "[/THINK]"),
        (own_tags("<|channel>", "<channel|>"), "<|channel>thought\n", "<channel|>"),
    ],
    ids=["Magistral", "Gemma 4"],
)
def test_thinking_in_the_tags_of_other_models(tokenizer: Any, opened: str, closed: str) -> None:
    text = f"{opened}a plan{closed}Once."
    pieces, finish = recite(text, tokenizer=tokenizer)
    assert by_kind(pieces) == {"thinking": "a plan", "story": "Once."} and finish.reason == "stop"
    few = replace(GREEDY, thinking_budget=3 + opened.count("\n"))
    pieces, _ = recite(f"{opened}hm hm hm", few, tokenizer=tokenizer, n=99)
    assert text_of(pieces, tokenizer).startswith(f"{opened}hm \n{closed}\n\n")
    pieces, _ = recite(f"{opened}a plan", tokenizer=tokenizer, n=40)
    assert text_of(pieces, tokenizer) == f"{opened}a plan{closed}"


SPELT = byte_tokenizer(tags=False)  # has no token for the tags
PLAN = [*SPELT.encode("a plan"), min(ENDS)]
AFTER = [*SPELT.encode(CLOSE)[1:], *SPELT.encode("Once."), min(ENDS), min(ENDS)]


def test_an_end_inside_the_thinking_is_replaced_by_a_spelt_tag() -> None:
    model = Reciter(PLAN + AFTER, len(PROMPT))
    pieces, finish = run(model, tokenizer=SPELT, inside=True)
    assert text_of(pieces, SPELT) == f"a plan{CLOSE}Once."
    assert finish.reason == "stop" and not ENDS & set(ids_of(pieces))
    assert all(len(piece.log_probs) == len(piece.ids) for piece in pieces)


def test_the_penalty_on_repeats_breaks_no_word() -> None:
    wary = replace(GREEDY, dry_multiplier=100.0)
    assert text_of(recite("fog" * 10, wary)[0]) == "fog" * 10
    assert text_of(recite("FOG" * 10, wary)[0]) != "FOG" * 10

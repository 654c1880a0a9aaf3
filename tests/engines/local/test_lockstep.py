"""Stories written side by side, held against each of them written alone."""

import gc
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    Lfm2Config,
    Lfm2ForCausalLM,
)

from polaris_cli.engines.kernels.patching import patch_forwards
from polaris_cli.engines.kv_cache import ROOM, growing_cache
from polaris_cli.engines.local import forward as forward_module
from polaris_cli.engines.local.decode import decode
from polaris_cli.engines.local.forward import BatchForward
from polaris_cli.engines.local.generation import TokenizedRequest
from polaris_cli.engines.local.lockstep import Lockstep, Row, decode_batch
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.errors import ModelUnavailable, OutOfMemory
from polaris_cli.events import Chunk, Finish
from polaris_cli.models.catalogue import DEMO_FOLDER
from polaris_cli.request.story_request import Sampling
from tests.engines.local.test_decode import CLOSE, ENDS, TOKENIZER, gpt2, ids_of, text_of
from tests.engines.local.test_prefix_cache import PLAIN, sliding
from tests.tiny import byte_tokenizer, qwen

GREEDY = Sampling(temperature=0, repetition_penalty=1.0, thinking_budget=-1)
SAMPLED = Sampling(temperature=1.0, thinking_budget=-1)
LATE_ENDS = ENDS | {17, 99}  # a random model comes to one of these after about 65 tokens

Result = tuple[list[Chunk], Finish]


def prompt(length: int, seed: int = 0) -> list[int]:
    return [(7 * i * i + 31 * seed) % 256 for i in range(length)]


def task(length: int, sampling: Sampling = GREEDY, n: int = 60, **options: Any) -> TokenizedRequest:
    return TokenizedRequest(
        prompt(length, length), sampling, n, options.pop("inside", False), **options
    )


def together(
    model: Any,
    tasks: Sequence[TokenizedRequest],
    ends: frozenset[int] = ENDS,
    tokenizer: Any = TOKENIZER,
) -> list[Result]:
    """Write all side by side; check what holds of every stream."""
    pieces: list[list[Chunk]] = [[] for _ in tasks]
    finishes: dict[int, Finish] = {}
    for number, event in decode_batch(model, Vocabulary(tokenizer, ends), tasks):
        assert number not in finishes, "nothing follows a Finish"
        if isinstance(event, Finish):
            finishes[number] = event
        else:
            pieces[number].append(without_log_probs(event))
    return [(pieces[number], finishes[number]) for number in range(len(tasks))]


def alone(
    model: Any, one: TokenizedRequest, ends: frozenset[int] = ENDS, tokenizer: Any = TOKENIZER
) -> Result:
    *pieces, finish = decode(model, Vocabulary(tokenizer, ends), one)
    assert isinstance(finish, Finish)
    return [without_log_probs(piece) for piece in pieces if isinstance(piece, Chunk)], finish


def without_log_probs(chunk: Chunk) -> Chunk:
    """For comparisons: their last digits depend on what is computed together."""
    assert len(chunk.log_probs) == len(chunk.ids)
    return replace(chunk, log_probs=())


def test_log_probabilities_are_those_of_a_story_written_alone() -> None:
    chosen = [task(3), task(9, SAMPLED)]
    vocabulary, found = Vocabulary(TOKENIZER, ENDS), dict[int, list[float]]()
    for number, event in decode_batch(QUICK, vocabulary, chosen):
        found.setdefault(number, []).extend(getattr(event, "log_probs", ()))
    for number, one in enumerate(chosen):
        events = decode(QUICK, vocabulary, one)
        single = [value for event in events for value in getattr(event, "log_probs", ())]
        assert len(single) > 9 and found[number] == pytest.approx(single, abs=1e-3)


def each_alone(
    model: Any, tasks: Sequence[TokenizedRequest], ends: frozenset[int] = ENDS
) -> list[Result]:
    return [alone(model, one, ends) for one in tasks]


def convolutions() -> Any:
    """A model whose layers of one kind keep the last inputs of a convolution, and nothing else."""
    torch.manual_seed(5)
    config = Lfm2Config(**PLAIN, layer_types=["conv", "full_attention"])
    return Lfm2ForCausalLM(config).eval()


KINDS: dict[str, Callable[[], Any]] = {
    "equal heads": lambda: qwen(5),
    "grouped heads": lambda: qwen(
        5,
        num_key_value_heads=1,
        head_dim=32,
        linear_key_head_dim=8,
        linear_value_head_dim=24,
        linear_num_key_heads=2,
        tie_word_embeddings=False,
        layer_types=["full_attention", "linear_attention", "linear_attention", "full_attention"],
    ),
    "gpt2": gpt2,
    "convolutions": convolutions,
}


@pytest.mark.slow
@pytest.mark.parametrize("quick", [False, True], ids=["stock modules", "quick modules"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_story_is_the_one_written_alone(kind: str, quick: bool) -> None:
    model = KINDS[kind]()
    tasks = [
        task(9, n=100),
        task(31, replace(SAMPLED, seed=3), n=100),
        task(1, replace(GREEDY, dry_multiplier=1.0)),
        task(17, replace(SAMPLED, seed=5, thinking_budget=12), inside=True),
        task(31, replace(GREEDY, presence_penalty=0.5), n=7),
    ]
    expected = each_alone(model, tasks, LATE_ENDS)
    if quick:
        patch_forwards(model)
    found = together(model, tasks, LATE_ENDS)
    assert found == expected
    assert CLOSE in text_of(found[3][0])
    assert len({len(ids_of(pieces)) for pieces, _ in found}) > 3  # else the rows end together
    assert {finish.reason for _, finish in found} == {"stop", "length"}


tasks = st.builds(
    task,
    st.integers(1, 40),
    st.builds(
        Sampling,
        temperature=st.sampled_from([0, 0.7, 1.0]),
        top_p=st.sampled_from([0.9, 1.0]),
        top_k=st.sampled_from([0, 20]),
        seed=st.integers(0, 5),
        thinking_budget=st.sampled_from([-1, 0, 5, 20]),
    ),
    st.integers(0, 40),
    inside=st.booleans(),
)
QUICK = qwen(8, num_hidden_layers=2, layer_types=["linear_attention", "full_attention"])
patch_forwards(QUICK)


@pytest.mark.slow
@settings(max_examples=8)
@given(st.lists(tasks, max_size=5))
def test_any_stories_together_are_those_written_alone(chosen: list[TokenizedRequest]) -> None:
    assert together(QUICK, chosen, LATE_ENDS) == each_alone(QUICK, chosen, LATE_ENDS)


def in_turn(model: Any, starts: dict[int, list[TokenizedRequest]]) -> list[Result]:
    """Each request starts at its step, beside those that still run."""
    lockstep, left = Lockstep(model, Vocabulary(TOKENIZER, LATE_ENDS)), dict(starts)
    rows: list[Row] = []
    for number in count():
        rows += map(lockstep.submit, left.pop(number, []))
        if not left and not len(lockstep):
            break
        lockstep.step()
    return [result_of(row) for row in rows]


def result_of(row: Row) -> Result:
    *chunks, finish = row.events
    assert isinstance(finish, Finish) and row.finished
    return [without_log_probs(chunk) for chunk in chunks if isinstance(chunk, Chunk)], finish


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_stories_that_start_later_are_those_written_alone(kind: str) -> None:
    model = KINDS[kind]()
    starts = {0: [task(9, n=30), task(20, n=12)], 5: [task(40, n=25)], 12: [task(3, n=40)]}
    starts[60] = [task(7, n=9), task(2, n=9)]  # after all others
    alone_each = [alone(model, one, LATE_ENDS) for chosen in starts.values() for one in chosen]
    assert in_turn(model, starts) == alone_each


@pytest.mark.slow
@settings(max_examples=6)
@given(st.dictionaries(st.integers(0, 30), st.lists(tasks, max_size=3), max_size=4))
def test_stories_that_start_at_any_step_are_those_written_alone(
    starts: dict[int, list[TokenizedRequest]],
) -> None:
    chosen = [one for step in sorted(starts) for one in starts[step]]
    assert in_turn(QUICK, starts) == each_alone(QUICK, chosen, LATE_ENDS)


def test_a_model_that_forgets_its_padding_starts_the_next_stories_when_all_are_done() -> None:
    model = sliding()
    starts = {0: [task(9, n=30), task(9, n=12)], 5: [task(9, n=25)]}
    chosen = [one for step in sorted(starts) for one in starts[step]]
    assert in_turn(model, starts) == each_alone(model, chosen, LATE_ENDS)


def test_an_earlier_run_is_repeated_and_continued() -> None:
    one = task(9, n=30)
    whole = ids_of(alone(QUICK, one)[0])
    resumed = replace(one, after=whole[:11], max_new_tokens=19)
    lockstep = Lockstep(QUICK, Vocabulary(TOKENIZER, ENDS))
    rows = [lockstep.submit(each) for each in (task(20, n=5), resumed)]
    while len(lockstep):
        lockstep.step()
    assert ids_of([event for event in rows[1].events if isinstance(event, Chunk)]) == whole


def test_a_dropped_story_leaves_the_batch() -> None:
    lockstep = Lockstep(QUICK, Vocabulary(TOKENIZER, LATE_ENDS))
    rows = [lockstep.submit(task(length, n=20)) for length in (9, 20, 4)]
    for _ in range(5):
        lockstep.step()
    lockstep.drop(rows[1])
    lockstep.drop(lockstep.submit(task(3)))
    assert len(lockstep) == 2
    while len(lockstep):
        lockstep.step()
    assert not rows[1].finished
    assert [result_of(row) for row in (rows[0], rows[2])] == [
        alone(QUICK, task(length, n=20), LATE_ENDS) for length in (9, 4)
    ]


def test_the_cache_is_as_long_as_the_longest_story_of_now() -> None:
    model = qwen()
    forward = BatchForward(model)
    forward.prefill([prompt(30), prompt(9)])
    forward.keep([1])
    other = BatchForward(model)
    other.prefill([prompt(12)])
    forward.join(other)
    lengths = {layer.keys.shape[2] for layer in forward._cache.layers if hasattr(layer, "keys")}
    assert lengths == {12}


@pytest.mark.slow
def test_words_are_spared_as_they_are_alone() -> None:
    model = AutoModelForCausalLM.from_pretrained(DEMO_FOLDER, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(DEMO_FOLDER)
    prompt = tokenizer.encode("Tess saw the orchestra. Pavel saw the orchestr")
    wary = TokenizedRequest(prompt, replace(GREEDY, dry_multiplier=100.0), 40)
    found = together(model, [wary], tokenizer=tokenizer)[0]
    assert found == alone(model, wary, ENDS, tokenizer)
    assert text_of(found[0]).startswith("a")


@pytest.mark.slow
def test_prompts_in_chunks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [task(150, n=20), task(3, n=20), task(70, n=20)]
    expected = each_alone(QUICK, chosen)
    for size in (99, 3):  # for three rows: 33 columns and, at the least, two
        monkeypatch.setattr(forward_module, "PREFILL_CHUNK", size)
        assert together(QUICK, chosen) == expected


@pytest.mark.parametrize(("release", "wide"), [("5.14.1", 9), ("5.15.0", 3)])
def test_padding_is_in_one_chunk_where_releases_would_read_it(
    monkeypatch: pytest.MonkeyPatch, release: str, wide: int
) -> None:
    monkeypatch.setattr(forward_module, "PREFILL_CHUNK", 6)
    monkeypatch.setattr("polaris_cli.engines.local.forward.transformers.__version__", release)
    model = qwen()
    sizes: list[int] = []
    model.register_forward_pre_hook(
        lambda _module, _args, options: sizes.append(options["input_ids"].shape[1]),
        with_kwargs=True,
    )
    together(model, [task(9, n=2), task(3, n=2)])
    assert max(sizes) == wide
    sizes.clear()
    together(model, [task(9, n=2), task(9, n=2)])  # without padding
    assert max(sizes) == 3


def test_a_story_that_is_over_costs_nothing_more() -> None:
    model = qwen()
    rows: list[int] = []
    model.register_forward_pre_hook(
        lambda _module, _args, options: rows.append(len(options["input_ids"])), with_kwargs=True
    )
    together(model, [task(9, n=3), task(5, n=0), task(4, n=6), task(6, n=5)], frozenset())
    assert rows == [3, 3, 3, 2, 2, 1]


def test_the_end_of_a_story_comes_when_it_is_over() -> None:
    chosen = [task(9, n=3), task(5, n=0), task(4, n=9)]
    events = decode_batch(qwen(), Vocabulary(TOKENIZER), chosen)
    order = [number for number, event in events if isinstance(event, Finish)]
    assert order == [1, 0, 2]


def test_an_end_inside_the_thinking_is_replaced_by_a_spelt_tag() -> None:
    model, tokenizer = qwen(), byte_tokenizer(tags=False)
    inside, outside = task(9, n=30, inside=True), task(9, n=30)
    ends = frozenset(ids_of(alone(model, outside, frozenset())[0])[5:6])
    found = together(model, [inside, outside], ends, tokenizer)
    assert found == [alone(model, one, ends, tokenizer) for one in (inside, outside)]
    assert CLOSE in tokenizer.decode(ids_of(found[0][0])) and len(ids_of(found[1][0])) < 30


def test_no_stories_are_no_events() -> None:
    assert together(qwen(), []) == []


@pytest.mark.slow
def test_a_story_may_not_end_before_it_is_allowed_to() -> None:
    model = qwen()
    ends = frozenset(ids_of(alone(model, task(9), frozenset())[0]))  # all that it wants to say
    free, held = together(model, [task(9), task(9, min_new_tokens=60)], ends)
    assert free == ([], Finish("stop", prompt_tokens=9))
    assert len(ids_of(held[0])) == 60 and not ends & set(ids_of(held[0]))


@pytest.mark.parametrize("events", [5, 1000], ids=["closed early", "at its end"])
def test_the_cache_goes_with_the_stream(events: int) -> None:
    model = qwen()
    caches: list[weakref.ref[Any]] = []
    model.register_forward_hook(
        lambda _module, _args, output: caches.append(weakref.ref(output.past_key_values))
    )
    stream: Any = decode_batch(model, Vocabulary(TOKENIZER), [task(9, n=20), task(3, n=30)])
    gc.disable()  # it must go by itself, not when the collector comes round
    try:
        for number, event in islice(stream, events):
            if number == 1 and isinstance(event, Finish):
                assert caches[-1]() is None
        assert (events == 5) == (caches[-1]() is not None)
        stream.close()
        assert caches[-1]() is None
    finally:
        gc.enable()


def test_the_caller_keeps_its_gradients_between_pieces() -> None:
    for _ in decode_batch(qwen(), Vocabulary(TOKENIZER, ENDS), [task(9), task(3)]):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def failing_after(steps: int, fault: Callable[[], object]) -> Any:
    model = qwen()
    calls: list[int] = []

    def hook(*_: Any) -> None:
        calls.append(1)
        if len(calls) > steps:
            fault()

    model.register_forward_pre_hook(hook)
    return model


def test_out_of_memory_ends_all_that_still_run() -> None:
    model = failing_after(5, lambda: torch.empty(2**55))
    over, one, other = together(model, [task(9, n=3), task(4), task(6)], frozenset())
    assert over[1] == Finish("length", prompt_tokens=9)
    for pieces, finish in (one, other):
        assert len(ids_of(pieces)) == 5
        assert finish.reason == "error"
        assert isinstance(finish.error, OutOfMemory)
        assert f"{4 + 5 + 6 + 5} tokens" in finish.error.message
        assert "fewer stories" in finish.error.hint


def test_a_story_that_memory_has_no_room_for_ends_alone() -> None:
    model = qwen()

    def hook(_module: Any, _args: Any, options: dict[str, Any], output: Any) -> None:
        if options["input_ids"].shape == (1, 12):
            last = output.past_key_values.layers[-1]
            last.values = last.values.expand(2**40, -1, -1, -1)  # takes no memory itself

    model.register_forward_hook(hook, with_kwargs=True)
    starts = {0: [task(9, n=12), task(30, n=12)], 4: [task(12)]}
    *running, late = in_turn(model, starts)
    assert running == each_alone(model, starts[0], LATE_ENDS)
    assert late[0] == [] and isinstance(late[1].error, OutOfMemory)


def test_other_faults_are_those_of_the_model() -> None:
    def fault() -> None:
        raise RuntimeError("shapes do not match")

    for pieces, finish in together(failing_after(2, fault), [task(9), task(4)]):
        assert len(ids_of(pieces)) == 2
        assert isinstance(finish.error, ModelUnavailable)
        assert "shapes do not match" in finish.error.message


def test_weights_that_are_no_numbers_are_said_to_be_damaged() -> None:
    model = qwen()
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.nan)
    for pieces, finish in together(model, [task(9), task(4)]):
        assert pieces == []
        assert isinstance(finish.error, ModelUnavailable)


def test_a_grown_cache_keeps_the_rows_it_is_told_to() -> None:
    config = qwen().config
    layer = config.layer_types.index("full_attention")
    stock, grown = DynamicCache(config=config), growing_cache(config)
    left = 4
    for size, rows in ((3, [3, 1, 2]), (1, [0, 2]), (ROOM, [1]), (1, [0])):
        keys, values = torch.randn(2, left, 4, size, 16)
        for cache in (stock, grown):
            cache.update(keys, values, layer)
            cache.reorder_cache(torch.tensor(rows))
        assert torch.equal(stock.layers[layer].keys, grown.layers[layer].keys)
        assert torch.equal(stock.layers[layer].values, grown.layers[layer].values)
        left = len(rows)

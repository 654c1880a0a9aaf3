"""The example of an engine in the module's docstring is complete, and works."""

import re
import textwrap
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest

from polaris_cli.engines import base
from polaris_cli.engines.base import (
    Capabilities,
    Deviation,
    Engine,
    GenerationRequest,
    ModelInfo,
    is_file_type,
)
from polaris_cli.events import Chunk, Finish, Piece
from polaris_cli.models.resolving import resolve
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling, StoryRequest
from polaris_cli.story.prepare import settle
from polaris_cli.story.writing import write_job
from polaris_cli.streaming.thinking import split_thinking


def example() -> Engine:
    found = re.search(r"^ {4}class EchoEngine:.*", base.__doc__ or "", re.M | re.S)
    assert found
    names: dict[str, Any] = {
        "Capabilities": Capabilities,
        "Deviation": Deviation,
        "Finish": Finish,
        "ModelInfo": ModelInfo,
        "Piece": Piece,
        "chain": chain,
        "replace": replace,
        "split_thinking": split_thinking,
    }
    exec(textwrap.dedent(found[0]), names)
    engine: Engine = names["EchoEngine"]()
    return engine


def test_the_example_is_an_engine() -> None:
    engine = example()
    request = GenerationRequest((Message("user", "a fox at sea"),), Sampling(), 3)
    *chunks, finish = engine.stream(request)
    assert [chunk.text for chunk in chunks if isinstance(chunk, Chunk)] == ["a ", "fox ", "at "]
    assert finish == Finish("length", prompt_tokens=4)
    assert engine.deviations(Sampling())[0].ignored
    engine.close()


@pytest.mark.parametrize("quantization", ["Q4_1", "BF16", "IQ4_NL"])
def test_types_of_gguf_files(quantization: str) -> None:
    assert is_file_type(quantization) and not is_file_type(f"{quantization}, 4bit")
    assert not any(map(is_file_type, ("", "none", "4bit", "fp8")))


def test_the_example_writes_a_story() -> None:
    # Not a story: one that repeats its prompt has decayed.
    job = settle(StoryRequest("a fox", 60, model="demo", form="essay"), resolve("demo"))
    *chunks, finish = write_job(job, example())
    assert chunks and isinstance(finish, Finish) and finish.reason == "stop"

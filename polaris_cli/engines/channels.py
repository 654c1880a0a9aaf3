"""Models that write their answer in channels, as gpt-oss does: `uses_channels`.

The thinking is in one channel and the story in another, each with control tokens around it. Servers
separate the two; the engines in this process do not. Loads and asks nothing.
"""

from polaris_cli.errors import ModelUnavailable
from polaris_cli.request.server_address import EXAMPLE

START = "<|start|>assistant"
"""The end of the prompt; the model goes on with the name of the channel."""


def uses_channels(prompt: str) -> bool:
    """Whether the answer to a prompt, as the chat template writes it, comes in channels."""
    return prompt.rstrip().endswith(START)


def needs_server(name: str) -> ModelUnavailable:
    """The error for such a model in this process."""
    return ModelUnavailable(
        f"{name} writes its thinking and the story in channels, as gpt-oss does, which only "
        "a server separates.",
        hint=f"Start vLLM or llama.cpp's server with it, and add {EXAMPLE}",
    )

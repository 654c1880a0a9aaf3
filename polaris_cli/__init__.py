"""polaris writes stories of a requested length with a model on your own machine.

Public names are imported on first use, so that the command line starts fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polaris_cli.api import Interrupted, Settings, open_engine, save, stream, write
    from polaris_cli.engines.base import Engine
    from polaris_cli.errors import ModelUnavailable, OutOfMemory, PolarisError, UsageError
    from polaris_cli.events import (
        Again,
        Chapter,
        ChapterStart,
        Chunk,
        Event,
        Finish,
        Held,
        Inserted,
        Plan,
        Planned,
        Restart,
        text_of,
    )
    from polaris_cli.library.store import Library
    from polaris_cli.request.book import Book
    from polaris_cli.request.server_address import ServerAddress
    from polaris_cli.request.story_request import Draft, Sampling, StoryRequest
    from polaris_cli.story.result import Story

from polaris_cli.version import __version__ as __version__

_HOMES = {
    "stream": "api",
    "write": "api",
    "open_engine": "api",
    "save": "api",
    "Interrupted": "api",
    "Settings": "api",
    "Library": "library.store",
    "Book": "request.book",
    "Engine": "engines.base",
    "ModelUnavailable": "errors",
    "OutOfMemory": "errors",
    "PolarisError": "errors",
    "UsageError": "errors",
    "Again": "events",
    "Chapter": "events",
    "ChapterStart": "events",
    "Chunk": "events",
    "Event": "events",
    "Finish": "events",
    "Held": "events",
    "Inserted": "events",
    "Plan": "events",
    "Planned": "events",
    "Restart": "events",
    "text_of": "events",
    "Draft": "request.story_request",
    "Sampling": "request.story_request",
    "ServerAddress": "request.server_address",
    "StoryRequest": "request.story_request",
    "Story": "story.result",
}

__all__ = [
    "Again",
    "Book",
    "Chapter",
    "ChapterStart",
    "Chunk",
    "Draft",
    "Engine",
    "Event",
    "Finish",
    "Held",
    "Inserted",
    "Interrupted",
    "Library",
    "ModelUnavailable",
    "OutOfMemory",
    "Plan",
    "Planned",
    "PolarisError",
    "Restart",
    "Sampling",
    "ServerAddress",
    "Settings",
    "Story",
    "StoryRequest",
    "UsageError",
    "open_engine",
    "save",
    "stream",
    "text_of",
    "write",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"polaris_cli.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'polaris_cli' has no attribute {name!r}")

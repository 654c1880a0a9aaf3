"""polaris writes stories of a requested length with a model on your own machine.

Public names are imported on first use, so that the command line starts fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polaris_cli.api import Interrupted as Interrupted
    from polaris_cli.api import Settings as Settings
    from polaris_cli.api import open_engine as open_engine
    from polaris_cli.api import save as save
    from polaris_cli.api import stream as stream
    from polaris_cli.api import write as write
    from polaris_cli.engines.base import Engine as Engine
    from polaris_cli.errors import ModelUnavailable as ModelUnavailable
    from polaris_cli.errors import OutOfMemory as OutOfMemory
    from polaris_cli.errors import PolarisError as PolarisError
    from polaris_cli.errors import UsageError as UsageError
    from polaris_cli.events import Again as Again
    from polaris_cli.events import Chapter as Chapter
    from polaris_cli.events import ChapterStart as ChapterStart
    from polaris_cli.events import Chunk as Chunk
    from polaris_cli.events import Event as Event
    from polaris_cli.events import Finish as Finish
    from polaris_cli.events import Held as Held
    from polaris_cli.events import Inserted as Inserted
    from polaris_cli.events import Plan as Plan
    from polaris_cli.events import Planned as Planned
    from polaris_cli.events import Restart as Restart
    from polaris_cli.events import text_of as text_of
    from polaris_cli.library.store import Library as Library
    from polaris_cli.request.book import Book as Book
    from polaris_cli.request.server_address import ServerAddress as ServerAddress
    from polaris_cli.request.story_request import Draft as Draft
    from polaris_cli.request.story_request import Sampling as Sampling
    from polaris_cli.request.story_request import StoryRequest as StoryRequest
    from polaris_cli.story.result import Story as Story

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

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"polaris_cli.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'polaris_cli' has no attribute {name!r}")

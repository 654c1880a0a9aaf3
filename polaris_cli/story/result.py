"""What a story is when it is done: `Story`; `collect` makes it from the stream.

Knows what is recorded; not how a story is written, shown (`screen`) or kept (`library`).
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from polaris_cli.engines.base import ModelInfo
from polaris_cli.events import (
    Chunk,
    Event,
    Finish,
    Outline,
    Outlined,
    Reason,
)
from polaris_cli.request.adherence import length_score, ratio
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Draft, Sampling, StoryRequest
from polaris_cli.story.older import modern
from polaris_cli.story.outline import shortened
from polaris_cli.version import __version__
from polaris_cli.words import count_words, paper_words

SCHEMA = "polaris.story/1"
REST_OF_REQUEST = (
    "model", "revision", "quantize", "device", "compile", "engine", "base_url", "chapters"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tokens:
    """Model tokens: of the prompt, of the thinking, of the story."""

    prompt: int = 0
    thinking: int = 0
    story: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: to load the model, then from asking to the first token, first story text, end.

    `tokens_per_s` counts the tokens after the first one over the time after it.
    """

    load_s: float = 0.0
    first_token_s: float | None = None
    first_story_s: float | None = None
    total_s: float = 0.0
    tokens_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """One story with everything that is recorded of it; the text is empty until it is written.

    `request` is all that was asked for, `created` an ISO 8601 time in UTC, `prompt` the user's turn
    as the model saw it. `outline` is the plan of a story in chapters, `extended` how often the
    story was made to go on.
    """

    id: str
    created: str
    request: StoryRequest
    model: ModelInfo
    prompt: str
    text: str = ""
    thinking: str = ""
    finish: Reason = "interrupted"
    extended: int = 0
    outline: Outline | None = None
    tokens: Tokens = field(default_factory=Tokens)
    timing: Timing = field(default_factory=Timing)
    versions: dict[str, str] = field(default_factory=lambda: versions())

    @property
    def premise(self) -> str:
        """What the story is about, as it was asked for."""
        return self.request.premise

    @property
    def requested(self) -> int:
        """Words asked for, as `wc -w` counts them."""
        return self.request.words

    @property
    def written(self) -> int:
        """Words of the story as `wc -w` counts them; each CJK character is a word."""
        return count_words(self.text)

    @property
    def ratio(self) -> float:
        """Words written / words asked."""
        return ratio(self.written, self.requested)

    @property
    def title(self) -> str:
        """The title of the outline or of the story's first line, else the premise, shortened."""
        planned = self.outline.title if self.outline else _own_title(self.text)
        return planned or shortened(self.premise)

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON types, in the schema `polaris.story/1`."""
        request = self.request
        return {
            "schema": SCHEMA,
            "id": self.id,
            "created": self.created,
            "title": self.title,
            "premise": self.premise,
            "form": request.form,
            "story": self.text,
            "thinking": self.thinking,
            "words": self._words(),
            "finish": self.finish,
            "length": {
                "mode": request.length,
                "headings": request.headings,
                "extended": self.extended,
            },
            "outline": self.outline and self.outline.as_dict(),
            "draft": request.draft and asdict(request.draft),
            "model": asdict(self.model),
            "sampling": asdict(request.sampling),
            "preset": request.preset,
            "template": request.template,
            "request": self._rest_of_request(),
            "prompt": self.prompt,
            "tokens": asdict(self.tokens),
            "timing": asdict(self.timing),
            "versions": self.versions,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Self:
        """The story of a record made by `as_dict`, by an earlier version too.

        Raises KeyError or TypeError for another record.
        """
        record = modern(record)
        return cls(
            id=record["id"],
            created=record["created"],
            request=_request_of(record),
            model=ModelInfo(**record["model"]),
            prompt=record["prompt"],
            text=record["story"],
            thinking=record["thinking"],
            finish=record["finish"],
            extended=record["length"]["extended"],
            outline=record["outline"] and Outline.from_dict(record["outline"]),
            tokens=Tokens(**record["tokens"]),
            timing=Timing(**record["timing"]),
            versions=record["versions"],
        )

    def _rest_of_request(self) -> dict[str, Any]:
        """What was asked for and stands nowhere else in the record."""
        request = self.request
        values = {name: getattr(request, name) for name in REST_OF_REQUEST}
        return {**values, "band": [*request.band], "plan": request.plan and request.plan.as_dict()}

    def _words(self) -> dict[str, Any]:
        paper = paper_words(self.text)
        return {
            "requested": self.requested,
            "written": self.written,
            "ratio": round(self.ratio, 4),
            "paper_written": paper,
            "paper_ratio": round(ratio(paper, self.requested), 4),
            "length_score": round(length_score(paper, self.requested), 4),
        }


def _request_of(record: dict[str, Any]) -> StoryRequest:
    rest, length = record["request"], record["length"]
    return StoryRequest(
        premise=record["premise"],
        words=record["words"]["requested"],
        form=record["form"],
        preset=record["preset"],
        template=record["template"],
        sampling=Sampling(**record["sampling"]),
        length=length["mode"],
        headings=length["headings"],
        draft=Draft(**record["draft"]) if record["draft"] else None,
        band=tuple(rest["band"]),
        plan=Outline.from_dict(rest["plan"]) if rest["plan"] else None,
        **{name: rest[name] for name in REST_OF_REQUEST},
    )


def begin(
    request: StoryRequest, model: ModelInfo, messages: tuple[Message, ...], prompt_tokens: int = 0
) -> Story:
    """The record of a story that is about to be written, with a new id."""
    return Story(
        id=os.urandom(4).hex(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        request=request,
        model=model,
        prompt=messages[-1].content,
        tokens=Tokens(prompt=prompt_tokens),
    )


def collect(events: Iterator[Event], begun: Story, *, load_s: float = 0.0) -> Story:
    """Read the stream to its end and return the finished story.

    A stream that ends without a `Finish` counts as interrupted. White space at the end of the
    story is dropped, so that a printed story ends with exactly one line break.
    """
    return collect_with_finish(events, begun, load_s=load_s)[0]


def collect_with_finish(
    events: Iterator[Event], begun: Story, *, load_s: float = 0.0
) -> tuple[Story, Finish]:
    """As `collect`, with the `Finish` too, whose error tells why a story broke off."""
    tally = _Tally()
    finish = Finish("interrupted")
    for event in events:
        match event:
            case Finish():
                finish = event
            case Outlined():
                begun = replace(begun, outline=event.outline)
            case Chunk():
                tally.add(event)
    story = replace(
        begun,
        text="".join(tally.texts["story"]).rstrip(),
        thinking="".join(tally.texts["thinking"]).strip(),
        finish=finish.reason,
        extended=finish.extended,
        tokens=Tokens(
            prompt=finish.prompt_tokens or begun.tokens.prompt,
            thinking=tally.tokens["thinking"],
            story=tally.tokens["story"],
        ),
        timing=tally.timing(load_s),
    )
    return story, finish


class _Tally:
    """What a stream has brought so far: text and tokens by kind, and when the firsts came."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {"thinking": [], "story": []}
        self.tokens = {"thinking": 0, "story": 0}
        self._start = time.perf_counter()
        self._first_token: float | None = None
        self._first_story: float | None = None

    def add(self, chunk: Chunk) -> None:
        now = time.perf_counter() - self._start
        if chunk.tokens:  # a draft and a heading are no model's
            self._first_token = self._first_token or now
            if chunk.kind == "story" and chunk.text:
                self._first_story = self._first_story or now
        self.texts[chunk.kind].append(chunk.text)
        self.tokens[chunk.kind] += chunk.tokens

    def timing(self, load_s: float) -> Timing:
        total = time.perf_counter() - self._start
        after_first = sum(self.tokens.values()) - 1
        span = total - (self._first_token or 0.0)
        speed = after_first / span if after_first > 0 and span > 0 else None
        return Timing(
            load_s=round(load_s, 3),
            first_token_s=_rounded(self._first_token),
            first_story_s=_rounded(self._first_story),
            total_s=round(total, 3),
            tokens_per_s=_rounded(speed, 1),
        )


def _rounded(seconds: float | None, digits: int = 3) -> float | None:
    return None if seconds is None else round(seconds, digits)


def _own_title(text: str) -> str:
    """A Markdown heading, or a short bold line, at the very start."""
    first = text.lstrip().split("\n", 1)[0].strip()
    if first.startswith("#"):
        return first.lstrip("#").replace("*", "").strip(" _")
    bold = first.startswith("**") and first.endswith("**") and len(first) < 100
    return first.replace("*", "").strip() if bold else ""


def versions() -> dict[str, str]:
    """The versions that decide what a model writes, read without importing the packages."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"polaris": __version__}
    for package in ("transformers", "torch"):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found

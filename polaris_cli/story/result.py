"""The record of a story: `Story`, and its JSON form.

Does not know how a story is written, built from its stream (`accumulator`), shown (`screen`) or
stored (`library`).
"""

import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self

from polaris_cli.engines.base import Deviation, ModelInfo
from polaris_cli.errors import UsageError
from polaris_cli.events import Again, Plan, Planned, Reason
from polaris_cli.languages import is_known, language_of
from polaris_cli.request.adherence import length_score, ratio
from polaris_cli.request.book import Book
from polaris_cli.request.prompts import Message
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import Draft, Sampling, StoryRequest
from polaris_cli.story.old_records import upgrade_record
from polaris_cli.story.plan import shortened
from polaris_cli.story.quality import Quality
from polaris_cli.streaming.headings import title_in, without_fence
from polaris_cli.version import __version__
from polaris_cli.words import (
    count_words,
    has_unspaced_words,
    paper_words,
    story_words,
    word_breaker,
)

SCHEMA = "polaris.story/1"
TEXTS = ("id", "created", "story", "thinking", "prompt")  # in a record
REST_OF_REQUEST = (
    "model", "revision", "quantize", "device", "compile", "engine", "gguf_file", "threads",
    "chapters",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tokens:
    """The number of tokens in the prompt, the thinking, the plan and the story."""

    prompt: int = 0
    thinking: int = 0
    plan: int = 0
    story: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds to load the model, then from the start of writing to the first token, the first
    story text and the end.

    `tokens_per_s` is the tokens after the first one divided by the time after it. `tokens` counts
    what was written in that time: those of text that was dropped too, but not those of an earlier
    run, which a resumed story also has. It is None in old records.
    """

    load_s: float = 0.0
    first_token_s: float | None = None
    first_story_s: float | None = None
    total_s: float = 0.0
    tokens_per_s: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a story belongs, if it is written with others.

    `key` names it in its batch, `fingerprint` is a digest of what was asked for, `row` and
    `input_id` are those of its premise in the input, `scale` is what an evaluation has multiplied
    its length by. `draft` counts the drafts of one request, which share a `group`; `chosen` marks
    the draft that the user prefers.
    """

    key: str = ""
    fingerprint: str = ""
    row: int | None = None
    input_id: str = ""
    scale: float = 1.0
    group: str = ""
    draft: int | None = None
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """The record of one story; the text is empty until it is written.

    `created` is an ISO 8601 time in UTC, `prompt` the last user message as the model saw it.
    `error` is why it failed, with what to do about it, if `finish` is "error".
    `extended` is how many times the story was continued after an early end, `rewritten` how many
    times a passage that had decayed or was too long was written again; `closed` says that the text
    was ended at its length, before the model ended it. `aside` is what the model said about the
    story before and after it. `plan` is the plan of a story in chapters, `place` that of a story
    written with others; `deviations` are the settings that the engine did not apply as asked.
    """

    id: str
    created: str
    request: StoryRequest
    model: ModelInfo
    prompt: str
    text: str = ""
    thinking: str = ""
    aside: str = ""
    finish: Reason = "interrupted"
    error: str = ""
    extended: int = 0
    rewritten: int = 0
    closed: bool = False
    plan: Plan | None = None
    place: Place | None = None
    quality: Quality = field(default_factory=Quality)
    deviations: tuple[Deviation, ...] = ()
    tokens: Tokens = field(default_factory=Tokens)
    timing: Timing = field(default_factory=Timing)
    versions: dict[str, str] = field(default_factory=lambda: versions())

    @property
    def premise(self) -> str:
        """What the story is about, in the user's words."""
        return self.request.premise

    @property
    def requested(self) -> int:
        """Words requested, as `wc -w` counts them."""
        return self.request.words

    @property
    def written(self) -> int:
        """Words of the story as `wc -w` counts them; each CJK character is a word."""
        return count_words(self.text)

    @property
    def segmented(self) -> int | None:
        """Words as ICU finds them, for a story with Thai, Lao, Khmer or Burmese in it; None for
        others, and without ICU."""
        return self.counted if has_unspaced_words(self.text) and word_breaker() else None

    @property
    def counted(self) -> int:
        """The words that the ratio is of: `segmented` if there is that count, else `written`."""
        return story_words(self.text)

    @property
    def ratio(self) -> float:
        """Words written / words requested."""
        return ratio(self.counted, self.requested)

    @property
    def title(self) -> str:
        """The title that the user gave, else the story's own, else the premise, cut."""
        return self.request.book.title or self.own_title or shortened(self.premise)

    @property
    def own_title(self) -> str:
        """The title of the plan, else a heading at the start of the text, else ""."""
        if self.plan:
            return self.plan.title
        return title_in(without_fence(self.text).lstrip().split("\n", 1)[0])

    @property
    def language(self) -> str:
        """The language tag that the user gave, else one from the text's script; "und" or
        "und-Cyrl" and the like if that is not enough."""
        return self.request.book.language or language_of(self.text)

    def after(self, event: Planned | Again) -> Self:
        """The story with what an event says of it."""
        if isinstance(event, Planned):
            return replace(self, plan=event.plan)
        return replace(self, **{event.what: getattr(self, event.what) + 1})

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON types, in the schema `polaris.story/1`."""
        request = self.request
        return {
            "schema": SCHEMA,
            "id": self.id,
            "created": self.created,
            "title": self.title,
            "author": request.book.author or None,
            "language": self.language if is_known(self.language) else None,
            "premise": self.premise,
            "form": request.form,
            "story": self.text,
            "thinking": self.thinking,
            "aside": self.aside,
            "words": self._words(),
            "finish": self.finish,
            "error": self.error or None,
            "length": {
                "mode": request.length,
                "headings": request.headings,
                "extended": self.extended,
                "rewritten": self.rewritten,
                "closed": self.closed,
            },
            "quality": self.quality.as_dict(),
            "outline": self.plan and self.plan.as_dict(),
            "draft": request.draft and asdict(request.draft),
            "model": asdict(self.model),
            "sampling": asdict(request.sampling),
            "deviations": [asdict(deviation) for deviation in self.deviations],
            "preset": request.preset,
            "template": request.template,
            "request": self._rest_of_request(),
            "prompt": self.prompt,
            "tokens": asdict(self.tokens),
            "timing": asdict(self.timing),
            "batch": self.place and asdict(self.place),
            "versions": self.versions,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Self:
        """The story of a record that `as_dict` made, in this version or an earlier one.

        Raises ValueError for any other record.
        """
        try:
            return cls._of(upgrade_record(record))
        except KeyError as error:
            raise ValueError(f"the record is not whole: {error} is missing") from error
        except (AttributeError, TypeError, UsageError) as error:
            raise ValueError(f"the record is damaged: {str(error).rstrip('.')}") from error

    @classmethod
    def _of(cls, record: dict[str, Any]) -> Self:
        _check_texts({name: record[name] for name in TEXTS} | record["request"].get("book", {}))
        return cls(
            id=record["id"],
            created=record["created"],
            request=_request_of(record),
            model=ModelInfo(**record["model"]),
            prompt=record["prompt"],
            text=record["story"],
            thinking=record["thinking"],
            aside=record.get("aside", ""),
            finish=record["finish"],
            error=record.get("error") or "",
            extended=record["length"]["extended"],
            rewritten=record["length"].get("rewritten", 0),
            closed=record["length"].get("closed", False),
            plan=record["outline"] and Plan.from_dict(record["outline"]),
            quality=_quality_of(record["quality"]),
            deviations=tuple(Deviation(**values) for values in record["deviations"]),
            tokens=Tokens(**record["tokens"]),
            timing=Timing(**record["timing"]),
            place=Place(**record["batch"]) if record.get("batch") else None,
            versions=record["versions"],
        )

    def _rest_of_request(self) -> dict[str, Any]:
        """The values of the request that the record has nowhere else."""
        request = self.request
        values = {name: getattr(request, name) for name in REST_OF_REQUEST}
        return {
            **values,
            "server": request.server and asdict(request.server),
            "band": [*request.band],
            "plan": request.plan and request.plan.as_dict(),
            "book": asdict(request.book),
        }

    def _words(self) -> dict[str, Any]:
        paper = paper_words(self.text)
        return {
            "requested": self.requested,
            "written": self.written,
            "segmented": self.segmented,
            "ratio": round(self.ratio, 4),
            "paper_written": paper,
            "paper_ratio": round(ratio(paper, self.requested), 4),
            "length_score": round(length_score(paper, self.requested), 4),
        }


def _check_texts(values: dict[str, Any]) -> None:
    """Raise TypeError if one of the values is not a text."""
    for name, value in values.items():
        if not isinstance(value, str):
            raise TypeError(f"the {name} is not a text")


def _quality_of(record: dict[str, Any] | None) -> Quality:
    """The figures in a record; those of earlier versions have none."""
    return Quality(**{**record, "curve": tuple(record["curve"])}) if record else Quality()


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
        plan=Plan.from_dict(rest["plan"]) if rest["plan"] else None,
        book=Book(**rest.get("book", {})),
        server=ServerAddress(**rest["server"]) if rest["server"] else None,
        **{name: rest[name] for name in REST_OF_REQUEST},
    )


def is_record(record: dict[str, Any]) -> bool:
    """Whether `Story.from_dict` can read a record."""
    try:
        Story.from_dict(record)
    except ValueError:
        return False
    return True


def new_record(
    request: StoryRequest,
    model: ModelInfo,
    messages: tuple[Message, ...],
    prompt_tokens: int = 0,
    place: Place | None = None,
) -> Story:
    """The record of a story that is not written yet, with a new id."""
    return Story(
        id=new_id(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        request=request,
        model=model,
        prompt=messages[-1].content,
        place=place,
        tokens=Tokens(prompt=prompt_tokens),
    )


def new_id() -> str:
    """An id for a story or a group of drafts: 48 random bits, as twelve hexadecimal digits."""
    return os.urandom(6).hex()


def versions() -> dict[str, str]:
    """The versions of the packages that affect the text, read without importing them."""
    return {"polaris": __version__, **dict(_installed())}


@cache  # reading a package's metadata takes milliseconds
def _installed() -> tuple[tuple[str, str], ...]:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in ("transformers", "torch", "xllamacpp"):
        with suppress(PackageNotFoundError):
            found.append((package, version(package)))
    return tuple(found)

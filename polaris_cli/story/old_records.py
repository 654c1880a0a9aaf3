"""Upgrades records and streams from earlier versions of polaris to the current format.

The only module that knows the old formats.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from polaris_cli.events import ChapterStart, Chunk, Event, Inserted, Plan, Restart
from polaris_cli.models import catalogue
from polaris_cli.request.story_request import PLAIN_TEMPLATE, QUANTIZE

# What the request of a record has since engines other than transformers were added.
ADDED = {"gguf_file": None, "threads": None, "server": None}


def is_older(record: dict[str, Any]) -> bool:
    """Whether a record was written before 0.2."""
    return "request" not in record


def upgrade_record(record: dict[str, Any]) -> dict[str, Any]:
    """The record in the current format of `Story.as_dict`.

    Before 0.2, a record did not have the request's own values, only the resulting ones: the model
    and quantization used, and the chapters of the plan. Raises KeyError if it is not a record.
    """
    record = {"deviations": [], "quality": None, **record}
    if not is_older(record):
        return {**record, "request": {**ADDED, **record["request"]}}
    model, plan = record["model"], record["outline"]
    used = model["quantization"]
    request = {
        "model": model["name"] if catalogue.find(model["name"]) else model["id"],
        "revision": model["revision"],
        "quantize": used if used in QUANTIZE else "auto",
        "device": "auto",
        "compile": True,
        "engine": "local",
        **ADDED,
        "chapters": len(plan["chapters"]) if plan else None,
        "band": [0.90, 1.10],
        "plan": None,
    }
    return {"template": PLAIN_TEMPLATE, "draft": None, **record, "request": request}


def upgrade_events(events: Iterable[Event], record: dict[str, Any]) -> Iterator[Event]:
    """The events of a stream from before 0.2, which marked structure by empty fields.

    A heading had neither tokens nor ids, a scene break had ids but no tokens, the text of a plan
    had tokens but no ids, and a restart was a thinking chunk of two line breaks.
    """
    chunks = [event for event in events if isinstance(event, Chunk)]
    if record["outline"]:
        return _chapters(chunks, Plan.from_dict(record["outline"]))
    return _one_text(chunks, drafted=bool(record.get("draft")))


def _one_text(chunks: list[Chunk], *, drafted: bool) -> Iterator[Event]:
    attempts = 0
    for place, chunk in enumerate(chunks):
        if chunk.kind == "thinking" and not chunk.ids:
            attempts += 1
            yield Restart(attempts)
        elif chunk.kind == "story" and not chunk.tokens:
            kind = "draft" if drafted and place == 0 else "ending"
            yield _break(chunk) if chunk.ids else Inserted(kind, chunk.text)  # type: ignore[arg-type]
        else:
            yield chunk


def _chapters(chunks: list[Chunk], plan: Plan) -> Iterator[Event]:
    number = attempts = 0
    written = True  # whether the current chapter has text
    for chunk in chunks:
        if chunk.kind == "thinking" and not chunk.ids:
            if number:
                attempts += 1
            yield Restart(attempts) if number else chunk
            continue
        if written and (chunk.kind == "thinking" or not chunk.ids) and number < len(plan.chapters):
            number, attempts, written = number + 1, 0, False
            yield ChapterStart(number, plan.chapters[number - 1].title)
        if chunk.kind == "story" and not chunk.tokens:
            yield _break(chunk) if chunk.ids else Inserted("heading", chunk.text)
        else:
            written = written or chunk.kind == "story"
            yield chunk


def _break(chunk: Chunk) -> Inserted:
    return Inserted("scene break", chunk.text, chunk.ids)

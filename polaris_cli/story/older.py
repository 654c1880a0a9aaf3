"""Records and streams that earlier versions of polaris wrote, made what this version writes.

Knows the formats of old; nothing else has to.
"""

from typing import Any

from polaris_cli.models import catalogue
from polaris_cli.request.story_request import PLAIN_TEMPLATE, QUANTIZE


def modern(record: dict[str, Any]) -> dict[str, Any]:
    """A record as `Story.as_dict` makes it today.

    Before 0.2 a record told of the request only what had an effect: the model and quantization as
    they ran, the chapters that the plan had. Raises KeyError for what is no record.
    """
    if "request" in record:
        return record
    model, outline = record["model"], record["outline"]
    ran = model["quantization"]
    request = {
        "model": model["name"] if catalogue.find(model["name"]) else model["id"],
        "revision": model["revision"],
        "quantize": ran if ran in QUANTIZE else "auto",
        "device": "auto",
        "compile": True,
        "engine": "local",
        "base_url": None,
        "chapters": len(outline["chapters"]) if outline else None,
        "band": [0.90, 1.10],
        "plan": None,
    }
    return {"template": PLAIN_TEMPLATE, "draft": None, **record, "request": request}

"""How a story was written, as people read it: `origin_of`.

Knows records. Does not know what is shown of them.
"""

from dataclasses import fields

from polaris_cli.story.result import Story

APART = {"seed", "max_new_tokens", "thinking", "thinking_budget"}  # of the settings of sampling


def origin_of(story: Story) -> dict[str, str]:
    """The model's files, engine, machine, settings, versions and day of a story."""
    request, model = story.request, story.model
    weights = (model.dtype, model.quantization, model.kernel)
    versions = (f"{name} {version}" for name, version in story.versions.items() if version)
    found = {
        "weights": _joined(model.id, model.revision, *weights),
        "engine": _joined(model.engine, model.server),
        "machine": _joined(model.device_name or model.device, _threads(model.threads)),
        "preset": request.preset,
        "length": request.length,
        "sampling": _sampling(story),
        "versions": _joined(*versions),
        "written": story.created[:10],
    }
    return {name: value for name, value in found.items() if value}


def _sampling(story: Story) -> str:
    sampling = story.request.sampling
    values = (
        f"{one.name} {getattr(sampling, one.name):g}"
        for one in fields(sampling)
        if one.name not in APART
    )
    return _joined(*values, f"thinking {'on' if sampling.thinking else 'off'}")


def _threads(count: int | None) -> str:
    return f"{count} thread{'s' if count > 1 else ''}" if count else ""


def _joined(*parts: object) -> str:
    return ", ".join(str(part) for part in parts if part and part != "none")

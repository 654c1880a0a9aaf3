"""Everything that is settled about a story before a model is loaded: `prepare`.

Puts settings, preset, prompt, model reference, budget and advice together, so that a bad request
is refused at once and `--dry-run` can show all of it. Loads no model and no tokenizer.
"""

from collections.abc import Mapping
from dataclasses import replace

from polaris_cli.events import Plan
from polaris_cli.models.catalogue import ModelProfile
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.resolving import resolve
from polaris_cli.request.budget import Budget, token_budget
from polaris_cli.request.premise import read_length
from polaris_cli.request.presets import load_preset
from polaris_cli.request.prompts import Message, messages_for
from polaris_cli.request.settings import Setting, Source, build_request, gather, merge
from polaris_cli.request.story_request import Draft, Length, StoryRequest
from polaris_cli.story.advice import advice, on_length
from polaris_cli.story.job import Job, prompt_estimate
from polaris_cli.story.length import chapter_count
from polaris_cli.words import count_words

MODEL = ("model", "revision")  # the settings that say which model is meant
BUILT_IN = {"preset": "default", "words": 1_500}  # where no source says otherwise


def prepare(
    premise: str | None,
    options: Mapping[str, object],
    draft: Draft | None = None,
    plan: Plan | None = None,
) -> Job:
    """Settle a request from a premise and the command's options (None: not given).

    `draft` is a text to go on with; what it is about, it says itself where no premise does. `plan`
    is a plan to write by; its chapters share the words that are asked for. Raises UsageError for
    anything that cannot be right, ModelUnavailable for a model that nobody knows.
    """
    sources = gather(options)
    chosen = merge(sources)
    model, revision = (chosen[name].value if name in chosen else None for name in MODEL)
    reference = resolve(model or "auto", revision)
    settings = settings_for(premise or "", sources, reference, draft)
    about = premise or (draft.about if draft else "")
    request = replace(build_request(about, settings, draft), plan=plan)
    job = settle(request, reference)
    said = on_length(read_length(premise or ""), settings["words"])
    return replace(job, settings=settings, notes=(*said, *job.notes))


def settle(asked: StoryRequest, reference: ModelRef | None = None) -> Job:
    """The job of a whole request; `reference` is its model, if that has been resolved already.

    `auto` is settled here: the request then names the model, and the way to reach its length.
    Raises UsageError for words that do not fit the context, ModelUnavailable as `resolve` does.
    """
    reference = reference or resolve(asked.model, asked.revision)
    profile = reference.profile
    plan = asked.plan.shared(asked.words) if asked.plan else None
    length = _length(asked, profile)
    request = replace(
        asked,
        model=reference.name if asked.model == "auto" else asked.model,
        length=length,
        chapters=_chapters(asked, profile) if length == "chapters" else None,
        plan=plan,
    )
    messages = messages_for(request)
    budget = budget_for(request, messages, profile)
    notes = (*filter(None, [reference.note]), *advice(request, reference, budget))
    return Job(request, reference, messages, budget, plan, notes=notes)


def _length(request: StoryRequest, profile: ModelProfile) -> Length:
    """`auto` means a single pass inside the range that the model writes well, else chapters."""
    if request.plan:
        return "chapters"
    if request.length != "auto":
        return request.length
    if request.draft:
        return "extend"
    return "single" if request.words <= profile.good_words[1] else "chapters"


def _chapters(request: StoryRequest, profile: ModelProfile) -> int:
    """How many chapters: those of the plan, else those asked for, else what suits the model."""
    if request.plan:
        return len(request.plan.chapters)
    return request.chapters or chapter_count(request.words, profile)


def settings_for(
    premise: str,
    sources: list[Source],
    reference: ModelRef,
    draft: Draft | None = None,
) -> dict[str, Setting]:
    """Every setting with its source; `sources` are the user's own, strongest first.

    Between these and the preset come the length that the premise or the draft's own file states,
    and what suits the model better.
    """
    sources = [*sources]
    chosen = merge(sources)
    preset = load_preset(chosen.get("preset", Setting("default", "built in")).value)
    stated = read_length(premise).length
    if stated and "words" not in chosen:  # with other words its band would mean nothing
        band = {"band": stated.band} if stated.band else {}
        sources.append(("the premise", {"words": stated.words, **band}))
    if draft and draft.words:
        sources.append(("the draft", {"words": draft.words}))
    values = {key: value for key, value in preset.values.items() if key != "description"}
    below = [(f"preset {preset.name}", values)]
    suited = (f"model {reference.name}", dict(reference.profile.settings))
    # What suits the model wins over the default preset, not over a chosen one.
    below = [*below, suited] if "preset" in chosen else [suited, *below]
    return merge([*sources, *below, ("built in", BUILT_IN)])


def budget_for(
    request: StoryRequest,
    messages: tuple[Message, ...],
    profile: ModelProfile,
    *,
    context: int | None = None,
    prompt_tokens: int | None = None,
) -> Budget:
    """The request's token budget, with the loaded model's figures where they are given."""
    if prompt_tokens is None:
        prompt_tokens = prompt_estimate(request, messages)
    drafted = count_words(request.draft.text) if request.draft else 0
    return token_budget(
        max(request.words - drafted, 1),
        request.sampling,
        context=context or profile.context,
        prompt_tokens=prompt_tokens,
        tokens_per_word=profile.tokens_per_word,
    )

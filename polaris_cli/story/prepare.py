"""Settles everything about a story before a model is loaded: `prepare`.

Combines settings, preset, prompt, model reference, token budget and advice, so that a bad request
fails at once and `--dry-run` can show all of it. Loads no model and no tokenizer.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec

from polaris_cli.errors import UsageError
from polaris_cli.events import Plan
from polaris_cli.models.catalogue import ModelProfile, PlanKind
from polaris_cli.models.parameters import with_parameters
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.resolving import choose_file, resolve
from polaris_cli.request.budget import Budget, token_budget
from polaris_cli.request.premise import read_length
from polaris_cli.request.presets import load_preset
from polaris_cli.request.prompts import Message, messages_for
from polaris_cli.request.settings import (
    Setting,
    Source,
    build_request,
    gather,
    merge,
    naming_sources,
    server_address,
)
from polaris_cli.request.story_request import Draft, EngineName, Length, StoryRequest
from polaris_cli.story.advice import advice, on_length, on_unused
from polaris_cli.story.arc import arc_plan
from polaris_cli.story.job import Job, prompt_estimate
from polaris_cli.story.length import chapter_count
from polaris_cli.story.plan_file import PlanFile
from polaris_cli.story.wording import wording_for
from polaris_cli.words import story_words

MODEL = ("model", "revision", "gguf_file", "engine")  # the settings that name the model
BUILT_IN = {"preset": "default", "words": 1_500, "length": "auto"}  # the weakest source


def prepare(
    premise: str | None,
    options: Mapping[str, object],
    draft: Draft | None = None,
    plan: PlanFile | None = None,
    *,
    resolved: Callable[..., ModelRef] = resolve,
) -> Job:
    """The job for a premise and the command's options (None: not given).

    `draft` is a text to continue; without a premise, the draft's own is used. `plan` is one to
    follow, scaled to the words requested, `resolved` what finds the model. Raises UsageError for an
    invalid request, ModelUnavailable for an unknown model.
    """
    options_given, *others = gather(options)
    sources = [options_given, *([("the plan", plan.settings)] if plan else []), *others]
    chosen = merge(sources)
    with naming_sources(chosen):
        reference = _found(chosen, resolved)
        settings = settings_for(premise or "", sources, reference, draft)
        if not (reference.gguf_name or reference.gguf_files):
            settings.pop("gguf_file", None)  # `_found` did without it
        subject = premise or (draft.about if draft else "")
        request = build_request(subject, settings, draft)
        request = replace(request, plan=plan.plan if plan else None)
        job = replace(settle(request, reference), settings=settings)
    length_notes = on_length(read_length(premise or ""), settings["words"])
    return replace(job, notes=(*length_notes, *on_unused(job), *job.notes))


def _found(chosen: Mapping[str, Setting], resolved: Callable[..., ModelRef]) -> ModelRef:
    """The model of the settings.

    A GGUF file that config.toml names counts only for a model that has such files to choose from.
    """
    model, revision, file, engine = (chosen[n].value if n in chosen else None for n in MODEL)
    named = [model or "auto", revision, server_address(chosen)]
    try:
        return resolved(*named, file, engine or "auto")
    except UsageError:
        if not file or chosen["gguf_file"].source != "config.toml":
            raise
        reference = resolved(*named, None, engine or "auto")
        if reference.gguf_files:
            raise
        return reference


def settle(original: StoryRequest, reference: ModelRef | None = None) -> Job:
    """The job for a whole request; `reference` is its model, if it is resolved already.

    Replaces `auto` by the name of the model and by the length mode that is used. Raises UsageError
    for words that do not fit the context, ModelUnavailable as `resolve` does.
    """
    reference = reference or resolve(
        original.model, original.revision, original.server, original.gguf_file, original.engine
    )
    profile = reference.profile
    plan = original.plan.shared(original.words) if original.plan else None
    length = _length(original, profile)
    if length == "chapters":  # only a plan depends on the number of parameters
        reference = with_parameters(reference)
    request = replace(
        original,
        model=reference.name if original.model == "auto" else original.model,
        engine=engine_name_for(original, reference),
        length=length,
        chapters=_chapters(original, profile) if length == "chapters" else None,
        plan=plan,
    )
    messages = _first_messages(request, plan, reference.profile.plans)
    budget = budget_for(request, messages, profile)
    tokens = prompt_estimate(request, messages) + budget.max_new_tokens
    reference = choose_file(reference, tokens, request.engine, request.device)
    request = replace(request, gguf_file=reference.gguf_name)
    notes = (*filter(None, [reference.note]), *advice(request, reference, budget))
    return Job(request, reference, messages, budget, plan, notes=notes)


def _first_messages(
    request: StoryRequest, plan: Plan | None, plans: PlanKind
) -> tuple[Message, ...]:
    """What the model is asked first: for the story, for its plan, or for the first chapter."""
    if request.length != "chapters" or not (plan or plans == "arc"):
        return messages_for(request, full_plan=plans == "full")
    followed = plan or arc_plan(request, request.chapters or 1)
    wording, first = wording_for(request, followed), followed.chapters[0]
    ask = wording.ask(1, len(followed.chapters), first, first.words)
    return (*wording.preface, Message("user", ask))


def _length(request: StoryRequest, profile: ModelProfile) -> Length:
    """The length mode; `auto` is extending up to the words that the model writes well."""
    if request.plan:
        return "chapters"
    if request.length != "auto":
        return request.length
    if request.draft or request.words <= profile.good_words[1]:
        return "extend"
    return "chapters"


def engine_name_for(request: StoryRequest, reference: ModelRef) -> EngineName:
    """The engine; `auto` is llama.cpp for a GGUF file where it is installed, else transformers."""
    if request.engine != "auto":
        return request.engine
    if reference.server:
        return "endpoint"
    return "gguf" if reference.is_gguf and find_spec("xllamacpp") else "local"


def _chapters(request: StoryRequest, profile: ModelProfile) -> int:
    """How many chapters: from the plan, else from the request, else by the model's profile."""
    if request.plan:
        return len(request.plan.chapters)
    return request.chapters or chapter_count(request.words, profile)


def settings_for(
    premise: str,
    sources: list[Source],
    reference: ModelRef,
    draft: Draft | None = None,
) -> dict[str, Setting]:
    """Every setting with its source; `sources` are the user's, strongest first.

    They are followed by the length that the premise states, by what the draft's file says, then by
    the preset and the settings of the model's profile.
    """
    sources = [*sources]
    chosen = merge(sources)
    preset = load_preset(chosen.get("preset", Setting("default", "built in")).value)
    stated = read_length(premise).length
    if stated and "words" not in chosen:  # the stated band goes with the stated words only
        band = {"band": stated.band} if stated.band else {}
        sources.append(("the premise", {"words": stated.words, **band}))
    if draft:
        sources.append(("the draft", draft.settings))
    values = {key: value for key, value in preset.values.items() if key != "description"}
    below = [(f"preset {preset.name}", values)]
    suited = (f"model {reference.name}", dict(reference.profile.settings))
    # The model's settings override the default preset, but not one that the user chose.
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
    """The request's token budget: that of a story in chapters is for all of them together.

    `context` and `prompt_tokens` are exact figures of the loaded model; without them, the context
    of the profile and an estimate of the prompt's length are used.
    """
    drafted = story_words(request.draft.text) if request.draft else 0
    if prompt_tokens is None:
        if drafted >= request.words:  # it stays as it is, also if no model could read it
            return Budget(0, 0, 0)
        prompt_tokens = prompt_estimate(request, messages)
    words, sampling, chapter = max(request.words - drafted, 1), request.sampling, 0
    if request.length == "chapters":
        sampling = replace(sampling, max_new_tokens=None)  # the user's is one of each answer
        chapter = _longest_chapter(request, words)
    return token_budget(
        words,
        sampling,
        context=context or profile.context,
        prompt_tokens=prompt_tokens,
        tokens_per_word=profile.tokens_per_word,
        drafted=drafted,
        chapter=chapter,
    )


def _longest_chapter(request: StoryRequest, words: int) -> int:
    """The words of the longest chapter, of a plan or of chapters of the same length."""
    if request.plan:
        return max(chapter.words for chapter in request.plan.chapters)
    return math.ceil(words / (request.chapters or 1))

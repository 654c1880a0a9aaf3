"""Everything that is settled about a story before a model is loaded: `prepare`.

Puts settings, preset, prompt, model reference, budget and advice together, so that a bad request
is refused at once and `--dry-run` can show all of it. Loads no model and no tokenizer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from polaris_cli.models.cache import ModelRef
from polaris_cli.models.catalogue import CatalogueEntry, find
from polaris_cli.models.hub import resolve
from polaris_cli.request.budget import DEFAULT_TOKENS_PER_WORD, Budget, token_budget
from polaris_cli.request.premise import read_length
from polaris_cli.request.presets import load_preset
from polaris_cli.request.prompts import Message, messages_for
from polaris_cli.request.settings import Setting, build_request, gather, merge
from polaris_cli.request.story_request import Draft, Length, StoryRequest
from polaris_cli.story.advice import advice, on_length
from polaris_cli.story.chapters import Habits
from polaris_cli.words import count_words

UNKNOWN_CONTEXT = 262_144  # until the model is loaded and tells its own
BUILT_IN = {"preset": "default", "words": 1_500}  # where no source says otherwise
BYTES_PER_TOKEN = 5  # of English; the exact count comes with the tokenizer


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that can go to a model, and what is known of it beforehand.

    `settings` holds each value with its source, `budget` uses an estimate of the prompt's length.
    """

    request: StoryRequest
    settings: dict[str, Setting]
    messages: tuple[Message, ...]
    reference: ModelRef
    budget: Budget
    notes: tuple[str, ...]

    @property
    def entry(self) -> CatalogueEntry | None:
        """What the catalogue knows of the model, None where it does not."""
        return self.reference.entry

    @property
    def tokens(self) -> int:
        """The longest sequence that may come of it, prompt and output, in tokens (an estimate)."""
        return _prompt_estimate(self.messages, self.request.draft) + self.budget.max_new_tokens


def prepare(
    premise: str | None, options: Mapping[str, object], draft: Draft | None = None
) -> Prepared:
    """Settle a request from a premise and the command's options (None: not given).

    `draft` is a text to go on with; what it is about, it says itself where no premise does.
    `auto` is settled here: the request then names the model and the way that it stands for.
    Raises UsageError for anything that cannot be right, ModelUnavailable for a model that nobody
    knows.
    """
    settings = settings_for(premise or "", options, draft)
    about = premise or (draft.about if draft else "")
    said = on_length(read_length(premise or ""), settings["words"])
    return settle(build_request(about, settings, draft), settings, tuple(said))


def settle(
    asked: StoryRequest,
    settings: dict[str, Setting] | None = None,
    said: tuple[str, ...] = (),
) -> Prepared:
    """Settle a whole request; `settings` tell where its values come from, `said` is noted too."""
    reference = resolve(asked.model, asked.revision)
    request = replace(
        asked,
        model=reference.name if asked.model == "auto" else asked.model,
        length=_settled(asked, habits_of(reference.entry)),
    )
    messages = messages_for(request)
    budget = budget_for(request, messages, reference.entry)
    notes = (
        *filter(None, [reference.note]),
        *said,
        *advice(request, reference.entry, budget),
    )
    return Prepared(request, settings or {}, messages, reference, budget, notes)


def habits_of(entry: CatalogueEntry | None) -> Habits:
    """A model's way with length, as far as the catalogue knows it."""
    if entry is None:
        return Habits()
    return Habits(entry.good_words[1], entry.tokens_per_word, entry.recall)


def _settled(request: StoryRequest, habits: Habits) -> Length:
    """`auto` means a single pass inside the range that the model writes well, else chapters."""
    if request.length != "auto":
        return request.length
    if request.draft:
        return "extend"
    return "single" if request.words <= habits.most_words else "chapters"


def settings_for(
    premise: str, options: Mapping[str, object], draft: Draft | None = None
) -> dict[str, Setting]:
    """Every setting with its source.

    Between the user's own settings and the preset stand the length that the premise or the draft's
    own file states, and what suits the model better.
    """
    sources = gather(options)
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
    entry = find(chosen["model"].value) if "model" in chosen else None
    if entry and entry.settings:
        suited = (f"model {entry.name}", dict(entry.settings))
        # What suits the model wins over the preset that is there anyway, not over a chosen one.
        below = [*below, suited] if "preset" in chosen else [suited, *below]
    return merge([*sources, *below, ("built in", BUILT_IN)])


def budget_for(
    request: StoryRequest,
    messages: tuple[Message, ...],
    entry: CatalogueEntry | None,
    *,
    context: int | None = None,
    prompt_tokens: int | None = None,
) -> Budget:
    """The request's token budget, with the loaded model's figures where they are given."""
    if prompt_tokens is None:
        prompt_tokens = _prompt_estimate(messages, request.draft)
    drafted = count_words(request.draft.text) if request.draft else 0
    return token_budget(
        max(request.words - drafted, 1),
        request.sampling,
        context=context or (entry.context if entry else UNKNOWN_CONTEXT),
        prompt_tokens=prompt_tokens,
        tokens_per_word=entry.tokens_per_word if entry else DEFAULT_TOKENS_PER_WORD,
    )


def _prompt_estimate(messages: tuple[Message, ...], draft: Draft | None) -> int:
    texts = [message.content for message in messages] + ([draft.text] if draft else [])
    return sum(len(text.encode()) for text in texts) // BYTES_PER_TOKEN

"""Notes for the user before a story starts, on settings that may not give what they expect.

Knows the request, the token budget and the model card's figures. Prints and rejects nothing.
"""

from collections.abc import Iterator

from polaris_cli.models.catalogue import LONG_STORY_WORDS
from polaris_cli.models.devices import llama_cpp_has_gpu
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.budget import Budget, usual_thinking
from polaris_cli.request.premise import Reading
from polaris_cli.request.settings import Setting
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.story.job import Job
from polaris_cli.story.length import MIN_SCENE_WORDS

CARD_TEMPERATURES = (0.4, 1.0)
OF_A_MODEL_HERE = ("revision", "quantize", "device", "compile", "gguf_file", "threads")
OF_A_SERVER = ("api_key_env", "connect_timeout", "stall_timeout")
NEUTRAL = ("auto", "none", False)  # values that ask for nothing
SHORTFALL = 0.9  # words written / words asked: below this there is a note


def advice(request: StoryRequest, model: ModelRef, budget: Budget) -> Iterator[str]:
    """Yield the notes on a request, one sentence each."""
    yield from _on_sampling(request)
    yield from _on_budget(request, budget)
    yield from _on_chapters(request)
    yield from _on_model(request, model)


def on_length(reading: Reading, words: Setting) -> Iterator[str]:
    """Yield notes on the length that the premise states; `words` is the setting in effect."""
    stated = reading.length
    if stated and words.source == "the premise":
        yield f'Length: {stated.words:,} words, as the premise says ("{stated.quote}").'
    elif stated and stated.words != words.value:
        yield (
            f"The premise says {stated.words:,} words, but {words.name_of('words')} is "
            f"{words.value:,}."
        )
    elif not stated and words.source.startswith(("preset", "built in")):
        for quote in reading.doubtful:
            yield f'"{quote}" in the premise is not taken as the length; set one with --words.'


def on_unused(job: Job) -> Iterator[str]:
    """Yield a note on each option that has no effect with the job's model, engine and thinking."""
    yield from _on_gpu(job)
    for name, why in (_unused(job) | _unused_thinking(job)).items():
        setting = job.settings.get(name)
        if setting and setting.source == "option" and setting.value not in NEUTRAL:
            yield f"{setting.name_of(name)} has no effect: {why}."


def _on_gpu(job: Job) -> Iterator[str]:
    """A note if llama.cpp has no GPU and one is asked for, wherever: it takes far longer so."""
    setting, device = job.settings.get("device"), job.request.device.strip().lower()
    here = job.request.engine == "gguf" and not job.reference.server
    if setting and here and device not in ("auto", "cpu") and not llama_cpp_has_gpu():
        name = setting.name_of("device")
        yield f"{name} has no effect: the installed llama.cpp computes on the CPU only."


def on_compile(job: Job, device: str, parallel: int = 1) -> Iterator[str]:
    """Yield a note if --compile has no effect on the device that transformers has loaded the model
    on, for `parallel` stories at once."""
    setting = job.settings.get("compile")
    asked = setting and setting.source == "option" and setting.value
    if asked and job.request.engine == "local":
        if not device.startswith("cuda"):
            yield f"--compile has no effect: CUDA graphs need an NVIDIA GPU, and this is {device}."
        elif parallel > 1:
            yield "--compile has no effect: several stories at once use no CUDA graphs."


def _unused(job: Job) -> dict[str, str]:
    """The settings of loading that do nothing, and why."""
    model = job.reference
    if model.server:
        return dict.fromkeys(OF_A_MODEL_HERE, f"{model.name} is on a server")
    found = dict.fromkeys(OF_A_SERVER, f"{model.name} is not on a server")
    if job.request.engine == "gguf":
        found |= dict.fromkeys(("quantize", "compile"), "llama.cpp runs a GGUF file as it is")
    if model.without_revisions:
        found["revision"] = model.without_revisions
    return found


def _unused_thinking(job: Job) -> dict[str, str]:
    """The setting of thinking that another one overrules, and why."""
    sampling = job.request.sampling
    if not sampling.thinking:
        return {"thinking_budget": f"thinking is off{_place(job, 'think')}"}
    if not sampling.thinking_budget:
        return {"think": f"the thinking budget is 0{_place(job, 'thinking_budget')}"}
    return {}


def _place(job: Job, name: str) -> str:
    """Where a setting comes from, if it is not an option."""
    setting = job.settings.get(name)
    return f" ({setting.name_of(name)})" if setting and setting.source != "option" else ""


def _on_sampling(request: StoryRequest) -> Iterator[str]:
    low, high = CARD_TEMPERATURES
    temperature = request.sampling.temperature
    if not low <= temperature <= high:
        yield f"Temperature {temperature:g} is outside the model card's range, {low:g}-{high:g}."


def _on_budget(request: StoryRequest, budget: Budget) -> Iterator[str]:
    """A note if the limit is too low for an answer: the whole story, or one of its chapters."""
    limit, what = request.sampling.max_new_tokens, f"{request.words:,} words"
    needed = budget.story + budget.thinking
    if request.chapters:
        what = f"a chapter of {round(request.words / request.chapters):,} words"
        needed = -(-budget.story // request.chapters) + usual_thinking(request.sampling)
    if limit and min(limit, budget.max_new_tokens) < needed:
        yield (
            f"{min(limit, budget.max_new_tokens):,} new tokens may not hold {what}; "
            f"about {needed:,} would (--max-new-tokens {needed})."
        )


def _on_chapters(request: StoryRequest) -> Iterator[str]:
    count = request.chapters or 1
    least, most = count * MIN_SCENE_WORDS, request.words // MIN_SCENE_WORDS
    if request.length == "chapters" and request.words < least:
        instead = f"use at most {most} chapters" if most > 1 else "use --length single"
        if request.plan:
            instead = f"use a shorter plan, or --words {least}"
        yield (
            f"{count} chapters have at least {least:,} words, more than the {request.words:,} "
            f"asked for: {instead}."
        )


def _on_model(request: StoryRequest, model: ModelRef) -> Iterator[str]:
    if model.name == "no-hri" and request.words > LONG_STORY_WORDS:
        yield (
            f"Above {LONG_STORY_WORDS:,} words the model card recommends polaris over no-hri: "
            "--model polaris"
        )
    if request.length == "single":
        yield from _on_shortfall(request, model)


def _on_shortfall(request: StoryRequest, model: ModelRef) -> Iterator[str]:
    expected = model.profile.length_ratio.at(request.words)
    if expected and expected < SHORTFALL:
        yield (
            f"{model.name} delivers {expected:g} of the words asked for at this length on average "
            f"(model card): expect about {round(request.words * expected, -1):,.0f} words. "
            "To reach the length: --length auto"
        )
    most = model.profile.good_words[1]
    if model.name == "demo" and request.words > most:
        yield (
            f"The demo model is a toy trained to {most} words: it will end early. "
            "To reach the length: --length auto"
        )

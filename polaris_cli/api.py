"""The Python interface: `stream` and `write`, with the same settings as the command line.

    from polaris_cli import write
    story = write("a lighthouse keeper", words=300, model="demo")
    print(story.text, story.ratio)

Prints nothing and keeps nothing.
"""

from collections.abc import Iterator

from polaris_cli.engines import Engine, open_engine
from polaris_cli.events import Event
from polaris_cli.prepare import Prepared, budget_for, prepare
from polaris_cli.story import Story, begin, collect, write_story


def start(prepared: Prepared, engine: Engine) -> tuple[Story, Iterator[Event]]:
    """Set a prepared request going on a loaded engine, with the exact token budget.

    Returns the record of the story as it is begun, and the events that will fill it. Raises
    UsageError when prompt and words do not fit the model's context after all.
    """
    request, messages = prepared.request, prepared.messages
    prompt_tokens = engine.count_tokens(messages, request.sampling)
    budget = budget_for(
        request, messages, prepared.entry, context=engine.context, prompt_tokens=prompt_tokens
    )
    events = write_story(engine, messages, request.sampling, budget.max_new_tokens)
    return begin(request, engine.info, messages, prompt_tokens), events


def stream(premise: str, *, engine: Engine | None = None, **settings: object) -> Iterator[Event]:
    """Yield thinking and story as they come, then one `Finish`.

    `settings` are those of `polaris write` (words, model, preset, seed, ...); `engine` is a model
    loaded before, to write several stories with. Raises PolarisError.
    """
    return _run(premise, engine, settings)[1]


def write(premise: str, *, engine: Engine | None = None, **settings: object) -> Story:
    """The whole story, once it is finished; settings as for `stream`. Raises PolarisError."""
    begun, events = _run(premise, engine, settings)
    return collect(events, begun)


def _run(
    premise: str, engine: Engine | None, settings: dict[str, object]
) -> tuple[Story, Iterator[Event]]:
    prepared = prepare(premise, settings)
    return start(prepared, engine or open_engine(prepared.request, prepared.tokens))

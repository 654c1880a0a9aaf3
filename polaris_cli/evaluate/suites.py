"""The evaluations whose figures the project publishes, each one command: `SUITES`."""

from dataclasses import dataclass

from polaris_cli.request.story_request import Length


@dataclass(frozen=True, slots=True)
class Suite:
    """Models on the built-in prompts, their lengths times `scale`; `length` None is the usual."""

    models: str
    scale: float
    per_bucket: int | None = None  # None: all
    length: Length | None = None


SUITES = {
    "card": Suite("polaris,no-hri,base", 1.0, length="single"),  # as its authors measured
    "smollm2": Suite("smollm2", 0.05),
    "demo": Suite("demo", 1 / 30),  # it writes up to 400 words
}

"""The evaluations whose figures the project publishes, each one command: `SUITES`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suite:
    """Models on the built-in prompts, their lengths times `scale`."""

    models: str
    scale: float
    per_bucket: int | None = None  # None: all


SUITES = {
    "card": Suite("polaris,no-hri,base", 1.0),
    "smollm2": Suite("smollm2", 0.05),
    "demo": Suite("demo", 1 / 30),  # it writes up to 400 words
}

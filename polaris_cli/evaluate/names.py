"""Tells models that are called the same apart: `shown_names`.

Knows names and ids of models, not their texts.
"""

from collections import Counter
from collections.abc import Iterable

Model = tuple[str, str]
"""A model's name, and its id where others may have the same name, else ""."""


def shown_names(models: Iterable[Model]) -> dict[Model, str]:
    """What to call each model: by its name, or by its id where two of them have the same name, or
    none."""
    different = dict.fromkeys(models)
    count = Counter(name for name, _ in different)
    return {(name, id): (count[name] > 1 and id) or name or id for name, id in different}

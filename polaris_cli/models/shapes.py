"""What the JSON of a server must look like to be read: `fits`.

Knows types only: what an answer means is known where its shape is.
"""

from typing import Any

LARGEST = 3e38

Shape = Any
"""A type; a list of one shape, for a list of any length; or a dict of shapes by name, for an
object. `dict` is any object, `float` any number, `int` one that counts or names something. Numbers
are those of 32 bits, as the library keeps them."""


def fits(value: Any, shape: Shape) -> bool:
    """Whether a JSON value has a shape. Whatever is missing or empty in an object fits."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            not value.get(name) or fits(value[name], inner) for name, inner in shape.items()
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if shape is float:
        return type(value) in (int, float) and abs(value) < LARGEST
    return type(value) is shape and (shape is not int or 0 <= value < 2**32)

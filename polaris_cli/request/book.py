"""What the user says of a story for its files: `Book`. Not part of any prompt."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Book:
    """Title, author, language (a BCP 47 tag) and the path of a cover image; "" if not given."""

    title: str = ""
    author: str = ""
    language: str = ""
    cover: str = ""

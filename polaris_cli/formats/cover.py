"""Reads a story's cover: a JPEG or PNG image.

python-docx reads its header and size. Does not know the formats it is put in.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from polaris_cli.errors import UsageError
from polaris_cli.request.text_files import unreadable
from polaris_cli.story.result import Story

MAX_BYTES = 20 * 10**6
_JFIF_HEADER = b"\xff\xe0\0\x10JFIF\0\1\1\1\0\x48\0\x48\0\0"  # version 1.1, 72 dots per inch
SUFFIXES = {"image/jpeg": "jpg", "image/png": "png"}


@dataclass(frozen=True, slots=True)
class Cover:
    """An image: the bytes of its file, its media type, and its size in pixels."""

    data: bytes
    media_type: str
    width: int
    height: int

    @property
    def name(self) -> str:
        """Its name as part of a book."""
        return f"cover.{SUFFIXES[self.media_type]}"


def read_cover(path: Path) -> Cover:
    """Read an image. Raises UsageError if it is not one, or cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"{path} is larger than {MAX_BYTES // 10**6} MB.", hint="Use a smaller image."
        )
    cover = _image(data)
    if not cover or cover.media_type not in SUFFIXES:
        raise UsageError(
            f"{path} is not an image in JPEG or PNG that can be read.",
            hint="Save it as PNG in a program for images, and use that file.",
        )
    return cover


def with_header(data: bytes) -> bytes:
    """A JPEG image with the header that python-docx asks for and some programs leave out.

    Other data is unchanged.
    """
    is_bare = data.startswith(b"\xff\xd8\xff") and data[6:10] not in (b"JFIF", b"Exif")
    return data[:2] + _JFIF_HEADER + data[2:] if is_bare else data


def cover_of(story: Story) -> Cover | None:
    """The cover of a story; None if it has none, or if that cannot be read any more."""
    try:
        return read_cover(Path(story.request.book.cover)) if story.request.book.cover else None
    except UsageError:
        return None


def _image(data: bytes) -> Cover | None:
    from docx.image.image import Image  # python-docx is slow to import

    try:
        image = Image.from_file(BytesIO(with_header(data)))
        cover = Cover(data, image.content_type, image.px_width, image.px_height)
        return cover if cover.width and cover.height else None
    except Exception:  # it raises all kinds of errors for bad files
        return None

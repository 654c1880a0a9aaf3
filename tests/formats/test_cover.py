"""A cover is a JPEG or PNG image that is checked before the story is written."""

from io import BytesIO
from pathlib import Path

import pytest
from docx import Document
from docx.shared import Mm

from polaris_cli.errors import UsageError
from polaris_cli.formats.cover import cover_of, read_cover
from polaris_cli.formats.drafts import read_draft
from polaris_cli.formats.export import FORMATS, render, save
from tests.books import a_book, png, with_density

TEXT = "# The Fog\n\nIt came."


def test_the_header_of_an_image_is_read(tmp_path: Path) -> None:
    cover = read_cover(Path(png(tmp_path, 60, 90)))
    assert (cover.media_type, cover.name) == ("image/png", "cover.png")
    assert (cover.width, cover.height) == (60, 90)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + b"\0" * 40, b"GIF89a" * 9]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "cover.png"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="is not an image in JPEG or PNG"):
        read_cover(file)


@pytest.mark.parametrize("before", [b"", b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1"])
def test_a_jpeg_needs_no_header_of_its_own(tmp_path: Path, before: bytes) -> None:
    size = b"\xff\xc0\0\x0b\x08\0\x09\0\x06\1\1\x11\0"  # 9 rows of 6 pixels
    file = tmp_path / "cover.jpg"
    file.write_bytes(b"\xff\xd8" + before + size + b"\xff\xd9")
    cover = read_cover(file)
    assert (cover.width, cover.height, cover.data) == (6, 9, file.read_bytes())
    document = Document(BytesIO(render(a_book(TEXT, cover=str(file)), "docx")))
    assert len(document.inline_shapes) == 1


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_an_image_that_states_no_density_is_put_in_a_word_file(tmp_path: Path, kind: str) -> None:
    file = Path(png(tmp_path, 30, 40))
    if kind == "png":
        file.write_bytes(with_density(file.read_bytes(), 1))  # dots per metre
    else:
        header = b"\xff\xe0\0\x10JFIF\0\1\1\1\0\0\0\0\0\0"  # 0 dots per inch
        size = b"\xff\xc0\0\x0b\x08\0\x28\0\x1e\1\1\x11\0"
        file.write_bytes(b"\xff\xd8" + header + size + b"\xff\xd9")
    document = Document(BytesIO(render(a_book(TEXT, cover=str(file)), "docx")))
    [picture] = document.inline_shapes
    assert picture.width == Mm(160) and picture.height == pytest.approx(Mm(160) * 4 / 3, rel=0.01)


def test_an_image_without_a_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not an image") as refused:
        read_cover(Path(png(tmp_path, 0, 0)))
    assert "as PNG" in refused.value.hint


@pytest.mark.parametrize(
    ("path", "said"), [("none.png", "No such file"), (".", "directory"), ("/dev/zero", "larger")]
)
def test_unreadable_files_are_refused(tmp_path: Path, path: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_cover(tmp_path / path)


@pytest.mark.parametrize("format", FORMATS)
def test_a_story_whose_cover_is_gone_is_exported_without_it(tmp_path: Path, format: str) -> None:
    image = Path(png(tmp_path))
    story = a_book(TEXT, cover=str(image))
    with_cover = render(story, format)
    image.unlink()
    assert cover_of(story) is None
    without = render(story, format)
    assert (with_cover != without) == (format in ("html", "epub", "docx"))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("text", [TEXT, "It came."])
def test_what_the_files_say_of_a_story_is_not_part_of_it(
    tmp_path: Path, format: str, text: str
) -> None:
    story = a_book(text, author="Jane Doe", language="he", cover=png(tmp_path))
    file = tmp_path / f"story.{format}"
    save(story, file, force=False)
    assert read_draft(str(file)).text == text


@pytest.mark.parametrize(("width", "height"), [(9, 3), (3, 9), (30, 30)])
def test_a_cover_fits_a_word_page(tmp_path: Path, width: int, height: int) -> None:
    story = a_book(TEXT, cover=png(tmp_path, width, height))
    document = Document(BytesIO(render(story, "docx")))
    [picture] = document.inline_shapes
    assert picture.width <= Mm(160) and picture.height <= Mm(247)  # an A4 page without margins
    assert picture.width / picture.height == pytest.approx(width / height, rel=0.01)
    assert document.paragraphs[1].paragraph_format.page_break_before

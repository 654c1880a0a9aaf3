"""Word files from other programs are read by their styles."""

from pathlib import Path

import pytest
from docx import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml

from polaris_cli.formats.docx_reader import read_docx
from polaris_cli.formats.markdown import to_markdown


def test_a_file_from_another_program(tmp_path: Path) -> None:
    document = Document()
    document.add_paragraph("The Fog", "Title")
    document.add_paragraph("One", "Heading 1")
    paragraph = document.add_paragraph("He ")
    paragraph.add_run("never ").bold = True
    paragraph.add_run("left", "Emphasis")
    inserted = OxmlElement("w:ins")
    paragraph._p.append(inserted)
    inserted.append(paragraph.add_run(" at all.")._r)
    document.add_paragraph("***")
    document.add_paragraph("   ")
    for style in ("List Bullet", "List Number", "Intense Quote"):
        document.add_paragraph(style, style)
    document.add_table(1, 1).cell(0, 0).text = "In a cell."
    document.core_properties.comments = "by a program"
    document.save(str(tmp_path / "a.docx"))
    blocks, said = read_docx(tmp_path / "a.docx")
    assert to_markdown(blocks) == (
        "# The Fog\n\n## One\n\nHe **never** *left* at all.\n\n* * *\n\n+ List Bullet\n"
        "1. List Number\n\n> Intense Quote\n\nIn a cell."
    )
    assert said == {}
    assert inserted.tag == qn("w:ins")


NAMES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    ' xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    ' xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"'
)
BOX = "<w:txbxContent><w:p><w:r><w:t>Box</w:t></w:r></w:p></w:txbxContent>"
BORDER = "<w:pPr><w:pBdr>{}</w:pBdr></w:pPr>"
BELOW = BORDER.format('<w:bottom w:val="single"/>')

TITLE = BELOW.replace("<w:pBdr>", '<w:pStyle w:val="Title"/><w:pBdr>')


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def text_of(tmp_path: Path, *paragraphs: str) -> str:
    """The text of a document with these paragraphs in XML."""
    document = Document()
    chapter = document.styles.add_style("Scrivener Chapter", WD_STYLE_TYPE.PARAGRAPH)
    chapter.base_style = document.styles["Heading 1"]
    thought = document.styles.add_style("Thought", WD_STYLE_TYPE.CHARACTER)
    thought.font.italic = True
    document.styles.add_style("toc 1", WD_STYLE_TYPE.PARAGRAPH).element.set(qn("w:styleId"), "TOC1")
    xml = "".join(f"<w:p>{paragraph}</w:p>" for paragraph in paragraphs)
    for element in parse_xml(f"<w:body {NAMES}>{xml}</w:body>"):
        document.element.body.append(element)
    document.save(str(tmp_path / "a.docx"))
    return to_markdown(read_docx(tmp_path / "a.docx")[0])


@pytest.mark.parametrize(
    ("paragraph", "text"),
    [
        (f"<w:moveFrom>{run('Gone')}</w:moveFrom><w:moveTo>{run('Here')}</w:moveTo>", "Here"),
        (run("Seen") + run("hidden", "<w:vanish/>"), "Seen"),
        (
            f"<w:r><w:ruby><w:rt>{run('kan')}</w:rt><w:rubyBase>{run('x')}</w:rubyBase></w:ruby></w:r>",
            "x",
        ),
        (
            f"{run('A')}<w:r><mc:AlternateContent><mc:Choice>{BOX}</mc:Choice>"
            f"<mc:Fallback>{BOX}</mc:Fallback></mc:AlternateContent></w:r>{run('b')}",
            "Ab\n\nBox",
        ),
        (f'<w:pPr><w:pStyle w:val="TOC1"/></w:pPr>{run("One")}', ""),
        (
            f'<w:pPr><w:pStyle w:val="List"/></w:pPr>{run("7.")}<w:r><w:tab/></w:r>{run("A")}',
            "7. A",
        ),
    ],
)
def test_only_what_word_shows_is_text_and_once(tmp_path: Path, paragraph: str, text: str) -> None:
    assert text_of(tmp_path, paragraph) == text


GONE = "<w:pPr><w:rPr><w:del/></w:rPr></w:pPr>"


@pytest.mark.parametrize(
    ("paragraphs", "text"),
    [
        ([GONE + run("A ")], "A"),
        ([GONE + run("A "), run("B"), run("C")], "A B\n\nC"),
        ([GONE + run("A "), GONE + run("B "), run("C")], "A B C"),
        (["<w:pPr><w:rPr><w:moveFrom/></w:rPr></w:pPr>" + run("A "), run("B")], "A B"),
        (["<w:pPr><w:rPr><w:ins/></w:rPr></w:pPr>" + run("A"), run("B")], "A\n\nB"),
    ],
)
def test_a_paragraph_whose_end_was_deleted_goes_on_in_the_next(
    tmp_path: Path, paragraphs: list[str], text: str
) -> None:
    assert text_of(tmp_path, *paragraphs) == text


def test_a_link_without_a_target_is_text(tmp_path: Path) -> None:
    for number in ("rId99", ""):
        link = f'<w:hyperlink r:id="{number}">{run("here")}</w:hyperlink>'
        assert text_of(tmp_path, run("Look ") + link) == "Look here"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (BELOW, "A\n\n* * *\n\nB"),
        (BELOW + run("C"), "A\n\nC\n\n* * *\n\nB"),
        ('<w:r><w:pict><v:rect o:hr="t"/></w:pict></w:r>', "A\n\n* * *\n\nB"),
        ('<w:r><w:sym w:font="Wingdings" w:char="F09F"/></w:r>', "A\n\n* * *\n\nB"),
        (run("C") + '<w:r><w:sym w:font="Wingdings" w:char="F04A"/></w:r>', "A\n\nC\n\nB"),
        ("", "A\n\nB"),
        (BORDER.format('<w:bottom w:val="nil"/>'), "A\n\nB"),
        (BORDER.format('<w:left w:val="single"/><w:bottom w:val="single"/>'), "A\n\nB"),
        (TITLE + run("C"), "A\n\n# C\n\nB"),
    ],
)  # fmt: skip
def test_a_horizontal_line_is_a_scene_break(tmp_path: Path, line: str, text: str) -> None:
    assert text_of(tmp_path, run("A"), line, run("B")) == text


@pytest.mark.parametrize(
    ("paragraph", "text"),
    [
        (f'<w:pPr><w:pStyle w:val="ScrivenerChapter"/></w:pPr>{run("One")}', "## One"),
        (run("A ") + run("fox", '<w:rStyle w:val="Thought"/>'), "A *fox*"),
        (run("fox", '<w:rStyle w:val="Thought"/><w:i w:val="0"/><w:b/>'), "**fox**"),
    ],
)
def test_a_style_of_the_user_is_read_by_what_it_is_based_on(
    tmp_path: Path, paragraph: str, text: str
) -> None:
    assert text_of(tmp_path, paragraph) == text


def test_a_list_has_bullets_or_numbers(tmp_path: Path) -> None:
    document = Document()
    # Of the lists in python-docx's template, 1 has bullets and 5 has numbers; 0 is none.
    for text, number in (("Salt", "5"), ("Bread", "5"), ("Fog", "1"), ("Nobody spoke.", "0")):
        style = "List Paragraph" if number != "0" else None
        properties = document.add_paragraph(text, style)._p.get_or_add_pPr()
        properties.append(
            parse_xml(f'<w:numPr {NAMES}><w:ilvl w:val="0"/><w:numId w:val="{number}"/></w:numPr>')
        )
    document.save(str(tmp_path / "a.docx"))
    text = to_markdown(read_docx(tmp_path / "a.docx")[0])
    assert text == "1. Salt\n2. Bread\n+ Fog\n\nNobody spoke."


def test_numbered_items_are_counted_in_each_list(tmp_path: Path) -> None:
    document = Document()
    for text, style in (
        ("a", "List Number"), ("b", "List Number 2"), ("c", "List Number 2"), ("d", "List Number"),
        ("e", "List Number 2"), ("Nobody spoke.", "Normal"), ("f", "List Number"),
    ):  # fmt: skip
        document.add_paragraph(text, style)
    document.save(str(tmp_path / "a.docx"))
    text = to_markdown(read_docx(tmp_path / "a.docx")[0])
    assert text == "1. a\n\n   1. b\n   2. c\n2. d\n\n   1. e\n\nNobody spoke.\n\n1. f"

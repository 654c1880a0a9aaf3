"""Word files from other programs are read by their styles."""

from pathlib import Path

from docx import Document
from docx.oxml import OxmlElement
from docx.oxml.ns import qn

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
        "# The Fog\n\n## One\n\nHe **never** *left* at all.\n\n* * *\n\n- List Bullet\n"
        "1. List Number\n\n> Intense Quote\n\nIn a cell."
    )
    assert said == {}
    assert inserted.tag == qn("w:ins")

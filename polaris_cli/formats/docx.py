"""A story as a word processor's file (Office Open XML), with real title and heading styles.

Knows the few parts that such a file needs; not where it goes.

Source of the parts and their names: ECMA-376, parts 1 (WordprocessingML) and 2 (packaging).
"""

from collections.abc import Iterator

from polaris_cli.formats.files import zipped
from polaris_cli.formats.html import escape, moment
from polaris_cli.formats.structure import DEEPEST, Block, Span, body, spans, title
from polaris_cli.story.result import Story

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"

_TYPES = f"""{_XML}<Types xmlns="{_PACKAGE}/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/word/document.xml" ContentType="{_WORD}.document.main+xml"/>
<Override PartName="/word/styles.xml" ContentType="{_WORD}.styles+xml"/>
<Override PartName="/docProps/core.xml"
 ContentType="application/vnd.openxmlformats-package.core-properties+xml"/>
</Types>
"""

_ROOT = f"""{_XML}<Relationships xmlns="{_PACKAGE}/relationships">
<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/>
<Relationship Id="rId2" Type="{_PACKAGE}/relationships/metadata/core-properties"
 Target="docProps/core.xml"/>
</Relationships>
"""

_LINKS = f"""{_XML}<Relationships xmlns="{_PACKAGE}/relationships">
<Relationship Id="rId1" Type="{_OFFICE}/styles" Target="styles.xml"/>
</Relationships>
"""

_PAGE = (
    '<w:sectPr><w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="1440" w:right="1440" '
    'w:bottom="1440" w:left="1440" w:header="708" w:footer="708" w:gutter="0"/></w:sectPr>'
)  # A4 with margins of an inch, in twentieths of a point


def docx(story: Story) -> bytes:
    """The story with its title, headings, paragraphs, scene breaks, bold and italic."""
    return zipped(
        [
            ("[Content_Types].xml", _TYPES),
            ("_rels/.rels", _ROOT),
            ("word/document.xml", _document(story)),
            ("word/_rels/document.xml.rels", _LINKS),
            ("word/styles.xml", _styles()),
            ("docProps/core.xml", _properties(story)),
        ]
    )


def _document(story: Story) -> str:
    paragraphs = [_paragraph("Title", [Span(title(story))]), *map(_block, body(story))]
    content = "\n".join(paragraphs)
    return f"{_XML}<w:document {_W}><w:body>\n{content}\n{_PAGE}</w:body></w:document>\n"


def _block(block: Block) -> str:
    if block.kind == "break":
        return _paragraph("SceneBreak", [Span("* * *")])
    style = f"Heading{block.level}" if block.kind == "heading" else "Normal"
    return _paragraph(style, spans(block.text))


def _paragraph(style: str, runs: Iterator[Span] | list[Span]) -> str:
    inner = "".join(map(_run, runs))
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr>{inner}</w:p>'


def _run(span: Span) -> str:
    style = "<w:b/>" * span.bold + "<w:i/>" * span.italic
    lines = escape(span.text).split("\n")
    texts = "<w:br/>".join(f'<w:t xml:space="preserve">{line}</w:t>' for line in lines)
    return f"<w:r><w:rPr>{style}</w:rPr>{texts}</w:r>"


def _styles() -> str:
    defaults = (
        '<w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="Georgia" w:hAnsi="Georgia" '
        'w:cs="Georgia"/><w:sz w:val="24"/></w:rPr></w:rPrDefault></w:docDefaults>'
    )
    normal = (
        '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/>'
        '<w:pPr><w:spacing w:after="160" w:line="320" w:lineRule="auto"/></w:pPr></w:style>'
    )
    styles = "\n".join([defaults, normal, *_own_styles()])
    return f"{_XML}<w:styles {_W}>\n{styles}\n</w:styles>\n"


def _own_styles() -> Iterator[str]:
    """Title, headings and scene break; sizes are in half points."""
    yield _style("Title", "Title", '<w:jc w:val="center"/>', 48)
    for level in range(1, DEEPEST + 1):
        layout = f'<w:keepNext/><w:spacing w:before="360"/><w:outlineLvl w:val="{level - 1}"/>'
        yield _style(f"Heading{level}", f"heading {level}", layout, 38 - 4 * level)
    yield _style("SceneBreak", "Scene Break", '<w:jc w:val="center"/>', 24)


def _style(id: str, name: str, layout: str, size: int) -> str:
    return (
        f'<w:style w:type="paragraph" w:styleId="{id}"><w:name w:val="{name}"/>'
        f'<w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:qFormat/>'
        f'<w:pPr>{layout}</w:pPr><w:rPr><w:sz w:val="{size}"/></w:rPr></w:style>'
    )


def _properties(story: Story) -> str:
    made = f'xsi:type="dcterms:W3CDTF">{moment(story)}'
    return f"""{_XML}<cp:coreProperties xmlns:cp="{_PACKAGE}/metadata/core-properties"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<dc:title>{escape(title(story))}</dc:title>
<dc:creator>{escape(story.model.name)}</dc:creator>
<dc:description>{escape(story.premise)}</dc:description>
<dcterms:created {made}</dcterms:created>
<dcterms:modified {made}</dcterms:modified>
</cp:coreProperties>
"""

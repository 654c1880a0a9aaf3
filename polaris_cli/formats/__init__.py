"""A story as a file: txt, md, html, epub, docx, json; and texts read back.

Knows nothing of how a story is written.

    export:    which formats there are, and saving
    html:      html and epub
    docx:      word processor files
    structure: headings, paragraphs, scene breaks, emphasis
    drafts:    a text to go on with, or an exported story, read back
    files:     files written whole or not at all
"""

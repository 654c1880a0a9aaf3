"""A story as a file: txt, md, html, epub, docx, json; and texts read back.

Knows nothing of how a story is written.

    export:    which formats there are, and saving
    html:      web pages
    epub:      books
    docx:      word processor files
    structure: title, chapters and blocks of a story, read from its Markdown
    markdown:  blocks written as Markdown
    html_reader: web pages read as blocks
    epub_reader: books read as blocks
    docx_reader: word processor files read as blocks
    drafts:    a text to go on with, or an exported story, read back
    files:     files written whole or not at all
"""

"""File formats: saves stories as txt, md, html, epub, docx or json, and reads them back.

Does not know how stories are written.

    export:      the formats, and saving a story
    html:        writes web pages
    comparison:  writes several stories side by side as a web page
    epub:        writes EPUB books
    docx:        writes Word documents
    cover:       reads a cover image
    structure:   parses a story's Markdown: title, chapters, blocks
    markdown:    writes blocks as Markdown
    html_reader: reads web pages as blocks
    epub_reader: reads EPUB books as blocks
    docx_reader: reads Word documents as blocks
    drafts:      reads a text to continue, or an exported story
    files:       atomic writes, zip archives, checks of output paths
"""

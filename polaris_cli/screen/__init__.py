"""Output for people: stories, progress, reports, tables and messages on a terminal.

Knows events and stories, not options, models or files.

    terminal:     the story while it is written, and the report
    progress:     the progress lines
    region:       redraws lines in place
    wrapping:     wraps text into lines
    capabilities: what a stream can show
    messages:     errors and notes
    printing:     text and JSON as they are
    tables:       tables
"""

"""Output for people: stories, progress, reports, tables and messages on a terminal.

Knows events and stories, not options, models or files.

    terminal:     the story while it is written, and the report
    progress:     the text so far and its progress
    meter:        progress in one line
    batch_progress: progress of many stories
    stopping:     what is said after Ctrl-C
    ticking:      does something again and again
    region:       redraws lines in place
    wrapping:     wraps text into lines
    capabilities: what a stream can show
    endings:      words for how a story ended
    messages:     errors and notes
    printing:     text and JSON as they are
    tables:       tables
    story_cells:  the figures of a story in a table
"""

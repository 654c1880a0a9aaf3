"""What a person sees on a terminal.

Knows events and stories; nothing of options, models or files.

    terminal:     the story as it comes, and the report
    progress:     the moving lines
    region:       lines drawn anew in place
    wrapping:     text folded into lines
    capabilities: what a stream can show
    messages:     errors and notes
    tables:       rows and columns
"""

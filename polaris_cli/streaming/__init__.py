"""Splits raw text into thinking and story, and stops a stream that degenerates.

Does not know about engines or the terminal.

    thinking: splits thinking from story, for all engines
    preamble: finds what a model says before and after a story
    headings: titles, chapter headings and scene breaks
    loops:    stops text that repeats itself
    talk:     finds sentences about the text in place of the story
    surprise: signs of decay in the log-probabilities of the tokens
    prose:    signs of decay in the text
    decay:    stops text that shows them
"""

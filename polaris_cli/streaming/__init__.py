"""Splits raw text into thinking and story, and stops a stream that degenerates.

Does not know about engines or the terminal.

    thinking: splits thinking from story, for all engines
    loops:    stops text that repeats itself
"""

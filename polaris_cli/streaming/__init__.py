"""Raw text becomes thinking and story; guards stop a bad stream.

Knows no engine and no terminal.

    thinking: the one splitter of thinking and story
    loops:    a guard against text that repeats itself
"""

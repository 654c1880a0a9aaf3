"""Every story kept while it is written, in one SQLite file.

Knows stories as records; not how they come to be.

    store:     `Library`: start, append, list, search, remove
    parts:     events as rows
    database:  the file, its tables and versions
    recording: the stage that saves a running story
"""

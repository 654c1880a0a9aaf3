"""Saves every story in one SQLite file while it is written.

Knows stories as records. Does not know how they are written.

    votes:     a reader's choice between stories
    store:     `Library`: start, append, finish, list, search, remove
    parts:     events as rows
    moving:    keeps what is being written when the file is moved or deleted
    database:  the file, its tables and its versions
    recording: saves a story while it is written
"""

"""Many stories in one run: `polaris batch`, and the drafts of one story.

Does not know options, nor what is shown.

    batch:    which stories there are to write, and what becomes of each
    premises: reads the rows of the input
    records:  reads the records of a file, of standard input or of a data set of the hub
    fields:   the names that the fields of a record may have
    tasks:    rows and a grid as stories to write
    at_once:  how many stories to write at once
    drafts:   several stories for one request, and the best of them
    running:  writes them with one engine, each in a thread of its own
    threads:  runs work in threads
    cluster:  writes them on a Ray cluster
    cluster_room: says what a cluster lacks for its workers
    results:  the finished stories and the failures, in a folder
    lines:    a file of JSON lines that a killed process leaves whole
"""

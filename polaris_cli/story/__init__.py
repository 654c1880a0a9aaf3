"""A story and the ways to reach its length: a single pass, extending, chapters.

Knows engines only by their protocol. Does not know about the terminal or the library.

    prepare:        settles a request before a model is loaded
    advice:         notes on requests that may not give what the user expects
    job:            `Job`, a story to write
    writing:        writes a job with an engine
    result:         `Story`, the record of a story
    quality:        surprise and repetition of a text
    accumulator:    builds a `Story` from a stream of events
    old_records:    records of earlier versions
    single_pass:    one answer of the model
    answer_tail:    the end of one answer, which is held back
    decayed:        cuts away decayed text and rewrites the passage
    last_sentence:  rewrites a last sentence that is too long
    extending:      continues a story within the same answer, with a model trained for it
    chapters:       a story in parts: chapters, or one pass and what it lacks
    growing_plan:   the plan while its chapters are written
    conversation:   the messages that ask for a chapter
    wording:        how a conversation asks for chapters
    chapter_drafts: the chapters so far, and those of an earlier run
    length:         where a text closes, and how many words to request for each part
    planning:       asks the model for the plan of the chapters
    passes:         the passes of a job, and the tokens of each, before a model is loaded
    plan_answer:    reads a plan from a model's answer
    plan:           what every plan needs, and a plain one
    arc:            a plan without a model: the arc of a story
    plan_file:      a plan as TOML
    resuming:       resumes or rewrites a recorded story
"""

"""A story and the ways to reach its length: one pass, extending, chapters.

Knows engines by their protocol alone; not the terminal, nor the library.

    prepare:     everything settled before a model is loaded
    advice:      notes that help to ask for the right thing
    job:         `Job`, a story to be written
    writing:     a job written on an engine
    result:      `Story`, what is recorded of one
    accumulator: a stream becomes a `Story`
    older:       records of earlier versions
    single_pass: one pass of a model
    extending:   going on after an early end
    chapters:    a plan, then chapter after chapter
    length:      what both ways of reaching a length go by
    plan:     reading a plan out of a model's answer
    plan_file:   a plan as TOML
    resuming:    taking a story up again
"""

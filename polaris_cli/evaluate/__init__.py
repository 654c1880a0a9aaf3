"""Evaluates stories: figures without a judge, tables by length and model, exports.

Does not know how stories are written.

    samples:    a text to evaluate
    origin:     how a story was written
    names:      tells models of one name apart
    reading:    reads texts from files, folders and the library
    figures:    the figures of one text
    scoring:    scores many texts, with up to 16 cores
    statistics: means with intervals, slopes
    groups:     length buckets and stages
    pairs:      differences of models on the same prompts
    tables:     tables by length bucket, stage and model
    card:       the figures that the models' authors published
    layout:     the tables as texts, for people
    svg:        the style of all plots, and plots as SVG
    plots:      the plots
    report:     an evaluation as one HTML page
    tally:      counts readers' choices
    exports:    the tables as JSON, CSV and LaTeX
    rubric:     reads rubrics, words the question to a judge
    verdicts:   reads a judge's answer
    aggregates: from scores to totals
    judging:    asks a judge
    judge_file: keeps the judge's answers
    judgements: figures of each model from the answers
    prompts:    the built-in prompts, at any scale
    suites:     evaluations whose figures the project publishes
"""

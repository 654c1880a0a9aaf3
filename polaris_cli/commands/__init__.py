"""The command line: each command's file turns options into a library call and an exit code.

Knows typer; the work itself is done elsewhere.

    app:              the list of commands; prints every error
    quick:            a command group that starts fast
    parsing:          how a command reads its options
    usage_errors:     mistyped options and commands
    options:          options that commands share
    option_names:     hints with the options that a command has
    option_values:    lists and other values that several commands read
    outputs:          where a story goes
    write:            `polaris write`
    running:          runs a job: a story and an exit code
    delivery:         saves a story's files, prints its record
    dry_run:          `polaris write --dry-run`
    drafts:           `polaris write --drafts`
    judge_run:        asks a judge, for several commands
    batch_judge:      `polaris batch --judge`
    draft_judge:      `polaris write --best judge`
    batch:            `polaris batch`
    batch_run:        runs a batch and reports on it
    resume:           `polaris resume` and `rerun`
    library:          `polaris library`
    models:           `polaris models`
    download:         downloads a model, with progress
    presets:          `polaris presets`
    doctor:           `polaris doctor`
    compare:          `polaris compare`
    eval:             `polaris eval`
    eval_run:         `polaris eval run`
    eval_judge:       `polaris eval judge`
    eval_score:       `polaris eval score`
    eval_report:      `polaris eval score -o`
    eval_votes:       `polaris eval votes`
    bench:            `polaris bench`
    bench_batch:      `polaris bench batch`
    bench_stories:    `polaris bench batch --stories`
    bench_length:     `polaris bench length`
    bench_engines:    `polaris bench --engine`
    bench_scoring:    `polaris bench score`
    bench_loading:    loads the model to measure
    help:             `polaris help`
    interrupt:        Ctrl-C and other signals
    signals:          the same before a command begins and once it is over
    stdio:            keeps other output off stdout
    home:             a home folder for users who have none
    standard_streams: makes closed, full and oddly encoded streams usable
"""

"""The command line: each command's file turns options into a library call and an exit code.

Knows typer; the work itself is done elsewhere.

    app:           names the commands, and words whatever goes wrong
    quick:         a group that starts at once
    mistakes:      mistyped options and commands
    options:       options that commands share
    write:         `polaris write`
    running:       from a prepared request to a story and an exit code
    dry_run:       `polaris write --dry-run`
    resume:        `polaris resume` and `rerun`
    library:       `polaris library`
    models:        `polaris models`
    fetching:      a model's files, with progress
    presets:       `polaris presets`
    doctor:        `polaris doctor`
    bench:         `polaris bench`
    bench_batch:   `polaris bench batch`
    bench_length:  `polaris bench length`
    bench_loading: the model to measure
    help:          `polaris help`
    interrupt:     Ctrl-C and SIGTERM
    stdio:         stdout for the story alone
"""

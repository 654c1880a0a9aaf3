"""`polaris batch --judge`: a model scores the stories of a batch once they are written.

The answers are kept as `eval judge` keeps them, which goes on where this stopped.
"""

import sys
from pathlib import Path

from polaris_cli.commands.eval_score import judged_beside
from polaris_cli.commands.judge_run import JudgeRun, print_judged, tables_of, texts_in
from polaris_cli.evaluate.groups import Groups
from polaris_cli.evaluate.judge_file import JudgeFile


def judge_batch(run: JudgeRun, folder: Path) -> int:
    """Judge the stories in a batch's folder that are not judged yet, and print a table of all.

    Returns the exit code.
    """
    samples = texts_in([str(folder)])
    calls = run.calls(samples)
    with JudgeFile(judged_beside(folder)) as file:
        code = run.ask(run.missing(calls, file.records), file)
        if not run.quiet:
            tables = tables_of(run.records(calls, file), samples, Groups())
            print_judged(tables, sys.stderr)
    return code

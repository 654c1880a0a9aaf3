"""`polaris eval`: the group of commands that evaluate stories."""

from typer import Typer

from polaris_cli.commands.eval_judge import judge
from polaris_cli.commands.eval_run import run
from polaris_cli.commands.eval_score import score
from polaris_cli.commands.eval_votes import votes
from polaris_cli.commands.quick import QuickGroup

EPILOG = """Examples:

\b
  polaris eval score runs/stories.jsonl
  polaris eval score polaris.jsonl no-hri.jsonl --latex
  polaris eval score runs -o report.html
  polaris eval score --library "*" --json | jq .stages

STORIES are the results of polaris batch (or their folder), JSON lines with output or story, prompt
or input, model and length, exported md, or a folder of texts with a file lengths.toml.
"""

app = Typer(
    cls=QuickGroup,
    help="Evaluate stories: length, repetition and text figures, in tables like the model card's.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command()(run)
app.command()(score)
app.command()(judge)
app.command()(votes)

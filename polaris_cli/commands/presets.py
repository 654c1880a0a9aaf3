"""`polaris presets`: list presets, show one, print the folder for your own."""

import sys
from typing import Annotated

import typer

from polaris_cli.commands.quick import QuickGroup
from polaris_cli.request.presets import all_presets, load_preset, own_folder
from polaris_cli.request.text_files import read_text
from polaris_cli.screen.messages import warn
from polaris_cli.screen.printing import print_text
from polaris_cli.screen.tables import print_table

app = typer.Typer(
    cls=QuickGroup,
    help="List and show presets: prompt templates with sampling settings.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def presets(ctx: typer.Context) -> None:
    """List the presets, including your own."""
    if ctx.invoked_subcommand is None:
        rows = [
            (
                preset.name,
                str(preset.values.get("words", "")),
                f"{preset.values.get('temperature', 0.6):g}",
                "yes" if preset.values.get("think", True) else "no",
                preset.description + (" (your own)" if preset.own else ""),
            )
            for preset in all_presets(lambda text: warn(text, sys.stderr))
        ]
        headers = ("preset", "words", "temperature", "thinking", "description")
        print_table(headers, rows, sys.stdout, drop=("thinking", "temperature", "words"))


@app.command()
def show(name: Annotated[str, typer.Argument(help="A preset's name or file.")]) -> None:
    """Print a preset's file, including comments. Use it to start your own.

    Example:  polaris presets show default > mine.toml
    """
    print_text(read_text(load_preset(name).path), end="")


@app.command()
def path() -> None:
    """Print the folder for your own presets (one TOML file each)."""
    print_text(own_folder())

"""`polaris presets`: list presets, show one, print the folder for your own."""

import sys
from typing import Annotated, Any

import typer

from polaris_cli.commands.quick import QuickGroup, runs_alone
from polaris_cli.request.presets import Preset, all_presets, load_preset, own_folder
from polaris_cli.request.text_files import read_text
from polaris_cli.screen.messages import warn
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.tables import print_table

app = typer.Typer(
    cls=QuickGroup,
    help="List and show presets: prompt templates with sampling settings.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


HEADERS = ("preset", "words", "temperature", "thinking", "description")


@app.callback()
def presets(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the presets, including your own."""
    if not runs_alone(ctx):
        return
    found = all_presets(lambda text: warn(text, sys.stderr))
    if as_json:
        print_json([_data(preset) for preset in found], indent=2)
    else:
        dropped = ("thinking", "temperature", "words")
        print_table(HEADERS, [_row(preset) for preset in found], sys.stdout, drop=dropped)


def _row(preset: Preset) -> tuple[str, ...]:
    return (
        preset.name,
        str(preset.values.get("words", "")),
        f"{preset.values.get('temperature', 0.6):g}",
        "yes" if preset.values.get("think", True) else "no",
        preset.description + (" (your own)" if preset.own else ""),
    )


def _data(preset: Preset) -> dict[str, Any]:
    settings = {name: value for name, value in preset.values.items() if name != "description"}
    return {
        "name": preset.name,
        "description": preset.description,
        "own": preset.own,
        "path": str(preset.path),
        "settings": settings,
    }


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

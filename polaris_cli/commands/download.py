"""Downloads a model's files, with progress on stderr.

Knows the hub and the terminal, not what the files are for.
"""

import sys
from pathlib import Path

from polaris_cli.models import hub
from polaris_cli.models.cache import cache_folder, cached
from polaris_cli.models.devices import size_text
from polaris_cli.models.reference import ModelRef
from polaris_cli.screen import terminal
from polaris_cli.screen.messages import note


def download(reference: ModelRef, *, quiet: bool = False, update: bool = False) -> Path:
    """Download the missing files of a model and return its folder. Prints the download size.

    `update` asks the hub for newer files even if none are missing. Raises ModelUnavailable.
    """
    folder = cached(reference)
    if folder and not update:
        return folder
    name, announced = reference.name, False
    with terminal.loading(f"Looking for {name}", sys.stderr, quiet=quiet) as view:

        def show_progress(done: int, total: int) -> None:
            nonlocal announced
            view.message = f"Downloading {name}: {size_text(done)} of {size_text(total)}"
            view.update(done / total)
            if not announced and not quiet and done < total:
                announced = True
                size = size_text(total - done)
                note(f"Downloading {name}, {size}, to {cache_folder()}.", sys.stderr)

        fetch = hub.fetch if update else hub.ensure
        return fetch(reference, show_progress)

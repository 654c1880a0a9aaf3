"""Getting a model's files with the progress shown on stderr, for every command that needs them."""

import sys
from pathlib import Path

from polaris_cli.models import hub
from polaris_cli.models.cache import cache_folder, cached
from polaris_cli.models.devices import size_text
from polaris_cli.models.reference import ModelRef
from polaris_cli.screen import terminal
from polaris_cli.screen.messages import note


def fetch_shown(reference: ModelRef, *, quiet: bool = False, anew: bool = False) -> Path:
    """The model's folder; what is missing is downloaded, and its size is said first.

    `anew` asks the hub for newer files even if all are here. Raises ModelUnavailable.
    """
    here = cached(reference)
    if here and not anew:
        return here
    name, said = reference.name, False
    with terminal.loading(f"Looking for {name}", sys.stderr, quiet=quiet) as view:

        def update(done: int, total: int) -> None:
            nonlocal said
            view.message = f"Downloading {name}: {size_text(done)} of {size_text(total)}"
            view.update(done / total)
            if not said and not quiet and done < total:
                said = True
                size = size_text(total - done)
                note(f"Downloading {name}, {size}, to {cache_folder()}.", sys.stderr)

        get = hub.fetch if anew else hub.ensure
        return get(reference, update)

"""The paths that users type: `expanded`."""

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """The path with the home folder in place of ~; unchanged if there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (Path.expanduser raises RuntimeError)

"""The paths that users type: `expanded`, `exists`."""

import errno
import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """The path with the home folder in place of ~; unchanged if there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (Path.expanduser raises RuntimeError)


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; a name that is too long, as of a premise, is none."""
    try:
        return path.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise

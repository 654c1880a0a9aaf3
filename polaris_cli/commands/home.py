"""Gives the process a home folder where the user has none, as in a container with any user id.

Knows the environment and file permissions. Libraries that look for `~` find this folder too.
"""

import os
import tempfile
from pathlib import Path


def ensure_home() -> str:
    """Set HOME to a private temporary folder if there is no home; return what to say about it.

    Returns "" where there is a home. Raises OSError if the folder cannot be made.
    """
    try:
        Path.home()
    except RuntimeError:  # HOME is not set, and the user has no passwd entry
        folder = _private_folder()
        os.environ["HOME"] = str(folder)
        return f"There is no home folder; stories and models go to {folder}. Set HOME to change it."
    return ""


def _private_folder() -> Path:
    """A folder that only this user can use, the same for each command."""
    folder = Path(tempfile.gettempdir()) / f"polaris-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:  # somebody else made it
        folder = Path(tempfile.mkdtemp(prefix="polaris-"))
    return folder

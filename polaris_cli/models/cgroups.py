"""The Linux control groups that limit this process: those of a container, a service or a job.

Knows where they are, in both versions, but not what their files mean.
"""

from pathlib import Path, PurePosixPath

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def groups(controller: str) -> list[Path]:
    """The folders of the groups for "memory" or "cpu", from this process's own up to the root.

    The limit of each of them counts. In a container, some folders may not exist: the names can be
    those of the host.
    """
    try:
        lines = MEMBERSHIP.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [folder for line in lines for folder in _up_to_the_root(line, controller)]


def _up_to_the_root(line: str, controller: str) -> list[Path]:
    """The folders that a line "number:controllers:path" names; [] for other controllers.

    Version 2 has one tree and names no controllers, version 1 has a tree for each controller.
    """
    _, _, named = line.partition(":")
    controllers, _, path = named.partition(":")
    if (controllers and controller not in controllers.split(",")) or not path:
        return []
    tree = ROOT / controller if controllers else ROOT
    parts = PurePosixPath(path).parts[1:]
    return [tree.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]

"""Prints the oldest release of each dependency that pyproject.toml allows, as pins for pip.

Reads requirements of the form `name>=oldest,<newest` only, and fails on one without an oldest
release. Omits torch: its CPU build has to be chosen by hand.
"""

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def oldest(requirement: str) -> str:
    """The oldest release that a requirement allows, as a pin. Raises ValueError if it has none."""
    found = re.match(r"([\w-]+)>=([\d.]+)", requirement)
    if not found:
        raise ValueError(f"no oldest release: {requirement}")
    return f"{found[1]}=={found[2]}"


def main() -> None:
    """Print one pin per line."""
    pins = map(oldest, tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["dependencies"])
    print(*(pin for pin in pins if not pin.startswith("torch==")), sep="\n")


if __name__ == "__main__":
    main()

"""Prints the oldest release of each dependency that pyproject.toml allows, as pip takes it.

Knows requirements of the form `name>=oldest,<newest` alone: one without an oldest release ends it.
Leaves out torch, of which a build for processors has to be chosen by hand.
"""

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def oldest(requirement: str) -> str:
    """The requirement's oldest release as a pin. Raises ValueError if it names none."""
    found = re.match(r"([\w-]+)>=([\d.]+)", requirement)
    if not found:
        raise ValueError(f"no oldest release: {requirement}")
    return f"{found[1]}=={found[2]}"


def main() -> None:
    """Print a pin a line."""
    pins = map(oldest, tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["dependencies"])
    print(*(pin for pin in pins if not pin.startswith("torch==")), sep="\n")


if __name__ == "__main__":
    main()

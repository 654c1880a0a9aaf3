"""The way of a request: which packages stand between the command and the first forward pass."""

import traceback
from pathlib import Path
from typing import Any

import pytest
from torch.nn.modules.module import register_module_forward_pre_hook

import polaris_cli
from tests.cli import in_process

PACKAGE = Path(polaris_cli.__file__).parent
MOST = 8


@pytest.mark.slow
def test_few_packages_stand_above_the_first_forward_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks: list[list[str]] = []

    def look(*_: Any) -> None:
        if stacks:
            return
        frames = reversed([frame for frame, _ in traceback.walk_stack(None)])
        ours = [Path(frame.f_code.co_filename) for frame in frames]
        names = [str(path.relative_to(PACKAGE)) for path in ours if PACKAGE in path.parents]
        if any("single_pass" in name for name in names):
            stacks.append(names)

    handle = register_module_forward_pre_hook(look)
    try:
        asked = ["write", "a fox", "-w", "20", "-m", "demo", "--no-think", "--no-save"]
        assert in_process(asked, tmp_path, monkeypatch).returncode == 0
    finally:
        handle.remove()
    (stack,) = stacks
    print("\n".join(dict.fromkeys(stack)))
    packages = list(dict.fromkeys(name.split("/")[0] for name in stack))
    assert len(packages) <= MOST, packages

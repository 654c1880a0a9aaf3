"""The Triton kernels compile for cards from Turing on, without a card."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

SHARED = 65_536  # bytes that a program can have on a Turing card; later ones have more


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["75", "90"])
def test_all_kernels_compile_and_none_spills_registers(capability: str) -> None:
    settings = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tests.engines.kernels.compiled", capability]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 15
    assert [one for one in found if one["stack"] or one["shared"] > SHARED] == []

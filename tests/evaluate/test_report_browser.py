"""A report in headless Chromium: it renders without console errors, also as wide as a phone.

Skipped where Chromium is not installed. `POLARIS_TEST_SHOTS=FOLDER` keeps the pictures.
"""

import os
import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import pytest

from polaris_cli.evaluate.samples import Sample
from tests.books import EVERYTHING
from tests.evaluations import a_page, made_up

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium"),
]
LONG = "a-very-long-model-name-without-spaces/" * 5
# Chromium's windows have a minimum width; a frame has none. All stories are opened in it.
FRAME = """<!doctype html><title>x</title><style>body {{ margin: 0 }}</style>
<iframe width="{width}" height="{height}" style="border: 0" srcdoc="{page}"></iframe>
<script>
onload = () => {{
  const inner = document.querySelector("iframe").contentDocument;
  inner.querySelectorAll("details").forEach(each => each.open = true);
  const root = inner.scrollingElement;
  const drawn = [...inner.querySelectorAll("figure svg")].filter(each => each.clientHeight > 100);
  const colour = inner.defaultView.getComputedStyle(inner.body).backgroundColor;
  document.title = [root.scrollWidth, root.clientWidth, drawn.length, colour].join(" ");
}}
</script>
"""


def run(file: Path, *options: str) -> tuple[str, str]:
    """What Chromium prints for a page, and what it logs."""
    assert CHROMIUM
    fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    profile = f"--user-data-dir={file.parent / 'profile'}"
    command = [CHROMIUM, *fixed, profile, "--enable-logging=stderr", *options, file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, done.stderr


def show(folder: Path, page: str, width: int, scheme: str) -> list[str]:
    """Render a page at this width; its width, that of its window, drawn plots and background."""
    height = 3000
    frame = FRAME.format(width=width, height=height, page=escape(page))
    file = folder / "frame.html"
    file.write_text(frame, "utf-8")
    dark = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    out, log = run(file, dark, "--dump-dom")
    assert "CONSOLE" not in log, log
    if shots := os.environ.get("POLARIS_TEST_SHOTS"):
        name = Path(shots) / f"report-{width}-{scheme}.png"
        run(file, dark, f"--window-size={max(500, width)},{height}", f"--screenshot={name}")
    found = re.search("<title>(.*?)</title>", out)
    assert found
    return found[1].split(" ", 3)


@pytest.fixture(scope="module")
def page() -> str:
    texts = (EVERYTHING, f"```\n{'x' * 500}\n```", "word " * 3000)
    hostile = [Sample(text, 2000, LONG, "word" * 100, finish="stop") for text in texts]
    return a_page(iter([*made_up(), *hostile]))


@pytest.mark.parametrize(("scheme", "paper"), [("light", "(255, 255, 255)"), ("dark", "(22, 24")])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_report_renders(tmp_path: Path, page: str, width: int, scheme: str, paper: str) -> None:
    whole, window, drawn, background = show(tmp_path, page, width, scheme)
    assert int(whole) <= int(window) == width, "the page scrolls sideways"
    assert int(drawn) == 6 and paper in background


def test_a_page_that_is_too_wide_or_has_a_script_error_is_found(tmp_path: Path) -> None:
    wide, window, *_ = show(tmp_path, "<pre>" + "x" * 500 + "</pre>", 400, "light")
    assert int(wide) > int(window)
    with pytest.raises(AssertionError, match="CONSOLE"):
        show(tmp_path, "<script>console.error('broken')</script>", 400, "light")

"""The report of an evaluation: a well-formed page that loads nothing, with every text escaped."""

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris_cli.evaluate import report as module
from polaris_cli.evaluate.layout import DIFFERENCES
from polaris_cli.evaluate.report import About
from polaris_cli.evaluate.samples import Sample
from polaris_cli.version import __version__
from tests.books import EVERYTHING, MARKS
from tests.evaluations import ABOUT, MODELS, a_page, made_up

pytestmark = pytest.mark.slow  # a page with its plots takes a second
ATTACK = (
    '"><script>alert(1)</script><img src=x onerror=alert(1)>$facts ${title} \x00 \ud800 ]]> &amp;'
)


def parsed(page: str) -> ElementTree.Element:
    """The root of a page; fails if it is not well formed or loads something."""
    assert not re.search(r"<(script|link|iframe|img|object|embed|base)\b|@import|url\((?!#)", page)
    root = ElementTree.fromstring(page)
    for element in root.iter():
        for name, value in element.attrib.items():
            assert name not in ("src", "srcset", "action", "data") and not name.startswith("on")
            assert name != "href" or element.tag == "a" or value.startswith("#")
    return root


def texts(root: ElementTree.Element, path: str) -> list[str]:
    return ["".join(each.itertext()) for each in root.iterfind(path)]


@pytest.fixture(scope="module")
def page() -> str:
    return a_page(made_up(count=1, scale=0.1), scale=0.1)


@pytest.fixture(scope="module")
def root(page: str) -> ElementTree.Element:
    return parsed(page)


def facts(root: ElementTree.Element) -> list[tuple[str, str]]:
    found = root.find("body/header/dl")
    assert found is not None
    return list(zip(texts(found, "dt"), texts(found, "dd"), strict=True))


def test_the_head_says_what_was_scored(root: ElementTree.Element) -> None:
    assert (
        texts(root, "body/header/h1") == texts(root, "head/title") == ["Evaluation of 18 stories"]
    )
    found = facts(root)
    assert found[:2] == [("polaris", __version__), ("date", "2026-01-31")]
    assert [value for name, value in found if name == "stories"] == [f"6 by {m}" for m in MODELS]
    values = dict(found)
    assert values["band"] == "0.9 to 1.1 times the words asked"
    assert values["judge"] == "none: all figures are computed from the texts"
    assert values["scale"].startswith("0.1: lengths and buckets are shrunk")
    made = [each for each in root.iter("h3") if (each.text or "").startswith("How")]
    assert ["".join(each.itertext()) for each in made] == [f"How {m} wrote them" for m in MODELS]
    assert ("machine", "card 0") in [
        (name, value)
        for each in root.iter("dl")
        for name, value in zip(texts(each, "dt"), texts(each, "dd"), strict=True)
    ]
    assert values["from"] == "stories.jsonl" and "left out" not in values


def test_what_a_judge_says_is_in_the_report_with_its_settings_and_date() -> None:
    samples = (replace(sample, seed=0) for sample in made_up(count=1))
    root = parsed(a_page(samples, judge=True))
    told = ("story-quality", "longform")
    judges = [value for name, value in facts(root) if name == "judge"]
    assert judges == [f"{name}, judged by qwen (thinks false; 2026-01-31)" for name in told]
    assert not any("computed from the texts" in text for text in root.itertext())
    captions = [text for table in root.iter("table") for text in texts(table, "caption")]
    assert captions[-4::2] == judges
    assert captions[-3::2] == [f"{DIFFERENCES}: {judge}" for judge in judges]
    stories = ["".join(each.itertext()) for each in root.iter("details")]
    assert all("story-quality by qwen" in each for each in stories)
    assert any("unreadable answer" in each for each in stories)
    assert any("overall_score" in each for each in stories)


def test_rows_and_stories_without_a_place_are_counted() -> None:
    about = About("2026-01-31", (0.8, 1.2), ("a.jsonl", "b"), skipped=7)
    found = dict(facts(parsed(a_page(iter([Sample("A word.", 5)]), about))))
    assert found["left out"].startswith("7 rows") and found["in no bucket"].startswith("1 story:")
    assert found["stories"] == "1 by -" and found["from"] == "a.jsonl, b"
    assert found["band"].startswith("0.8 to 1.2")


def test_stories_that_failed_are_told() -> None:
    samples = [*made_up(("m",), count=1)]
    root = parsed(a_page(samples, replace(ABOUT, failed=1)))
    assert ("failed", "1 story, which is in no table") in facts(root)
    root = parsed(a_page(samples, replace(ABOUT, failed=1200)))
    assert ("failed", "1,200 stories, which are in no table") in facts(root)
    assert "failed" not in dict(facts(parsed(a_page(samples))))


def test_sections_and_headings_are_in_order(root: ElementTree.Element) -> None:
    levels = [int(e.tag[1]) for e in root.iter() if re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - former <= 1 for former, later in pairwise(levels))
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    linked = [(e.get("href") or "")[1:] for e in root.iterfind("body/header/nav//a")]
    assert linked == [e.get("aria-labelledby") for e in root.iterfind("body/main/section")]
    assert {*linked} <= {*ids}


def test_every_plot_and_table_has_a_name(root: ElementTree.Element) -> None:
    figures = root.findall(".//figure")
    assert len(figures) == 6
    for figure in figures:
        assert figure.find("svg") is not None and figure.findtext("figcaption")
    assert texts(figures[0], "ul/li") == [f"{m} {n}" for m, n in zip("●■▲", MODELS, strict=True)]
    captions = texts(root, ".//table/caption")
    assert captions[0] == "Length, by words asked for" and "Finish reasons" in captions
    for box in root.iterfind(".//div[@class='scroll']"):
        assert box.get("tabindex") == "0" and box.get("aria-label") in captions
    assert {e.get("scope") for e in root.iterfind(".//thead/tr/th")} == {"col"}
    assert {e.get("scope") for e in root.iterfind(".//tbody/tr/th")} == {"row"}


def test_every_story_is_readable_below_its_model() -> None:
    samples = [replace(sample, text=EVERYTHING) for sample in made_up(["b", "a"], count=1)]
    found = parsed(a_page(iter([*samples[::-1], Sample("Alone.", 1000, "a", "First", "z")])))
    stories = found.find("body/main/section[4]")
    assert stories is not None
    assert texts(stories, "h3") == ["a", "b"]
    shown = texts(stories, "details/summary")
    assert len(shown) == 13 and shown[0].startswith("First 1 of 1,000 words, ratio 0.00")
    first, second, *_ = stories.findall("details")
    assert texts(first, "div/p") == ["Alone."]
    assert texts(second, "div/h4") == ["The Fog & the <Letter>"] and texts(second, "div/h5")
    assert texts(second, "div//em")[0] == "Fog" and second.find("div/hr") is not None
    values = dict(zip(texts(second, "dl/dt"), texts(second, "dl/dd"), strict=True))
    assert values["words"] == "75" and values["in band"] == "no" and values["blank"] == "yes"
    assert "surprise" in values and "surprise" not in texts(first, "dl/dt")


def test_many_stories_have_figures_only(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [*made_up(["m"], count=1, scale=0.05)]
    monkeypatch.setattr(module, "MOST_TEXTS", 6)
    assert len(parsed(a_page(iter(samples))).findall(".//details")) == 6
    found = parsed(a_page(iter([*samples, *made_up(["a"], count=1, scale=0.05)])))
    assert found.find(".//details") is None and "fox ran" not in "".join(found.itertext())
    rows = texts(found, "body/main/section[4]//tbody/tr")
    assert len(rows) == 12 and rows[0].startswith("mWrite a 125-word story")
    assert "more than 6" in texts(found, "body/main/section[4]/p")[0]


def test_all_texts_are_escaped() -> None:
    hostile = Sample(ATTACK, 1500, ATTACK, ATTACK, ATTACK, 1, ATTACK, 1.0, 2.0)
    about = About(ATTACK, (0.9, 1.1), (ATTACK,))
    found = parsed(a_page(iter([hostile, replace(hostile, model="b")]), about))
    clean = ATTACK.replace("\x00", "").replace("\ud800", "")
    assert clean in texts(found, ".//h3") and dict(facts(found))["from"] == clean


def test_the_language_of_a_story_is_marked() -> None:
    arabic = "كان يا ما كان في قديم الزمان"
    found = parsed(a_page(iter([Sample("The fox and the hen.", 9), Sample(arabic, 9, "b")])))
    shown = [(e.get("lang"), e.get("dir")) for e in found.iterfind(".//div[@class='story']")]
    assert [direction for _, direction in shown] == ["ltr", "rtl"]


def test_the_same_stories_give_the_same_page(page: str) -> None:
    assert a_page(made_up(count=1, scale=0.1), ABOUT, 0.1) == page


@settings(max_examples=50)
@given(MARKS | st.text(max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_any_texts_give_a_well_formed_page(text: str, model: str, prompt: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "plots", lambda *_: iter(()))  # another test has any names in them
        parsed(a_page(iter([Sample(text, 100, model, prompt, finish=prompt)])))

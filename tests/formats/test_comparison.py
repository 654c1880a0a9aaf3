"""A page of stories side by side shows each with its figures, and escapes all texts."""

from dataclasses import replace

from polaris_cli.engines.base import ModelInfo
from polaris_cli.formats.comparison import comparison
from polaris_cli.story.quality import Quality
from polaris_cli.story.result import Story
from tests.books import EVERYTHING, Elements
from tests.stories import a_story


def by(model: str, text: str, premise: str = "a fox") -> Story:
    return a_story(text=text, premise=premise, model=ModelInfo(model, model), finish="stop")


def test_each_story_has_a_column_with_its_figures() -> None:
    second = replace(by("no-hri", "It went *on*."), quality=Quality(surprise_mean=1.25))
    page = comparison([by("polaris", "# Fog\n\nIt came."), second])
    found = Elements(page).found
    assert [text for tag, text in found if tag == "h2"] == ["polaris", "no-hri"]
    assert ("h3", "Fog") in found and ("em", "on") in found
    assert ("dd", "1.25 nats") in found and ("dd", "3 of 8 (0.38)") in found


def test_each_column_runs_in_the_direction_of_its_story() -> None:
    hebrew, english = by("one", "שומר המגדלור מצא מכתב."), by("two", "The keeper found it.")
    for stories in ([hebrew, english], [english, hebrew]):
        page = comparison(stories)
        assert '<article lang="he" dir="rtl">' in page
        assert page.count('dir="ltr"') == 1


def test_all_texts_are_escaped() -> None:
    attack = '"><script>alert(1)</script>'
    page = comparison([by(attack, attack, premise=attack), by("b", EVERYTHING)])
    assert "<script" not in page and "src=" not in page
    Elements(page)

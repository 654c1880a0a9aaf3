"""The figures of the demo model's table."""

from collections.abc import Iterator

import pytest

from polaris_cli.demo import measure
from polaris_cli.demo.measure import Written, broken_words, has_noun, line_of


def story(words: int, asked: int, *, ended: bool = True, noun: str = "android") -> Written:
    text = " ".join(f"w{i}" for i in range(words - 1)) + " android."
    return Written(asked, noun, "an android", "", text, ended)


@pytest.fixture(autouse=True, scope="module")
def fewer_stories() -> Iterator[None]:
    """Hundreds of stories instead of thousands have the words that are known here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "GRAMMAR_STORIES", 500)
        measure.known_words.cache_clear()
        yield
    measure.known_words.cache_clear()


@pytest.mark.slow  # writes hundreds of stories to know their words
def test_figures_of_a_line() -> None:
    stories = [story(100, 100), story(80, 100), story(130, 100, ended=False)]
    stories.append(story(90, 100, noun="submarine"))
    line = line_of(stories)
    assert (line.asked, line.stories) == (100, 4)
    assert line.ratio == pytest.approx(1.0)
    assert line.within_quarter == 0.75
    assert line.ended == 0.75
    assert line.noun == 0.75
    assert line.repetition == 0.0
    assert (line.words, line.broken) == (400, 396)


def test_noun_is_found_in_any_case_and_number() -> None:
    assert has_noun("submarine", "Submarines sank.")
    assert not has_noun("submarine", "A sub sank.")


@pytest.mark.slow
def test_broken_words_are_in_neither_the_grammar_nor_the_premise() -> None:
    text = "The orchestras were befriended, and the orcheaqu's keeper said: two guthers."
    premise = "an orchestra that befriends a whale"
    told = Written(100, "orchestra", premise, "", text, True)
    assert broken_words(told) == ["orcheaqu", "guthers"]

"""Rubrics are read, worded and checked; a file of the user's that is wrong is explained."""

import json
import time
from pathlib import Path

import pytest

from polaris_cli.errors import UsageError
from polaris_cli.evaluate.rubric import (
    answer_schema,
    load_rubric,
    question,
    rubric_names,
    without_length,
)
from polaris_cli.evaluate.samples import Sample

OWN = """\
aggregation = "mean"
instructions = "Judge it."
[[criteria]]
key = "tension"
low = 1
high = 10
says = "The reader wants to know."
"""


def test_the_rubrics_have_the_published_dimensions() -> None:
    counts = {name: len(load_rubric(name).criteria) for name in rubric_names()}
    assert counts == {
        "creative": 22, "longbench-write": 6, "longform": 12, "story-quality": 18,
        "writingbench": 5,
    }  # fmt: skip
    quality = load_rubric("story-quality").criteria
    assert sum(one.high for one in quality if one.key.startswith("positive_")) == 100
    assert sum(one.high for one in quality if one.key.startswith("negative_")) == 151
    assert len(load_rubric("writingbench").calls) == 5 and len(load_rubric("longform").calls) == 1


@pytest.mark.parametrize("name", rubric_names())
def test_a_question_shows_prompt_text_and_scales(name: str) -> None:
    rubric = load_rubric(name)
    sample = Sample("It came.", 800, prompt="Write about fog. It is approximately 800 words long.")
    for criteria in rubric.calls:
        (message,) = question(rubric, criteria, sample)
        assert "It came." in message.content and "Write about fog." in message.content
        assert "800" not in message.content
        assert all(
            f"{one.key} ({one.low:g} to {one.high:g})" in message.content for one in criteria
        )
        schema = answer_schema(rubric, criteria)
        assert {*schema["required"]} >= {f"{one.key}_score" for one in criteria}
        json.dumps(schema)


@pytest.mark.parametrize("name", rubric_names())
def test_the_judge_is_told_how_to_add_up_each_total(name: str) -> None:
    rubric = load_rubric(name)
    assert all(f"{total} is " in " ".join(rubric.instructions.split()) for total in rubric.totals)


def test_the_judge_of_story_quality_is_told_the_formula() -> None:
    said = " ".join(load_rubric("story-quality").instructions.split())
    assert "overall_score is positive_total - negative_total + bonus_score, at most 100." in said


def test_a_checklist_takes_the_place_of_the_criteria_where_the_rubric_says_so() -> None:
    texts = [Sample("A.", 0, checklist=said) for said in (("Pace", "Voice"), ("Fog",))]
    rubric = load_rubric("writingbench")
    pace, fog = (rubric.for_text(text) for text in texts)
    assert [(one.key, one.low, one.high, one.says) for one in pace.criteria] == [
        ("criterion_1", 1, 10, "Pace"), ("criterion_2", 1, 10, "Voice"),
    ]  # fmt: skip
    assert pace.key == fog.key != rubric.key and rubric.for_text(Sample("A.", 9)) == rubric
    (message,) = question(pace, pace.criteria[:1], texts[0])
    assert "criterion_1 (1 to 10): Pace" in message.content and "Voice" not in message.content
    longform = load_rubric("longform")
    assert longform.for_text(texts[0]) == longform


def test_a_rubric_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "longform.toml"
    path.write_text(OWN)
    rubric = load_rubric(str(path))
    assert [one.key for one in rubric.criteria] == ["tension"]
    assert rubric.name == "longform.toml"  # not the one of which the card has figures


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"mean"', '"sum"', "aggregation is not one of"),
        ('key = "tension"', "", "'key' is missing"),
        ("high = 10", "high = 0", "a scale from 1 to 0"),
        ("low = 1\n", 'low = "one"\n', "could not convert"),
        ("instructions", "instruction", "unknown key 'instruction'"),
        ("[[criteria]]", "[[criteri]]", "unknown key"),
        ("[[criteria]]", "criteria = 3\n[x]", "unknown key 'x'"),
        ('key = "tension"', 'key = "the tension"', "needs a key of one word"),
        ("low = 1\n", 'low = 1\ncolour = "red"\n', "the unknown key 'colour'"),
        ('"Judge it."', '"Judge it', "not valid TOML"),
    ],
)
def test_a_rubric_that_is_wrong_is_explained(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN.replace(old, new))
    with pytest.raises(UsageError, match=told):
        load_rubric(str(path))


@pytest.mark.parametrize(
    ("aggregation", "key", "scale", "told"),
    [
        ("story-quality", "tension", (0, 20), "'tension' is none that story-quality adds up"),
        ("longform", "tension", (0, 20), "'tension' is none that longform adds up"),
        ("longform", "coherent", (0, 10), "from 0 to 10, longform needs 0 to 20"),
        ("mean-100", "tension", (1, 10), "from 1 to 10, mean-100 needs 0 to 20"),
        ("five-to-100", "tension", (1, 10), "from 1 to 10, five-to-100 needs 1 to 5"),
        ("story-quality", "positive_tension", (0, 30), ""),
        ("longform", "purple_prose", (0, 20), ""),
        ("mean-100", "tension", (0, 20), ""),
        ("five-to-100", "tension", (1, 5), ""),
    ],
)
@pytest.mark.parametrize("checklist", [False, True])
def test_criteria_must_suit_the_aggregation(
    tmp_path: Path, aggregation: str, key: str, scale: tuple[int, int], told: str, checklist: bool
) -> None:
    path = tmp_path / "mine.toml"
    text = OWN.replace('"mean"', f'"{aggregation}"').replace("tension", key)
    text = text.replace("low = 1\nhigh = 10", "low = {}\nhigh = {}".format(*scale))
    path.write_text(f"checklist = {str(checklist).lower()}\n{text}")
    if checklist and aggregation in ("story-quality", "longform"):
        told = told or f"a checklist has criteria that {aggregation} does not add up"
    if not told:
        assert load_rubric(str(path)).aggregation == aggregation
        return
    with pytest.raises(UsageError, match=told):
        load_rubric(str(path))


@pytest.mark.parametrize("name", ["none", "none.toml", "", "../rubric"])
def test_a_rubric_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(UsageError):
        load_rubric(name)


@pytest.mark.parametrize(
    ("prompt", "without"),
    [
        ("Write a story. It is about 800 words long.", "Write a story."),
        ("Make it 800 words long! It has a fox.", "It has a fox."),
        ("Be sad. Instead of that length, it should be about 800 words long.", "Be sad."),
        ("Write on fog. The essay should be roughly 3,000 words long.", "Write on fog."),
        ("Two foxes.\nYour story must be 800 words long, please.\nGo.", "Two foxes.\nGo."),
        ("Two foxes. It must be no more than 1500-2,000 words long", "Two foxes."),
        ("It should be between 800 and 900 words long.", ""),
        ("A fox with 800 words.", "A fox with 800 words."),
        ("", ""),
    ],
)
def test_the_sentence_on_length_is_left_out(prompt: str, without: str) -> None:
    assert without_length(prompt) == without


def test_a_prompt_of_blank_lines_takes_no_time() -> None:
    prompt = "A fox." + " \n" * 2500 + "It has a tail."
    start = time.perf_counter()
    assert without_length(prompt) == prompt
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize(
    "prompt",
    [
        "Write a story about a fox, 800 words long.",
        "Write a story about a keeper that is 800 words long. Make it sad.",
        "The fox who wrote letters 800 words long.",
        "The story should be about a fox who loses its tail and be 800 words long.",
        "It follows a clockmaker whose diary entries are never more than 100 words long.",
        "It should be set in Rome, told by the fox, and be approximately 3000 words long.",
        "It should be 800 words long and have a fox.",
    ],
)
def test_a_sentence_that_says_more_than_the_length_stays(prompt: str) -> None:
    assert without_length(prompt) == prompt

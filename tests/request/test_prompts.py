"""The prompt states the length in digits for any premise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.request.prompts import chapter_prompt, messages_for, plan_prompt
from polaris_cli.request.story_request import StoryRequest


def asked(premise: str, words: int = 800, **more: str) -> str:
    (message,) = messages_for(StoryRequest(premise, words, **more))  # type: ignore[arg-type]
    assert message.role == "user"
    return message.content


def test_the_default_prompt() -> None:
    assert asked("a fox", 3000) == "Write a 3000-word story about a fox."


@pytest.mark.parametrize("words", [8, 80, 800, 8000, 11, 11000, 18])
def test_the_article_fits_the_number(words: int) -> None:
    assert asked("a fox", words) == f"Write an {words}-word story about a fox."


def test_a_final_stop_is_not_doubled() -> None:
    assert asked("A fox.").endswith("about A fox.")
    assert asked("a fox!").endswith("about a fox.")
    assert asked("a fox…").endswith("about a fox.")


def test_a_request_is_kept_and_gets_the_length() -> None:
    assert asked("Write a fable about a fox") == (
        "Write a fable about a fox. It should be approximately 800 words long."
    )
    assert asked("Write a story about a fox") == (
        "Write a story about a fox. The story should be approximately 800 words long."
    )
    assert asked("Write an 800-word fable!") == "Write an 800-word fable!"
    assert asked("写一个故事。").startswith("写一个故事。 The story")
    assert asked("Write about “a fox.”").startswith("Write about “a fox.” The story")


@pytest.mark.parametrize(
    ("premise", "prompt"),
    [
        ("Write a 500-word story about a fox.", "Write an 800-word story about a fox."),
        ("Write an 80-word story. Be sad!", "Write an 800-word story. Be sad!"),
        ("a 1100-word tale of a fox", "Write an 800-word tale of a fox"),
        ("Write a story. Word count: 2k", "Write a story. Word count: 800"),
        ("写一个2000字的故事", "写一个800字的故事"),
    ],
)
def test_another_length_in_the_premise_is_replaced(premise: str, prompt: str) -> None:
    assert asked(premise) == prompt


@pytest.mark.parametrize(
    "premise",
    ["Write a story of 500 to 600 words.", "Write at least five hundred words about a fox."],
)
def test_a_length_that_cannot_be_replaced_is_corrected(premise: str) -> None:
    correction = "Instead of that length, it should be approximately 800 words long."
    assert asked(premise) == f"{premise} {correction}"
    assert asked(f"{premise}\nBe sad") == f"{premise}\nBe sad\n\n{correction}"
    text = asked(f"A fox ran. A hen sat. {premise}")
    assert text.startswith("Write an 800-word story") and text.endswith(f"\n\n{correction}")


def test_a_number_of_the_plot_is_not_corrected() -> None:
    assert asked("A story of 300 words that were never spoken").endswith(
        "never spoken. The story should be approximately 800 words long."
    )


def test_a_length_in_a_text_is_replaced() -> None:
    text = asked("A fox ran. A hen sat. It should be 500 words long.")
    assert text.endswith("A hen sat. It should be 800 words long.")
    assert "500" not in planned("A fox ran. A hen sat. It should be 500 words long.")


def test_the_length_has_its_own_paragraph_below_a_request_of_several_lines() -> None:
    assert asked("Write a story:\n- a fox\n- a hen") == (
        "Write a story:\n- a fox\n- a hen\n\nThe story should be approximately 800 words long."
    )


def test_the_article_fits_the_form() -> None:
    template = "Write a {form} about {premise}. The {form} should have {words} words."
    assert asked("a fox", form="essay", template=template).startswith("Write an essay about a fox.")


@pytest.mark.parametrize(
    "premise", ["a student whose grade A essay vanishes", "A hen counts a 8 word spell."]
)
def test_the_articles_of_a_premise_are_not_changed(premise: str) -> None:
    assert premise.rstrip(".") in asked(premise)
    assert premise.rstrip(".") in planned(premise, model="qwen")
    assert premise.rstrip(".") in asked(f"Write a tale about it: {premise}")


def test_a_premise_of_several_lines_follows_the_template() -> None:
    assert asked("A fox.\nA hen.") == (
        "Write an 800-word story about this premise:\n\nA fox.\nA hen."
    )


def test_the_form_has_its_name() -> None:
    assert "book review about" in asked("a fox", form="review")


@pytest.mark.parametrize(
    ("premise", "gap"),
    [
        ("A retired cartographer returns to find that his last map is missing.", " "),
        ("a fox steals the moon", " "),
        ("What if the sea forgot its tides?", " "),
        ("Two sisters inherit a violin. Only one can play it.", "\n\n"),
        ("An island.\n\nA storm.", "\n\n"),
    ],
)
def test_a_premise_that_is_not_a_phrase_follows_the_template(premise: str, gap: str) -> None:
    assert asked(premise) == f"Write an 800-word story about this premise:{gap}{premise}"
    assert planned(premise).startswith(
        f"Plan a 800-word story in 4 chapters. Its premise:{gap}{premise}\n\nAnswer"
    )
    more = asked(premise, template="Write a {form} about {premise}. It has {words} words.")
    assert more == f"Write a story about this premise. It has 800 words.\n\n{premise}"


def planned(
    premise: str, words: int = 800, chapters: int = 4, model: str = "demo", **more: str
) -> str:
    return plan_prompt(StoryRequest(premise, words, model=model, **more), chapters)  # type: ignore[arg-type]


def test_the_demo_models_prompts_for_plans_and_chapters() -> None:
    """The demo model was trained on exactly these lines."""
    assert planned("two sisters, one violin") == (
        "Plan a 800-word story about two sisters, one violin in 4 chapters.\n\n"
        "Answer with these lines and nothing else:\n"
        "Title: the title of the story\n"
        "Cast: the people in it\n"
        "1. Title of the chapter | 200 words | what happens in it"
    )
    assert chapter_prompt(2, 4, "Fog", 200, "the fog comes") == (
        'Write chapter 2 of 4, "Fog", as part of the story. '
        "It should be approximately 200 words long.\n\nIn this chapter: the fog comes"
    )


def test_a_plan_prompt_contains_the_whole_request() -> None:
    plan = planned("Write a fable about a fox. Make it sad.")
    request = "Write a fable about a fox. Make it sad. It should be approximately 800 words long."
    assert plan.startswith(
        f"Plan a 800-word story in 4 chapters. It follows this request:\n\n{request}\n"
    )
    assert "about Write" not in plan


def test_a_form_without_a_verb_becomes_a_request() -> None:
    assert asked("A fable about a fox") == (
        "Write a fable about a fox. It should be approximately 800 words long."
    )
    assert asked("an 800-word fable about a fox") == "Write an 800-word fable about a fox"


@pytest.mark.parametrize(
    ("premise", "prompt"),
    [
        ("Short story about a fox, 800 words", "Write a short story about a fox, 800 words"),
        ("Essay on silence, 800 words", "Write an essay on silence, 800 words"),
        ("800-word story about a fox", "Write an 800-word story about a fox"),
        ("800 word story about a fox", "Write an 800 word story about a fox"),
        ("800 words about a fox", "Write 800 words about a fox"),
        ("Love story, 800 words", "Write a love story, 800 words"),
        ("an 8-word essay", "Write an 800-word essay"),
        ("a story, about 800 words, about me", "Write a story, about 800 words, about me"),
    ],
)
def test_a_form_without_an_article_gets_one(premise: str, prompt: str) -> None:
    assert asked(premise) == prompt


@pytest.mark.parametrize(
    "premise",
    [
        "800 words: a fox",
        "length: 800 words; a fox",
        "a fox, 800 words",
        "a fox, 800 words please",
        "a fox (800 words)",
        "a fox - about 800 words.",
        "a fox, in 800 words",
        "a fox, length: 800 words",
        "a fox (length 800 words)",
        "a fox; keep it under 800 words",
        "less than 800 words about a fox",
        "Max. 800 words, a fox",
        "total, 800 words, about a fox",
        "800 words or less on a fox",
    ],
)
def test_a_length_next_to_a_phrase_is_stated_once(premise: str) -> None:
    assert asked(premise) == "Write an 800-word story about a fox."
    assert planned(premise).startswith("Plan a 800-word story about a fox in 4 chapters.")


def test_what_is_not_part_of_the_length_stays_in_the_phrase() -> None:
    assert (
        asked("a fox, you and me, 800 words") == "Write an 800-word story about a fox, you and me."
    )


def test_the_article_of_a_plan_fits_the_number_for_all_but_the_demo() -> None:
    assert planned("a fox", model="qwen").startswith("Plan an 800-word story about a fox in")
    assert planned("A fox steals a hen.", model="qwen").startswith("Plan an 800-word story in")


def test_a_number_inside_a_phrase_is_kept() -> None:
    phrase = "a parrot who knows 500 words of French"
    assert asked(phrase) == f"Write an 800-word story about {phrase}."
    assert asked("800 words") == "Write an 800-word story about 800 words."


def test_preset_and_form_apply_to_chapters() -> None:
    template = "Write a {words}-word {form} about {premise}. Name the speaker at each line."
    plan = planned("a fox", form="podcast", template=template)
    assert "Plan a 800-word podcast script in 4 chapters." in plan
    assert "Write an 800-word podcast script about a fox. Name the speaker at each line." in plan
    assert "as part of the podcast script" in chapter_prompt(1, 2, "A", 9, "b", "podcast script")
    assert "Plan a 800-word essay about a fox in" in planned("a fox", form="essay")


def test_braces_of_a_template_are_text() -> None:
    asks = asked("a {fox}", template="{{note}} {premise}, {words} words")
    assert asks == "{note} a {fox}, 800 words"


@given(st.text(min_size=1).filter(lambda text: text.strip()), st.integers(1, 200_000))
def test_the_prompt_contains_any_premise_and_its_length(premise: str, words: int) -> None:
    prompt = asked(premise, words)
    assert premise.strip().rstrip(" .!\u2026") in prompt
    assert str(words) in prompt

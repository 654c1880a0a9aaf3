"""Meta-talk is found, and fiction is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.streaming.talk import meta_talk

TALK = [
    "Here is chapter 2:",
    "Here's the edited version.",
    "I hope you enjoyed it.",
    "In the next chapters we will see her leave.",
    "Word count: 512",
    "Thank you for reading.",
    "This story highlights the importance of kindness.",
    "Please let me know if you'd like any changes.",
    "As an AI, I cannot know.",
    "Can you please elaborate further?",
    "I would love to share my new story.",
    "This story has a happy ending.",
]
FICTION = [
    '"I hope you like it," said the king.',
    "“Thank you for reading it to me,” she said.",
    "`Please come back and finish your story!' Alice called after it.",
    "Here is the house.",
    "Here is the story of my life.",
    "I hope you like it here, he thought.",
    "Dear Anna,\nI hope you enjoyed it. Thank you for your time.\nYour Peter\n",
    "My love,\n\n15 November\n\nI hope you enjoyed it. Please tell me.\n\nYour Peter\n",
    "To my brother:\nLet me know if you can. Thank you for your time.\nTom\n",
    "Tom,\nWhat do you think of the boat? I hope you like it.\nAnn\n",
    "I wrote the last chapter in the spring, and burned it in the autumn.",
    "She read the chapter again, and the story seemed worse than before.",
    "I walked to the sea and thought of you.",
    "She built a ship, and she wanted to share her story with the crew.",
    "Those who would not like to share their own tales sat apart.",
    "This tale has been passed down through generations.",
    "Our story has been told a thousand times.",
    "She had learned 12 words of Finnish by then.",
    "It was a 500-word letter from the bishop.",
    "Please let it be her, she thought.",
    "The passage ends at a locked door.",
    "I tried to keep my tone light, and I made my passage on a steamer.",
    "What would you have done?",
    "That's the end of it, I said to myself.",
    "This was the plot of land his father had bought.",
    "In the passage we found the bones.",
    "You walk past your plot of vegetables.",
    "She wanted to share the story with them.",
    "After that, I decided to share my story with the police.",
    "'Please let me know—' she began.",
    "‘Let me know if you can…’ he said.",
    "— Thank you for asking, he said.",
]


@pytest.mark.parametrize("sentence", TALK)
def test_talk_about_the_text_is_found(sentence: str) -> None:
    story = "The king slept. "
    (found,) = meta_talk(f"{story}{sentence}\n\nHe woke at noon.")
    assert f"{story}{sentence}"[slice(*found)] == sentence


@pytest.mark.parametrize("text", FICTION)
def test_fiction_is_no_talk(text: str) -> None:
    assert meta_talk(text) == []


@pytest.mark.parametrize(
    "decayed",
    ["'and ", '‘and "so" ', "\n", "Dear A. B,\n", "- ", "How does the story ", "* "],
    ids=["apostrophes", "quotes", "blank lines", "letters", "dashes", "questions", "stars"],
)
def test_long_decayed_text_takes_linear_time(decayed: str) -> None:
    """Quadratic time would be minutes."""
    text = f"The king slept.\n{decayed * 50_000}.\nPeter\nWord count: 512"
    assert text[slice(*meta_talk(text)[-1])] == "Word count: 512"


@given(st.text())
def test_passages_lie_in_the_text_in_order(text: str) -> None:
    bounds = [bound for passage in meta_talk(text) for bound in passage]
    assert bounds == sorted(bounds) and all(0 <= bound <= len(text) for bound in bounds)

"""Streams recorded by 0.1.0, where empty fields said what a chunk was, become events."""

from typing import Any

from polaris_cli.events import Chapter, ChapterStart, Chunk, Event, Inserted, Plan, Restart
from polaris_cli.story.chapter_drafts import chapter_drafts
from polaris_cli.story.old_records import upgrade_events

PLAN = Plan("T", "", (Chapter("One", 5, "a"), Chapter("Two", 5, "b")))
RESTART = Chunk("thinking", "\n\n")


def upgraded(
    *chunks: Chunk, plan: Plan | None = None, draft: dict[str, Any] | None = None
) -> list[Event]:
    record = {"outline": plan and plan.as_dict(), "draft": draft}
    return list(upgrade_events(chunks, record))


def test_a_single_pass_is_as_it_was() -> None:
    chunks = [Chunk("thinking", "a plan", 2, (1, 2)), Chunk("story", "Once.", 2, (3, 4))]
    assert upgraded(*chunks) == chunks


def test_restarts_breaks_and_endings_of_one_text() -> None:
    thought, scene = Chunk("thinking", "again", 1, (1,)), Chunk("story", "* * *\n\n", 0, (7, 8))
    text = Chunk("story", "Once.", 2, (3, 4))
    found = upgraded(thought, RESTART, thought, text, scene, text, Chunk("story", "\n\nThe end."))
    assert found == [
        thought,
        Restart(1),
        thought,
        text,
        Inserted("scene break", scene.text, scene.ids),
        text,
        Inserted("ending", "\n\nThe end."),
    ]


def test_a_draft_stands_first() -> None:
    text = Chunk("story", "It ran.", 2, (3, 4))
    found = upgraded(Chunk("story", "A fox. "), text, draft={"text": "A fox. "})
    assert found == [Inserted("draft", "A fox. "), text]


def test_chapters_begin_with_their_thinking_or_their_heading() -> None:
    planning, thought = Chunk("thinking", "Title: T", 9), Chunk("thinking", "hm", 1, (1,))
    one, two = Chunk("story", "A fox.", 2, (2, 3)), Chunk("story", "A hen.", 2, (4, 5))
    headings = [Chunk("story", "## One\n\n"), Chunk("story", "\n\n## Two\n\n")]
    found = upgraded(
        planning, RESTART, headings[0], one, thought, RESTART, thought, headings[1], two, plan=PLAN
    )
    assert found == [
        planning,
        RESTART,
        ChapterStart(1, "One"),
        Inserted("heading", "## One\n\n"),
        one,
        ChapterStart(2, "Two"),
        thought,
        Restart(1),
        thought,
        Inserted("heading", "\n\n## Two\n\n"),
        two,
    ]
    assert [chapter.text for chapter in chapter_drafts(found)] == ["A fox.", "A hen."]

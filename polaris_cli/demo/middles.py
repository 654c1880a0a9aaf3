"""The scenes between a story's event and its ending, by kind.

A scene has a gist (a line of the plan, in the third person present), openers (its first sentence,
which contains the scene's keyword) and followers. The sentences are in `sentences.txt`, with the
slots described in `scenes`.
"""

from dataclasses import dataclass

from polaris_cli.demo.lists import SENTENCES


@dataclass(frozen=True)
class SceneKind:
    """One kind of scene; its keyword is a place or a thing, as `uses` says."""

    uses: str
    gists: list[str]
    openers: list[str]
    followers: list[str]


def _kind(name: str, uses: str, *gists: str) -> SceneKind:
    return SceneKind(
        uses, list(gists), SENTENCES[f"{name} openers"], SENTENCES[f"{name} followers"]
    )


# For each kind: "place" or "thing" for its keyword, then its gists.
_KINDS: dict[str, tuple[str, ...]] = {
    "search": (
        "place",
        "searches the {key}",
        "looks for answers at the {key}",
        "asks about {matter} at the {key}",
    ),
    "meet": ("place", "meets {friend} at the {key}", "asks {friend} for help at the {key}"),
    "talk": ("thing", "shows {friend} the {key}", "talks with {friend} about the {key}"),
    "journey": (
        "place",
        "walks to the {key}",
        "travels as far as the {key}",
        "sets out for the {key}",
    ),
    "storm": ("place", "is caught by the {sky} at the {key}", "waits out the {sky} at the {key}"),
    "loss": ("thing", "loses the {key}", "finds the {key} broken", "finds that the {key} is gone"),
    "find": ("thing", "finds a {key}", "discovers a {key}", "digs up a {key}"),
    "doubt": ("thing", "doubts and looks at the {key}", "lies awake over the {key}"),
    "memory": ("thing", "remembers the {key} of {his} childhood", "remembers whose {key} it was"),
    "gift": ("thing", "is given a {key} by {friend}", "borrows a {key} from {friend}"),
    "refusal": ("place", "is turned away at the {key}", "finds the {key} closed"),
    "work": ("thing", "mends the {key}", "works on the {key} all night", "builds a {key}"),
    "night": ("place", "waits through the night at the {key}", "hides at the {key}"),
    "turn": ("thing", "learns the truth from the {key}", "understands what the {key} means"),
    "choice": (
        "place",
        "must choose at the {key}",
        "takes a risk at the {key}",
        "faces the crowd at the {key}",
    ),
    "return": ("place", "comes back to the {key}", "goes home past the {key}"),
}
KINDS = {name: _kind(name, *gists) for name, gists in _KINDS.items()}

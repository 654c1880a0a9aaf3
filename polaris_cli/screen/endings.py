"""The words for how a story ended, the same in the report and in the list of the library.

Knows finish reasons, not stories.
"""

from polaris_cli.events import Reason

_ENDINGS: dict[Reason, tuple[str, str]] = {
    "stop": ("ended", "by itself"),
    "length": ("cut off", "at the token limit"),
    "loop": ("looped", "and was stopped"),
    "decay": ("decayed", "and was stopped"),
    "interrupted": ("interrupted", ""),
    "error": ("failed", ""),
}

REASONS = {reason: " ".join(filter(None, words)) for reason, words in _ENDINGS.items()}
"""How a story ended, in a few words: "cut off at the token limit"."""

STATES: dict[str, str] = {reason: words[0] for reason, words in _ENDINGS.items()}
"""The same in one or two words, for a table."""

"""Characters of languages without spaces between words, and where a sentence ends in any language.

Holds parts of regular expressions only; counting words, wrapping lines, finding loops and closing
stories use them elsewhere.
"""

# Han, Hiragana and Katakana, for use in a character class of a regular expression. Without Hangul,
# as Korean puts spaces between words, and without voicing marks, as they belong to the character
# before them.
CJK = (
    "\u2e80-\u2fd5\u3005\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c"
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003fffd"
)

# Korean letters, for the same use.
HANGUL = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7fb"

# Signs of East Asian texts, which are as wide as a Han character, for the same use.
WIDE_SIGNS = "\u3001-\u3003\u3008-\u3020\u3030\u303d\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff65"

# Thai, Lao, Burmese and Khmer, for the same use.
THAI_AND_SIMILAR = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"

# For the same use: signs that end a sentence before white space, as a number or a name has them
# too; those that always end one (East Asian, Arabic, Indic, Armenian, Ethiopic, Burmese, Khmer,
# Tibetan, doubled); and what may close behind either.
STOPS = ".!?…\uff0e"
FULL_STOPS = (
    "\u3002\uff01\uff1f\uff61\u061f\u06d4\u0964\u0965\u0589\u1362\u1367\u104b\u17d4\u17d5"
    "\u0f0d\u0f0e\u203c\u2047-\u2049"
)
CLOSING = "\"'\u201c\u201d\u2018\u2019»«)\\]}」』\uff09】》〉*_"

_CLOSED = rf"(?:[{CLOSING}]|\s»(?!\S))*+"  # French has a space before its mark
SENTENCE_END = rf"(?:[{STOPS}]{_CLOSED}(?!\S)|[{FULL_STOPS}][{STOPS}{FULL_STOPS}{CLOSING}]*+)"

"""Characters of the languages that are written without spaces between words.

Holds character ranges only; counting words, wrapping lines and finding loops use them elsewhere.
"""

# Han, Hiragana and Katakana, for use in a character class of a regular expression. Without Hangul,
# as Korean puts spaces between words, and without voicing marks, as they belong to the character
# before them.
CJK = (
    "\u2e80-\u2fd5\u3005\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c"
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003fffd"
)

# Thai, Lao, Burmese and Khmer, for the same use.
THAI_AND_SIMILAR = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"

"""Language tags (BCP 47): of a text, from its script, and whether one is written right to left.

Knows letters and the English "the". Does not know any other language from its words.
"""

import re
import unicodedata
from collections import Counter

UNKNOWN = "und"

# The script in Unicode's names of letters, and the tag of a text in it. Where several languages
# share a script, the tag names only the script.
_TAGS = {
    "ARABIC": "und-Arab", "ARMENIAN": "hy", "BENGALI": "und-Beng", "CJK": "zh",
    "CYRILLIC": "und-Cyrl", "DEVANAGARI": "und-Deva", "ETHIOPIC": "und-Ethi", "GEORGIAN": "ka",
    "GREEK": "el", "GUJARATI": "gu", "GURMUKHI": "pa", "HANGUL": "ko", "HEBREW": "he",
    "HIRAGANA": "ja", "KANNADA": "kn", "KATAKANA": "ja", "KHMER": "km", "LAO": "lo",
    "LATIN": "und-Latn", "MALAYALAM": "ml", "MYANMAR": "my", "SINHALA": "si", "SYRIAC": "syr",
    "TAMIL": "ta", "TELUGU": "te", "THAANA": "dv", "THAI": "th", "TIBETAN": "bo",
}  # fmt: skip

_RIGHT_TO_LEFT = {"ar", "ckb", "dv", "fa", "he", "iw", "ps", "sd", "syr", "ug", "ur", "yi"}
_RIGHT_TO_LEFT_SCRIPTS = {"adlm", "arab", "hebr", "nkoo", "rohg", "syrc", "thaa"}

# A language and its extensions, a script, a region and variants.
_TAG = re.compile(
    r"[a-z]{2,3}(-[a-z]{3}){0,3}(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?"
    r"(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*",
    re.IGNORECASE | re.ASCII,
)
_THE = re.compile(r"\bthe\b", re.IGNORECASE)
_SHARE_OF_THE = 0.02  # English prose has 4 to 7% of it, no other language that is not quoting it
_SHARE_OF_KANA = 0.1  # Japanese prose has half; a Chinese text may quote a name


def is_tag(text: str) -> bool:
    """Whether a text has the form of a language tag: "en", "pt-BR", "sr-Latn"."""
    return bool(_TAG.fullmatch(text))


def language_of(text: str) -> str:
    """The language tag of a text, from the script of most of its letters.

    A script of several languages gives "und-Cyrl" and the like, no letters "und". Latin script
    with as many "the" as English has gives "en".
    """
    scripts = Counter[str]()
    for letter, count in Counter(filter(str.isalpha, text)).items():
        scripts[unicodedata.name(letter, "").partition(" ")[0]] += count
    known = Counter({script: count for script, count in scripts.items() if script in _TAGS})
    if not known:
        return UNKNOWN
    script = known.most_common(1)[0][0]
    kana = known["HIRAGANA"] + known["KATAKANA"]
    if script == "CJK" and kana > _SHARE_OF_KANA * known.total():
        return "ja"
    if script == "LATIN" and len(_THE.findall(text)) > _SHARE_OF_THE * len(text.split()):
        return "en"
    return _TAGS[script]


def is_known(tag: str) -> bool:
    """Whether a tag names a language, and not only a script or nothing."""
    return tag.partition("-")[0].lower() != UNKNOWN


def is_right_to_left(tag: str) -> bool:
    """Whether a language is written from right to left; a script in its tag decides."""
    language, *others = tag.lower().split("-")
    script = next((other for other in others if len(other) == 4 and other.isalpha()), "")
    return script in _RIGHT_TO_LEFT_SCRIPTS if script else language in _RIGHT_TO_LEFT

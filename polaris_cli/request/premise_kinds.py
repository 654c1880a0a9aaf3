"""The grammatical kind of a premise, so that a prompt can embed it correctly: `kind_of`.

A heuristic that knows how English premises begin and where their verbs are, and the first word of a
request in some other languages. If it cannot tell, the premise is a phrase. Does not know the
prompts.
"""

import re
from collections.abc import Iterable
from itertools import pairwise, takewhile
from typing import Literal

from polaris_cli.characters import CLOSING, FULL_STOPS, SENTENCE_END, STOPS
from polaris_cli.request.premise_words import (
    BOUND,
    CLOSERS,
    LABELS,
    LINKS,
    RELATIVES,
    TOPICS,
    WIDER,
)

PremiseKind = Literal["phrase", "sentence", "text", "request", "form"]
"""phrase: "a lighthouse keeper who finds a letter"; sentence: "A keeper finds a letter.", or a
question; text: several sentences or lines; request: "Write a fable about a fox"; form: "a fable
about a fox" or "short story about a fox", a request without its verb."""

_FORMS = (
    "story|tale|fable|fairy ?tale|fiction|scene|essay|review|podcast|script|vignette|novella|novel|"
    "myth|legend|poem|ballad|monologue|sketch|satire|parable|romance|thriller|mystery"
)

_MARKUP = re.compile(r"[*_#>`•-]*\s*")  # "# Write a story", "**Write a story**"
_POLITE = (
    r"(?:(?:please|kindly|now|ok|okay|hi|hello|hey)\b[,!.]?\s+)*"
    r"(?:(?:can|could|would|will) you\s+(?:please\s+)?|(?:help|let) (?:me|us)\s+(?:to\s+)?|"
    r"let's\s+|i(?: want| need|'d like| would like|’d like) you to\s+)?"  # noqa: RUF001
)
_VERBS_OF_WRITING = "write|compose|create|generate|tell|narrate|invent"
_OBJECT = (
    r"(?:me|us|a|an|the|one|two|three|some|something|about|this|that|my|our|your|his|her|its|it|in|"
    r"how|what|from|up|\d+)\b|[\"“'‘]"  # noqa: RUF001
)
# Compiled when first used: that takes longer than the rest of this module's import.
_REQUEST = (
    rf"(?i){_POLITE}(?:(?:{_VERBS_OF_WRITING}|craft|draft|produce|pen|make|give|describe|retell|"
    rf"rewrite|continue)\s+(?:{_OBJECT})|"
    rf"(?:{_VERBS_OF_WRITING})\s+(?:[\w,.-]+\s+){{0,5}}?(?:(?:{_FORMS})s?|stories|words)\b)"
)
_WISH = (
    rf"(?i)i(?: want| need|'d like| would like|’d like)\s+(?:to (?:read|have|hear)\s+)?"  # noqa: RUF001
    rf"(?:a|an|some|one)\s[^.!?\n]*?\b(?:{_FORMS})\b"
)
_ABROAD = (
    r"(?i)(?:bitte\s+)?(?:schreib|erzähl|verfass|dichte)(?:e|en sie|t)?\s|"
    r"(?:s'il (?:te|vous) plaît,?\s+)?(?:[ée]cri(?:s|vez)|racont(?:e|ez)|rédige[z]?|invente[z]?)\b|"
    r"(?:por favor,?\s+)?(?:escr[ií]be(?:me)?|cu[eé]nta(?:me)?|redacta|narra|inventa)\b|"
    r"(?:crea|haz|conte)\s+(?:una?|uma?)\s|(?:scrivi|racconta)(?:mi)?\b|escreva\b|"
    r"(?:schrijf|vertel)\s|napisz\s|напиши(?:те)?\s|"
    r"(?:请|請)?(?:帮我|幫我|给我|給我|为我)?(?:写|寫|讲|講|创作|創作|编)"
)


def _any_of(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(words)))


_NUMBER = r"\d[\d.,k\u2013-]*"
# Where "an" stands before a word or a number: eight, eleven, eighteen.
_VOWEL = re.compile(r"[aei]|o(?!ne)|u(?!ni|se)|8|1[18](?:[.,]?\d{3})*(?!\d)", re.I)
_LINK = r"\s+(?:about|of|on|in which|where|with|set|that|for|from|told|between)\b"
_LENGTH = (  # ", about 500 words" or " of 500 words" after a form
    rf"(?:\s*[,;:(\u2013\u2014-]\s*|\s+(?:of|in)\s+)"
    rf"(?:(?:{_any_of(BOUND | LABELS | LINKS)})\.?:?\s+){{0,3}}?"
    rf"(?:{_NUMBER}\s+(?:to|and)\s+)?{_NUMBER}\s+words\b"
)
_COUNTED = (  # "500-word horror story", which the words of a request may follow, as in `premise`
    rf"(?:{_NUMBER}(?:-|\s+)|[a-z-]+-)words?\s+(?:[\w-]+\s+){{0,3}}?(?:{_FORMS})\b"
    rf"(?:\s+(?:{_any_of(TOPICS | WIDER | RELATIVES | CLOSERS)})\b|(?!\s+\w))"
)
_FORM = (
    rf"(?i)(?:an?|one|some)\s+(?:[\w-]+\s+){{0,4}}?(?:{_FORMS})s?(?:{_LINK}|{_LENGTH})|"
    rf"(?:an?|one)\s+{_COUNTED}|"
    r"(?P<bare>(?!(?:the|this|that|his|her|its|my|our|your|their|every|each|no|he|she|they|we|i)\b)"
    rf"(?:(?:(?:[\w-]+(?<!s)(?<!ed)|children's)\s+){{0,2}}?(?:{_FORMS})"
    rf"(?:\s+(?:about|on|in which)\b|{_LENGTH})|{_COUNTED}))|"
    rf"(?:(?:about|around|exactly|roughly)\s+)?{_NUMBER}\s+words\s+(?:about|on)\b"
)
_SUPPOSE = re.compile(
    r"(?:imagine|suppose|picture|consider|think of|pretend|assume|start|begin|open|set|use)\s+"
    r"(?:that\b|a\b|an\b|the\b|if\b|it\b|with\b|your|yourself|how\b|what\b)|what if\b|"
    r"(?:is|are|was|were|do|does|did|can|could|would|should|will|has|have)\s+\w+\s+\w+[^.!]*\?",
    re.I,
)
_ENDS = re.compile(
    rf"[{STOPS}][{CLOSING}]*(?=\s+[\"'“‘«(\[]*[A-ZÀ-ÞЀ-Я0-9])|[{FULL_STOPS}][{FULL_STOPS}{CLOSING}]*+(?=.)"  # noqa: RUF001
)
_CLOSED = re.compile(f"{SENTENCE_END}$")
_ABBREVIATION = re.compile(
    r"\b(?:mr|mrs|ms|dr|st|prof|jr|sr|vs|no|max|min|approx|ca|[a-z])\.$", re.I
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# These begin a subordinate clause; a verb after them is not the premise's main verb.
_RELATIVE = _words(
    "who whom whose which that where when while whenever because if as until after before since "
    "though although what how why"
)
_JOINTS = _words(
    "of in on at by for from with without to into onto under over through between among against "
    "about around behind beside beneath beyond across along near past toward towards upon "
    "within inside outside during like than and or but nor plus versus is was are were half all "
    "both not only quite such even"
)
_VERBS = _words(
    "is are was were has had must cannot would could should does did isn't wasn't aren't "
    "weren't hasn't hadn't can't won't doesn't didn't don't couldn't wouldn't shouldn't"
)
_SUBJECTS = _words(
    "he she they we i it you there someone somebody nobody everyone everybody anyone no-one"
)
_SINGULAR = _words("a an one every each another this")
_DETERMINERS = _words("a an the his her their its my our your every each")
_OBJECTS = _DETERMINERS | _words("to that out up down back into him them himself")
# A determiner after these begins a clause or a name: "the day the music died".
_OPENERS = _words(
    "day night year time moment summer winter morning evening week way place reason hour spring "
    "autumn named called titled once"
)
# Words in -s that are not verbs.
_NOUNS_IN_S = _words(
    "news series species lens gas bus atlas arms sports always his its hers ours theirs this "
    "thus perhaps christmas means clothes alas sometimes besides was has is does goes-between "
    "savings sales systems games arts customs women's children's homeless previous"
)
_NOUN_ENDINGS = ("ss", "us", "is", "ics", "'s", "’s", "less", "ous")  # noqa: RUF001


def kind_of(premise: str) -> PremiseKind:
    """The kind of a premise, ignoring white space around it."""
    text = premise.strip()
    plain = _MARKUP.sub("", text, count=1)
    if any(re.match(one, plain) for one in (_REQUEST, _WISH, _ABROAD)):
        return "request"
    if "\n" in text or _has_inner_end(text):
        return "text"
    form = re.match(_FORM, text)
    if form and not _goes_on(text[form.end() :]):
        return "form"
    return "sentence" if _is_sentence(text) else "phrase"


def as_request(form: str) -> str:
    """A premise of the kind "form" as a request: "short story about a fox" with its verb."""
    found = re.match(_FORM, form)
    article = f"{article_of(form)} " if found and found["bare"] else ""
    return f"Write {article}{form[0].lower()}{form[1:]}"


def article_of(noun: str) -> str:
    """The article of what begins so: "a" for "500-word story", "an" for "800-word story"."""
    return "an" if _VOWEL.match(noun) else "a"


def named_form(premise: str) -> str:
    """The form that a request names first, such as "essay"; "" if there is none."""
    found = re.search(rf"\b(?:{_FORMS})\b", premise, re.I)
    return found[0].lower() if found and kind_of(premise) in ("request", "form") else ""


def is_closed(text: str) -> bool:
    """Whether a text ends with the end of a sentence."""
    return bool(_CLOSED.search(text))


def _has_inner_end(text: str) -> bool:
    ends = _ENDS.finditer(text)
    return any(not _ABBREVIATION.search(text[: match.end()]) for match in ends)


def _is_sentence(text: str) -> bool:
    if text.endswith(("?", "？")) or _SUPPOSE.match(text):  # noqa: RUF001
        return True
    words = re.findall(r"[\w'’-]+|[,;:—–()]", text)  # noqa: RUF001
    # A phrase may also end in a period, so a sentence must start with a capital and be longer.
    if is_closed(text) and not text[0].islower() and (len(words) > 3 or "。" in text):
        return True
    return len(words) > 2 and _has_verb([word.lower() for word in words], words[0][0].isupper())


def _goes_on(topic: str) -> bool:
    """Whether a main verb follows, whose subject is the form: "[her debut] ruins a life"."""
    words = re.findall(r"[\w'’-]+|[,;:—–()]", topic.lower())  # noqa: RUF001
    main = takewhile(lambda word: not _breaks_off(word), words)
    return any(_is_third_person(one) and next in _DETERMINERS for one, next in pairwise(main))


def _has_verb(words: list[str], capital: bool) -> bool:
    """Whether there is a main verb before the first subordinate clause or comma."""
    stop = next((n for n, word in enumerate(words) if n and _breaks_off(word)), len(words))
    main = words[:stop]
    if words[0] in _SUBJECTS:
        return stop > 1 and words[1] not in _JOINTS - {"is", "was", "are", "were"}
    if not _VERBS.isdisjoint(main[1:]):
        return True
    joint = next((n for n, word in enumerate(main) if n > 0 and word in _JOINTS), stop)
    if any(_takes_an_object(main, n) for n in range(1, joint)):
        return True
    if words[0] in _SINGULAR:
        return any(_is_third_person(word) for word in main[2 : min(joint + 1, stop)])
    named = capital and words[0] not in _DETERMINERS
    return named and stop > 1 and _is_third_person(words[1]) and words[2] in _OBJECTS


def _breaks_off(word: str) -> bool:
    """Whether a subordinate clause begins at this word: "a bag [nobody] claims"."""
    return word in _RELATIVE or word in _SUBJECTS or not word[0].isalnum()


def _takes_an_object(main: list[str], place: int) -> bool:
    """Whether a word is a verb, as a determiner follows: "two sisters [inherit] a violin"."""
    word, following = main[place], main[place + 1 : place + 2]
    if word in _OPENERS or word in _JOINTS or word in _DETERMINERS or word.endswith("ing"):
        return False
    return bool(following) and following[0] in _DETERMINERS


def _is_third_person(word: str) -> bool:
    verb = word.endswith("s") and word not in _NOUNS_IN_S and not word.endswith(_NOUN_ENDINGS)
    return verb and word not in _JOINTS

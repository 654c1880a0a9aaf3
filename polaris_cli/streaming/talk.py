"""Finds meta-talk: sentences about the task, the text or the reader, not of the story.

Knows English wording only. Does not know about models or streams. Quoted speech and letters belong
to the story, whatever they say.
"""

import re
from collections.abc import Iterable, Iterator

_TEXT = (
    r"(?:story|stories|storyline|chapters?|tale|narrative|passage|paragraphs?|version|draft|essay"
    r"|prompt|plot|outline|summary|rewrite|continuation|excerpt)"
)
# Of these, the ones that name nothing in a scene: there are passages to a cellar, plots of land.
_STORY = r"(?:story|stories|storyline|chapters?|tale|narrative|essay|prompt|continuation|excerpt)"
_PRESENT = r"(?:is|are|has|have|will|should|can|could|must|needs?|learns?|feels?|discovers?|faces)"
_PATTERNS = (
    # "Here's the edited version", but not "Here is the story of my life"
    rf"here(?:'s| is| are) (?:[\w'-]+ ){{0,5}}?(?:{_TEXT}|list|tips|examples?|suggestions|"
    r"possible (?:\w+ )?ending)\b(?! (?:of (?:how|my|our|his|her)|that|as)\b)",
    # "I hope you enjoyed it"
    rf"i (?:really )?hope (?:that )?you(?:'ve| have|'ll| will)? (?:enjoy|like|love|find|found)\w* "
    rf"(?:it\b(?! (?:here|there))|this\b|reading|(?:the|my|our|these) (?:\w+ )?{_TEXT})",
    rf"i hope (?:that )?this (?:helps|meets|{_TEXT}|inspires|gives you)",
    r"(?:please )?let me know (?:if|how|what|whether) (?:you|i|there|this)\b",
    r"feel free to\b|don't hesitate to\b|please (?:let me know|note|feel free|keep in mind|write"
    r"|make sure|provide|rewrite|continue|share|add|include|see|read|consider|review|check|confirm"
    r"|tell)\b",
    r"if you(?:'d like| would like| have any|'re interested| are interested| need (?:any|more)|"
    r"'re looking| enjoyed| liked| want (?:me|more))\b",
    r"i(?:'ll| will| can|'d| would|'m here to)(?: be)? (?:do my best|happy to|your guide|assist|"
    r"help you|provide|explain|continue (?:the|this|with))\b",
    r"(?:what|how) (?:can|may|else can) i (?:help|assist|do for)\b",
    r"what do you think (?:of|about|will|would|happens?)\b|what would you like (?:to|me)\b",
    r"(?:as|when) we (?:continue|conclude|explore|delve)\b|let's (?:dive|explore|continue|talk)\b",
    r"in (?:conclusion|summary)\b|to (?:summari[sz]e|conclude)\b|ladies and gentlemen\b",
    rf"the (?:above |original )?{_STORY} "
    r"(?:ends|continues|also|shows|teaches|reminds|has become)\b",
    # "I would love to share this story", but not "She wanted to share the story"
    rf"[^\n]*\b(?:inspired me|(?:i|we)(?:'d| would)? (?:\w+ )?(?:want(?:ed)?|like|love)) "
    rf"to share (?!(?:his|her|their)\b)(?:\w+ ){{0,3}}{_STORY}\b",
    rf"[^\n]*\b(?:this|the) {_TEXT} (?:i'm|i am|we're) writing\b",
    r"it (?:appears|seems|looks like) you\b",
    r"you(?:'re| are) (?:absolutely|quite) (?:correct|right)\b",
    r"here(?:'s| is) (?:how|what) (?:i|you|we)\b",
    r"(?:so,? )?that(?:'s| is) (?:what i want|why i (?:am writing|wrote))\b",
    rf"(?:so,? )?that(?:'s| is) the end of (?:the|this|our|my) {_STORY}\b",
    rf"this (?:is|was) (?:indeed |just )?(?:a|an|one|the end of)? ?(?:\w+ )?(?:{_STORY}|example)\b",
    r"thank(?:s| you)(?: \w+){0,2},? (?:again )?for (?:reading|sharing|asking|listening|watching|"
    r"providing|joining|your (?:time|feedback|patience|interest|support|understanding|story|"
    r"message|question|response|input|comments?|kind words))\b",
    # "That's a fantastic retelling", but not "That is a story my father told"
    rf"(?:that|this)(?:'s| is) (?:a|an|such a) (?:\w+ )?(?:great|good|wonderful|fantastic|amazing|"
    rf"beautiful|excellent|interesting|powerful|compelling|lovely|perfect) (?:\w+ )?(?:{_TEXT}|"
    r"retelling|ending|beginning|start|example|conclusion|question)\b",
    # "How does this affect the rest of the story?"
    r"(?:how|what|why) (?:do|does|is|are|can|could|would|might|changes) (?=[^\n?]*\?)[^\n?]*\b"
    rf"(?:the|this|your) (?:\w+ ){{0,3}}(?:{_TEXT}|main character|protagonist|readers?|"
    r"final paragraph)\b",
    # "The final sentence brings the tale full circle"
    r"the (?:first|second|next|final|last|opening|closing) (?:sentence|paragraph|line)"
    rf"(?: of (?:the|this|your) {_TEXT})? (?:is|brings|shows|should|could|can|has|needs|leaves)\b",
    # "In the next chapters we will ..."
    rf"(?:in|for|throughout) (?:the|this|our|my) (?:\w+ )?(?:{_STORY}|section|part|installment|"
    r"episode)s?,? (?:we|you|i|let)\b",
    # "This story highlights ...", but not "This tale has been passed down"
    rf"(?:this|your|the (?:above|following)|my|our) (?:\w+ ){{0,2}}?{_TEXT} (?:also )?"
    r"(?:explores?|has(?! been (?:passed|handed|told))|starts|touches|highlights?|illustrates?|"
    r"demonstrates?|showcases?|"
    r"emphasi[sz]es?|teaches|reminds|delves|captures|conveys|aims|revolves|focuses|follows|serves|"
    r"introduces|describes|"
    r"is (?:about|set|based|told|inspired|intended|meant|incomplete|a (?:reminder|testament)))\b",
    rf"the (?:first|second|third|next|final|last|rest|end|beginning|following)(?: \w+)? "
    rf"(?:of )?(?:(?:the|this|our|your) )?{_TEXT} (?:{_PRESENT}|follows|begins|ends|introduces)\b",
    rf"[^\n]*\bthe (?:reader|protagonist|main character|narrator)s? {_PRESENT}\b",
    r"(?:can|could|would) you (?:please |also |now |like (?:me )?to )*(?:provide|elaborate|clarify|"
    r"rewrite|write|revise|summari[sz]e|share|suggest|explain|tell me more|continue)\b",
    rf"(?:please|just)? ?(?:write|rewrite|describe|create|imagine|consider|include|use|add|"
    rf"remember|try|start|make sure|think|provide|explain|discuss|ensure|avoid|choose|go ahead)\b"
    rf"[^\n]*\b(?:your|the|this|a) (?:\w+ )?(?:{_TEXT}|characters?|readers?|sentences?|tone)\b",
    rf"i(?:'m| am) (?:\w+ )?(?:sorry|glad|excited|happy|ready|here|thrilled)\b[^\n]*\b(?:{_TEXT}|"
    rf"you (?:liked|enjoyed|found)|assist|help you|confusion|feedback|reading)\b",
    rf"i(?:'ve| have|'ll| will| can|'d| would)? (?:also )?(?:\w+ )?(?:tried|made|add|added|"
    rf"revised?|edited|rewritten|rewrote|changed|included|provide|help|continue|expanded|removed|"
    r"created)\b"
    rf"[^\n]*\b(?:(?:your|the|this) (?:{_STORY}|version|tone|original)|word count)\b",
    r"(?:as|i'm|i am)(?: just| only)? an? (?:ai|language model|virtual assistant)\b",
    rf"[^\n]*\byour (?:own )?(?:{_STORY}|writing|readers?|audience)\b",
    rf"[^\n]*\b(?:\d+-word {_TEXT}|(?:\d,)?\d{{3}} words)\b",
    r"[^\n]*\bword (?:count|limit)\b",
    r"(?:end of (?:the |this )?(?:story|note|chapter|scene|text|part))\b",
    # labels of a text's parts
    r"(?:title|genre|setting|characters?|plot|themes?|summary|synopsis|prompt|outline|notes?|"
    r"author's note|tips?|instructions?|questions?|answer|response|example|edited|"
    r"revised|rewritten|conclusion|introduction|user|assistant)(?: \w+)?\W{0,3}:",
)
_OPENER = r"(?:(?:so|now|well|ok|okay|sure|yes|great|finally|and|but|also|again),? |sure!? )?"
# Compiled when first used, as it takes 10 ms.
_META = rf"(?i)\W*+{_OPENER}(?:{'|'.join(_PATTERNS)})"
_SENTENCE = re.compile(r"[^\s.!?][^.!?\n]*(?:[.!?]+[\"”’)*\]]*|(?=\n)|$)")  # noqa: RUF001
_CLOSED_BY = ".,!?…—–"  # noqa: RUF001  before the second quotation mark
_SPEECH = re.compile(
    r"“[^”\n]*”?|\"[^\"\n]*\"?|«[^»\n]*»?|^[ \t]*[—–][^\n]*"  # noqa: RUF001
    rf"|(?<!\w)[‘`'](?=\w)[^\n]*?[{_CLOSED_BY}]'(?!\w)",  # noqa: RUF001
    re.MULTILINE,
)
# All that can be speech in single quotation marks: up to the last end of one in the line.
_QUOTABLE = re.compile(rf"((?:[^\n]*[{_CLOSED_BY}]'(?!\w))?)([^\n]*)")
_NO_QUOTES = str.maketrans("‘`'", "   ")  # noqa: RUF001
# "My dear Anna,", "To my brother:", "Tom,"; a word before a colon alone is a label.
_LETTER = re.compile(
    r"^[ \t*_]*(?:(?:(?:my )?(?:dear(?:est)?|love|darling|beloved)\b|to (?:my|the|whom|mrs?|dr)\b)"
    r"[^\n]{0,40}?[,:–—]|(?-i:[A-Z][\w'-]+)[,–—])[ *_]*$",  # noqa: RUF001
    re.IGNORECASE | re.M,
)
_ENDED = re.compile(r"[.!?…]\W*\n")
_SIGNATURE = re.compile(r"^[^\n.:!?]{1,30}$", re.M)


def meta_talk(text: str) -> list[tuple[int, int]]:
    """The sentences of `text` that are meta-talk, as pairs of character positions (start, end)."""
    return [
        (sentence.start(), sentence.end())
        for sentence in _SENTENCE.finditer(narration(text))
        if re.match(_META, sentence[0])
    ]


def is_talk(text: str) -> bool:
    """Whether nearly all of a text is meta-talk."""
    talk = sum(end - start for start, end in meta_talk(text))
    return talk > 0.8 * len(text.strip())


def narration(text: str) -> str:
    """The text with quoted speech and letters replaced by letters x of the same number."""
    plain = text.replace("’", "'")  # noqa: RUF001
    told = _masked(plain, _speeches(plain))
    return _masked(told, _letters(told))


def _masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    letters = list(text)
    for start, end in spans:
        letters[start:end] = "x" * (end - start)
    return "".join(letters)


def _speeches(text: str) -> Iterator[tuple[int, int]]:
    """The quoted speech in a text; in linear time, as no apostrophe is tried that opens none."""
    quotable = _QUOTABLE.sub(lambda line: line[1] + line[2].translate(_NO_QUOTES), text)
    return (found.span() for found in _SPEECH.finditer(quotable))


def _letters(text: str) -> Iterator[tuple[int, int]]:
    """The letters in a text: from "Dear ...," to a short line after a sentence, the signature."""
    place = 0
    while opening := _LETTER.search(text, place):
        sentence = _ENDED.search(text, opening.end())
        signature = _SIGNATURE.search(text, sentence.end()) if sentence else None
        yield opening.start(), signature.end() if signature else len(text)
        place = signature.start() if signature else len(text)

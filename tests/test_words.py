"""Counting like `wc -w` and like the paper, at once and in parts; self-repetition."""

import os
import shutil
import subprocess
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polaris_cli import words
from polaris_cli.words import (
    WordCounter,
    count_words,
    paper_words,
    self_repetition,
    story_words,
)

TEXTS = st.text(
    st.sampled_from(
        "ab1_-“”.。、漢字かカーｶﾞﾟéßแมวລາວខ្ញុំကျ๑"
        "😀 \n\t\u00a0\u2007\u202f\u2060\u3000\u2028\x01\x1c\x85한"
    )
    | st.characters(exclude_categories=["Cs"])
)


def wc(text: str, locale: str = "C.UTF-8") -> int:
    environment = {**os.environ, "LC_ALL": locale}
    environment.pop("POSIXLY_CORRECT", None)
    done = subprocess.run(
        ["wc", "-w"], input=text.encode(), capture_output=True, env=environment, check=True
    )
    return int(done.stdout)


def has_gnu_wc() -> bool:
    if not shutil.which("wc"):
        return False
    done = subprocess.run(["wc", "--version"], capture_output=True, text=True, check=False)
    return "GNU coreutils" in done.stdout and wc("a\u2003b") == 2


real_wc = pytest.mark.skipif("not has_gnu_wc()", reason="no GNU wc with a UTF-8 locale")


@real_wc
@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "It's a well-known story — “truly,” she said… 3,000 times.",
        "no\u00a0break, figure\u2007space, narrow\u202fspace, word\u2060joiner, wide\u3000space",
        "zero\u200bwidth, byte\ufeffmark, soft\u00adhyphen, vowel\u180emark",
        "line\u2028and\u2029paragraph\x85next\x0bvertical\x0cform",
        "* * *\n\n---\n\n— \u2014 · 😀 👩\u200d🚀",
        "a\x1cb c \x01d\x02",
        "한국어는 낱말 사이를 띄어 쓴다",
        "γειά σου, здравствуй, नमस्ते, السلام عليكم, สวัสดี",
    ],
)
def test_count_matches_wc(text: str) -> None:
    assert count_words(text) == wc(text)


@real_wc
def test_every_assigned_character_separates_as_in_wc() -> None:
    assigned = [
        c for c in map(chr, range(1, 0x3400)) if category(c) not in ("Cn", "Cc", "Zl", "Zp")
    ]
    lines = [f"a{c}b {c}" for c in assigned if count_words(c * 2) != 2]
    for block in (lines[n : n + 64] for n in range(0, len(lines), 64)):
        text = "\n".join(block)
        assert count_words(text) == wc(text), ascii(text)


def test_control_characters_alone_are_no_word_and_do_not_separate() -> None:
    assert count_words("a\x1cb \x1d\x1e\x1f \x7f \x00 \x85 \u2028") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("他说hello世界", 5),
        ("“你好。”她说:“再见!”", 6),
        ("東京へ 行った。", 6),
        ("スーパーマーケット", 9),
        ("ガラス カ\u3099ラス", 6),
        ("ｶﾞﾗｽ ﾎﾟｽﾄ", 6),
        ("漢ﾞﾟ、ﾞ字", 2),
        ("𠮷野家", 3),
        ("人々と〇", 4),
        ("第3章 abc", 4),
        ("한국어 漢字", 3),
        ("。 、", 2),  # punctuation alone, as in wc
    ],
)
def test_each_cjk_character_is_a_word(text: str, words: int) -> None:
    assert count_words(text) == words


@given(st.lists(TEXTS, max_size=8))
@example(["“", "你", "”", "a", "b"])
@example(["wo", "rd\x01", "\x01 ", "\u2060", "漢", "a-", "b漢"])
def test_counter_equals_the_count_of_the_whole_after_every_part(parts: list[str]) -> None:
    counter = WordCounter()
    for end, part in enumerate(parts, 1):
        counter.add(part)
        assert counter.count == story_words("".join(parts[:end]))


@given(TEXTS)
def test_counter_takes_a_text_character_by_character(text: str) -> None:
    counter = WordCounter()
    for character in text:
        counter.add(character)
    assert counter.count == story_words(text)


@pytest.mark.slow
def test_counter_keeps_few_characters_of_a_text_without_spaces() -> None:
    counter = WordCounter()
    for _ in range(100_000):
        counter.add("ab-漢。c")
    assert counter.count == 200_001
    assert max(len(str(value)) for value in vars(counter).values()) < 10


@pytest.mark.parametrize(
    "phrase",
    [
        "แมวนอนบนเตียงในบ้านของฉันและสุนัขวิ่งเล่นอยู่ในสวน",
        "ຂ້ອຍຮັກເຈົ້າແລະຂ້ອຍຢາກໄປກັບເຈົ້າ",
        "ខ្ញុំស្រលាញ់អ្នកហើយខ្ញុំចង់ទៅជាមួយអ្នក",
        "กขabc狐狸",
    ],
)
def test_counter_keeps_few_characters_of_any_script(phrase: str) -> None:
    """Counting all of a stretch with each part would take quadratic time."""
    counter = WordCounter()
    for _ in range(100):
        counter.add(phrase)
        assert max(len(str(value)) for value in vars(counter).values()) < 300
    assert counter.count == story_words(phrase * 100)


@pytest.mark.parametrize(
    ("text", "spaced", "found"),
    [
        ("แมวนอนบนเตียง", 1, 4),
        ("ຂ້ອຍຮັກເຈົ້າ", 1, 3),
        ("ខ្ញុំស្រលាញ់អ្នក", 1, 3),
        ("ကျွန်တော် မြန်မာစာကို ဖတ်သည်", 3, 5),
        ("A word, แมวนอน, 狐狸 and more.", 7, 8),
        ("A plain text – no more.", 6, 6),
    ],
)
def test_icu_finds_words_without_spaces(
    text: str, spaced: int, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (count_words(text), story_words(text)) == (spaced, found)
    monkeypatch.setattr(words, "word_breaker", lambda: None)
    assert story_words(text) == spaced  # without ICU


def test_paper_words_match_the_authors_code() -> None:
    assert paper_words("It's &amp;amp; don't — café 3,000") == 7
    assert paper_words("") == 0


def test_self_repetition_matches_the_authors_code() -> None:
    text = "the cat sat on the mat. the cat sat on the mat.\nline\nline"
    assert self_repetition(text) == pytest.approx(0.33468717948717946, abs=1e-15)


def test_a_run_is_a_repeat_only_when_all_four_words_are_the_same() -> None:
    for place in range(4):
        other = ["a", "b", "c", "d"]
        other[place] = "x"
        assert self_repetition(" ".join(["a b c d 1 2 3", *other])) == 0


def test_self_repetition_at_its_extremes() -> None:
    assert self_repetition("") == 0.0
    assert self_repetition("one two three") == 0.0
    assert self_repetition("the\n" * 2000) == pytest.approx(1.155, abs=0.001)


def test_a_repeat_counts_as_nearby_up_to_63_grams_back() -> None:
    def text(between: int) -> str:
        return "a b c d " + " ".join(f"x{n}" for n in range(between)) + " a b c d"

    assert self_repetition(text(59)) > 0  # second "a b c d" starts 63 tokens after the first
    assert self_repetition(text(60)) == 0

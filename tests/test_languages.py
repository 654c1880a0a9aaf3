"""The language of a text is found from its script; a tag says in which direction it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.languages import is_right_to_left, is_tag, language_of


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("The fox slept by the old mill, and nobody woke it.", "en"),
        ("Der Fuchs schlief bei der alten M\u00fchle.", "und-Latn"),
        ("Le renard dormait, et le th\u00e9 \u00e9tait froid.", "und-Latn"),
        ("Лиса спала. The End", "und-Cyrl"),
        ("她说\uff1a狐狸睡了。", "zh"),
        (
            "狐は水車小屋のそばで眠った。",
            "ja",
        ),
        ("キツネガネムッタ", "ja"),
        (
            "她在东京看了一本叫\u201cの\u201d的书\uff0c然后睡了",
            "zh",
        ),
        ("여우가 자고 있었다", "ko"),
        ("الثعلب نام", "und-Arab"),
        ("השועל ישן", "he"),
        ("จิ้งจอกหลับ", "th"),
        ("η αλεπού", "el"),
        ("*** 12:30 \u2014 !", "und"),
        ("", "und"),
    ],
)
def test_the_script_of_most_letters_gives_the_language(text: str, tag: str) -> None:
    assert language_of(text) == tag


@given(st.text())
def test_any_text_has_a_tag(text: str) -> None:
    assert is_tag(language_of(text))


@pytest.mark.parametrize("tag", ["he", "ar-EG", "FA", "az-Arab", "und-Arab", "yi", "und-Hebr-IL"])
def test_right_to_left(tag: str) -> None:
    assert is_tag(tag) and is_right_to_left(tag)


@pytest.mark.parametrize("tag", ["en", "ar-Latn", "und", "sr-Cyrl-RS", "arn", "pt-BR", "he-Latn"])
def test_left_to_right(tag: str) -> None:
    assert is_tag(tag) and not is_right_to_left(tag)


@pytest.mark.parametrize(
    "tag",
    ["es-419", "zh-yue-Hant-HK", "zh-Hant-TW", "sl-rozaj-biske", "de-CH-1996", "CA-Valencia",
     "sr-Latn-RS", "kok"],
)  # fmt: skip
def test_a_tag_has_script_region_and_variants(tag: str) -> None:
    assert is_tag(tag)


@pytest.mark.parametrize(
    "text",
    ["english", "en_US", "e", "en-", 'en" x="', "en US", "de-\u00fc", "en-12", "en-us-gb", "en-u",
     "en-GB-Latn", "en-Latn-Cyrl", "en-1", "en-999999999", "en-abcdefghi", "e\u017f-US"],
)  # fmt: skip
def test_other_texts_are_no_tags(text: str) -> None:
    assert not is_tag(text)

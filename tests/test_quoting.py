"""A text in quotes is the same text in JSON, YAML and TOML."""

import json
import tomllib

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from polaris_cli.quoting import json_text


@given(st.text(st.characters(codec="utf-8")))
@example('"a" \\ \0\t\n\r\x1b\x7f\x85\x9b\u2028\u2029\ufeff\U0001f600\'#')
def test_quotes_are_those_of_json_yaml_and_toml(text: str) -> None:
    quoted = json_text(text)
    assert json.loads(quoted) == text == tomllib.loads(f"a = {quoted}")["a"]
    assert "\x9b" not in quoted and "\u2028" not in quoted
    if "\ufffe" not in text and "\uffff" not in text:  # YAML does not have them
        assert yaml.safe_load(f"a: {quoted}")["a"] == text


def test_half_characters_are_escaped() -> None:
    assert json_text(["\ud800"]) == '["\\ud800"]'

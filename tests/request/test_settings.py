"""All sources of settings are parsed the same way, and the strongest wins."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.errors import UsageError
from polaris_cli.request.settings import (
    PRESET_KEYS,
    SETTINGS,
    Setting,
    build_request,
    from_config,
    from_environment,
    from_options,
    merge,
    naming_sources,
    parse_band,
    parse_words,
    read_toml,
    server_address,
)


@pytest.mark.parametrize(
    ("given_as", "words"),
    [("3000", 3000), ("3,000", 3000), ("3k", 3000), ("2.5k", 2500), ("2.5K ", 2500), (750, 750),
     ("8.05k", 8050), ("-5", -5), ("0", 0), ("12,500", 12500), (".5k", 500),
     ("3.000", 3000), ("3 000", 3000), ("1.234.567", 1234567), ("3'000", 3000), ("2,5k", 2500)],
)  # fmt: skip
def test_words_in_all_spellings(given_as: object, words: int) -> None:
    assert parse_words(given_as) == words


@pytest.mark.parametrize(
    "nonsense",
    ["", "many", "1.5", "3kk", "1,00", "nan", "inf", "0x10", "2.0005k", True, 2.5, 10**400],
)
def test_invalid_words_are_refused(nonsense: object) -> None:
    with pytest.raises(ValueError):
        parse_words(nonsense)


@given(st.integers(1, 200_000))
def test_any_number_is_read_with_and_without_commas(words: int) -> None:
    assert parse_words(str(words)) == parse_words(f"{words:,}") == words


@given(st.integers(1, 200_000))
def test_any_number_is_read_in_thousands(words: int) -> None:
    assert parse_words(f"{words // 1000}.{words % 1000:03}k") == words


def test_band() -> None:
    assert parse_band("0.9-1.1") == parse_band("0,9-1,1") == (0.9, 1.1)
    for nonsense in ("0.9", "low-high", ""):
        with pytest.raises(ValueError):
            parse_band(nonsense)


def test_a_comma_may_stand_for_the_point_of_a_number() -> None:
    given = {"temperature": "0,7", "presence_penalty": "-0,125", "top_p": " ,5 ", "min_p": 0.1}
    numbers = {"temperature": 0.7, "presence_penalty": -0.125, "top_p": 0.5, "min_p": 0.1}
    assert from_options(given) == numbers
    for several in ("1,500", "0,7,1", "1.000,5", "0,7e", "0, 7"):  # 1,500 may be 1.5 or 1500
        with pytest.raises(UsageError, match="invalid value"):
            from_options({"stall_timeout": several})


SOURCES = ["option", "environment", "config.toml", "preset p"]


@given(st.sets(st.sampled_from(SOURCES), min_size=1))
def test_the_strongest_source_wins(present: set[str]) -> None:
    sources = [(name, {"seed": number}) for number, name in enumerate(SOURCES) if name in present]
    strongest = min(present, key=SOURCES.index)
    merged = merge(sources)
    assert (merged["seed"].value, merged["seed"].source) == (SOURCES.index(strongest), strongest)


def test_sources_are_merged() -> None:
    merged = merge([("option", {"words": 5}), ("preset p", {"words": 9, "seed": 1})])
    assert {name: setting.value for name, setting in merged.items()} == {"words": 5, "seed": 1}


def test_environment_is_read_by_name_and_empty_counts_as_unset() -> None:
    environ = {"POLARIS_TOP_K": "7", "POLARIS_WORDS": "2k", "POLARIS_SEED": "", "OTHER": "1"}
    assert from_environment(environ) == {"top_k": 7, "words": 2000}
    assert from_environment({"POLARIS_THINK": "off"}) == {"think": False}


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TOP_K", "many"), ("THINK", "perhaps"), ("FORM", "sonnet"), ("TEMPERATURE", "warm")],
)
def test_a_bad_variable_is_named(variable: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"POLARIS_{variable}") as refused:
        from_environment({f"POLARIS_{variable}": value})
    assert refused.value.hint


def test_a_number_of_chapters_or_auto() -> None:
    assert from_options({"chapters": "auto"}) == {"chapters": None}
    assert from_environment({"POLARIS_CHAPTERS": "4"}) == {"chapters": 4}


def test_an_unknown_setting_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="no setting 'wrods'") as refused:
        from_options({"words": 5, "wrods": 5})
    assert refused.value.hint == "Did you mean words?"
    with pytest.raises(UsageError, match="no setting 'xyz'") as refused:
        from_options({"xyz": 5})
    assert "words, form, template" in refused.value.hint


def test_options_not_given_are_left_out() -> None:
    assert from_options({"words": None, "seed": 0}) == {"seed": 0}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("temprature = 1", "temprature"),
        ("top_k = 2.5", "top_k"),
        ("think = 'perhaps'", "think"),
        ("template = 'no fields'", "template"),
        ("template = '{premise} {words} {other}'", "template"),
        ("template = 'A } brace: {premise} {words}'", "template"),
        ("template = '{premise} {words'", "template"),
        ("template = '{{premise}} {words}'", "template"),
        ("template = '{premise!r} {words}'", "template"),
        ("template = '{premise} {words:,}'", "template"),
        ("template = '{premise.x} {words}'", "template"),
        ("template = '{} {premise} {words}'", "template"),
        ("model = 9", "model"),
        ("model = ' '", "model"),
        ("length = 'single'\nchapters = 4", "contradict"),
        ("form = 'sonnet'", "form"),
        ("band = [[0.9], 1.1]", "band"),
        ("words = [", "TOML"),
    ],
)
def test_an_invalid_file_is_named_with_its_key(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=named) as refused:
        read_toml(path, tuple(SETTINGS))
    assert str(path) in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(
    "values",
    [
        {"template": "A {form} of {words} words: {premise}"},
        {"length": "single"},
        {"chapters": 4},
        {"length": "chapters", "chapters": 4},
    ],
)
def test_a_valid_file_is_read(tmp_path: Path, values: dict[str, object]) -> None:
    path = tmp_path / "config.toml"
    path.write_text("\n".join(f"{name} = {value!r}" for name, value in values.items()))
    assert read_toml(path, tuple(SETTINGS)) == values


def test_the_users_config_is_read_if_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polaris_cli.request.settings.config_folder", lambda: tmp_path)
    assert from_config() == {}
    (tmp_path / "config.toml").write_text("words = '2k'\n")
    assert from_config() == {"words": 2000}


def test_a_path_in_a_file_begins_at_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("cover = 'a.png'\nmodel = './m.gguf'\npreset = 'long'\n")
    found = read_toml(path, tuple(SETTINGS))
    assert found["cover"] == str(tmp_path / "a.png") and found["preset"] == "long"
    assert Path(found["model"]) == tmp_path / "m.gguf"
    path.write_text("cover = ' '\n")
    with pytest.raises(UsageError, match="cover: invalid value ' '"):
        read_toml(path, tuple(SETTINGS))


def test_a_file_can_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes("\ufefftemplate = '{premise}: {{name}}, {words}'\r\n".encode())
    assert read_toml(path, tuple(SETTINGS)) == {"template": "{premise}: {{name}}, {words}"}


def test_an_invalid_choice_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="'novel' is not one of story, flash") as refused:
        from_options({"form": "novel"})
    assert "Choose one" in refused.value.hint
    with pytest.raises(UsageError, match="not one of") as refused:
        from_options({"length": "chapter"})
    assert refused.value.hint == "Did you mean chapters?"


def test_the_stronger_source_decides_on_chapters() -> None:
    merged = merge([("option", {"length": "single"}), ("config.toml", {"chapters": 4})])
    assert merged["length"].value == "single" and "chapters" not in merged
    merged = merge([("option", {"chapters": 4}), ("config.toml", {"length": "single"})])
    assert (merged["length"].value, merged["chapters"].value) == ("chapters", 4)
    merged = merge([("config.toml", {"chapters": 4}), ("preset p", {"length": "extend"})])
    assert merged["length"].source == "config.toml"


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_toml(path, tuple(SETTINGS))


@pytest.mark.parametrize("name", ["template", "title", "author", "device", "api_key_env", "cover"])
def test_a_text_that_is_not_utf8_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="invalid value"):
        from_environment({f"POLARIS_{name.upper()}": "\udcff {premise} {words}"})


def test_a_request_is_built_with_a_random_seed() -> None:
    settings = merge([("option", {"words": 100, "think": False, "top_k": 5})])
    first, second = (build_request("a fox", settings) for _ in range(2))
    assert (first.words, first.sampling.top_k, first.sampling.thinking) == (100, 5, False)
    assert first.sampling.seed != second.sampling.seed


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("option", "--top-k"),
        ("environment", "POLARIS_TOP_K"),
        ("config.toml", "top_k in config.toml"),
        ("preset long", "top_k in preset long"),
    ],
)
def test_a_setting_knows_where_it_is_set(source: str, name: str) -> None:
    assert Setting(40, source).name_of("top_k") == name


def test_a_description_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("description = 5")
    with pytest.raises(UsageError, match="description: invalid value 5") as refused:
        read_toml(path, PRESET_KEYS)
    assert refused.value.hint == "Give one line of text."


@pytest.mark.parametrize(
    ("source", "place", "hint"),
    [
        ("option", "--top-k", "Give another value: --top-k NUMBER"),
        ("environment", "POLARIS_TOP_K", "Change it there, or override it: --top-k NUMBER"),
        ("config.toml", "top_k in config.toml", "Change it there, or override it: --top-k NUMBER"),
        ("preset mine", "top_k in preset mine", "Change it there, or override it: --top-k NUMBER"),
    ],
)
def test_a_value_out_of_range_is_said_to_be_where_the_user_set_it(
    source: str, place: str, hint: str
) -> None:
    settings = {"words": Setting(80, "built in"), "top_k": Setting(-1, source)}
    with pytest.raises(UsageError) as refused:
        build_request("a fox", settings)
    assert str(refused.value) == f"{place} is -1, but must be from 0 to 1,000,000."
    assert refused.value.hint == hint


def test_penalties_that_contradict_are_said_to_be_where_the_user_set_them() -> None:
    settings = {
        "words": Setting(80, "built in"),
        "repetition_penalty": Setting(1.1, "option"),
        "presence_penalty": Setting(1.0, "config.toml"),
    }
    with pytest.raises(UsageError) as refused:
        build_request("a fox", settings)
    assert str(refused.value).startswith(
        "--repetition-penalty and presence_penalty in config.toml are both set"
    )
    assert refused.value.hint.endswith("alone: --repetition-penalty 1.0")


def test_a_setting_that_no_option_gave_is_not_called_one() -> None:
    settings = {"gguf_file": Setting("Q2_K", "environment"), "device": Setting("x", "option")}
    cover = {"cover": Setting("/a/b.png", "config.toml")}
    with pytest.raises(UsageError) as refused, naming_sources(cover):
        raise UsageError("Cannot read /a/b.png.")
    assert str(refused.value) == "cover in config.toml: Cannot read /a/b.png."
    with pytest.raises(UsageError) as refused, naming_sources(settings):
        raise UsageError("--gguf-file Q2_K is odd.", hint="Leave out --gguf-file or --device.")
    assert str(refused.value) == "POLARIS_GGUF_FILE is odd."
    assert refused.value.hint == "Leave out POLARIS_GGUF_FILE or --device."
    url = Setting("http://127.0.0.1:1", "option")
    with pytest.raises(UsageError, match=r"^api_key_env in config\.toml takes the name"):
        server_address({"base_url": url, "api_key_env": Setting("a key", "config.toml")})


def test_a_band_and_a_timeout_are_said_to_be_where_the_user_set_them() -> None:
    settings = {"words": Setting(80, "built in"), "band": Setting((2.0, 3.0), "config.toml")}
    with pytest.raises(UsageError, match=r"^band in config\.toml is 2-3, but must contain"):
        build_request("a fox", settings)
    url = {"base_url": Setting("http://127.0.0.1:1/v1", "environment")}
    settings |= url | {"stall_timeout": Setting(-1.0, "environment")}
    with pytest.raises(UsageError, match=r"^POLARIS_STALL_TIMEOUT is -1, but must be above 0"):
        build_request("a fox", settings)

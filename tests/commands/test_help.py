"""`polaris help`: its pages are formatted or printed, and match the code."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from polaris_cli import errors
from polaris_cli.commands import help as command
from polaris_cli.commands.app import COMMANDS, _load_command, app
from polaris_cli.commands.help import pages, text_of
from polaris_cli.engines.base import Deviation
from polaris_cli.evaluate.layout import NAMES as FIGURES
from polaris_cli.events import Chapter, Plan
from polaris_cli.models.catalogue import CATALOGUE, DEMO, SMOLLM2, ModelProfile
from polaris_cli.models.hub import TIMEOUT
from polaris_cli.request.presets import load_preset
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.settings import (
    OF_THE_TEXT,
    PRESET_KEYS,
    SETTINGS,
    config_folder,
    from_environment,
    parse_words,
    read_toml,
)
from polaris_cli.request.story_request import LENGTHS, Draft, Sampling
from polaris_cli.screen.endings import REASONS
from polaris_cli.story.plan_file import CHAPTER_KEYS, KEYS, read_plan
from polaris_cli.story.prepare import prepare
from polaris_cli.story.quality import Quality
from polaris_cli.story.result import Place, new_id, versions
from tests.cli import ROOT
from tests.screens import Tty
from tests.stories import a_story

NAMES = ["batch", "config", "engines", "eval", "exit-codes", "json", "lengths", "plan", "preset"]


def items(text: str) -> dict[str, str]:
    """The list items of a page: the text after the colon, by each name before it."""
    found: dict[str, str] = {}
    for item in re.findall(r"^- (.*(?:\n  .*)*)", text, re.M):
        heading, said = re.fullmatch(r"((?:`[^`]+`,?\s*)+): (.*)", item, re.S).groups()  # type: ignore[union-attr]
        found |= dict.fromkeys(re.findall(r"`([^`]+)`", heading), said)
    return found


def section(page: str, heading: str) -> str:
    return re.split(r"^## ", text_of(page).partition(f"## {heading}\n")[2], flags=re.M)[0]


def example(page: str, folder: Path) -> Path:
    """The first TOML block of a page as a file."""
    file = folder / f"{page}.toml"
    file.write_text(re.findall(r"```toml\n(.*?)```", text_of(page), re.S)[0])
    return file


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["help", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def parameters(name: str) -> Iterator[Any]:
    """The parameters of a command and its subcommands."""
    waiting = [_load_command(name)]
    for found in waiting:
        waiting += getattr(found, "commands", {}).values()
        yield from found.params


def hidden_settings() -> set[str]:
    return {param.name for param in parameters("write") if getattr(param, "hidden", False)}


@pytest.mark.parametrize("name", COMMANDS)
def test_only_a_command_that_prints_a_story_says_so_of_quiet(name: str) -> None:
    told = [param.help for param in parameters(name) if "--quiet" in param.opts]
    says_story = {text.startswith("Print only the story") for text in told}
    assert says_story <= {name in ("write", "resume", "rerun", "compare")}


@pytest.mark.parametrize("name", ["bench", "eval", "library", "models", "presets"])
def test_the_summary_of_a_command_is_whole(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], terminal_width=80).stdout
    assert "..." not in shown.partition("\nCommands:\n")[2].partition("\n\n")[0]


def test_the_list_has_a_line_for_each_page() -> None:
    header, *lines = shown().splitlines()
    assert header == "page\tabout"
    assert [line.split("\t")[0] for line in lines] == NAMES == pages()
    assert all(len(line) < 80 for line in lines)


@pytest.mark.parametrize("page", NAMES)
def test_a_pipe_gets_the_markdown(page: str) -> None:
    assert shown(page) == text_of(page)


@pytest.mark.parametrize("page", NAMES)
def test_a_page_is_short_and_plain(page: str) -> None:
    lines = text_of(page).splitlines()
    assert 20 <= len(lines) <= 70 and max(map(len, lines)) <= 100
    assert text_of(page).isascii() and lines[0].startswith(f"# {page}: ")


@pytest.mark.parametrize("page", NAMES)
def test_a_terminal_gets_formatted_text(
    page: str, tty: Tty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", tty.stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    command.help(page)
    drawn = "\n".join(tty.lines())
    assert "##" not in drawn and "```" not in drawn and "`" not in drawn
    assert "\x1b[" in tty.raw() and page in drawn.split("\n")[0]
    monkeypatch.setenv("TERM", "dumb")
    already = len(tty.raw())
    command.help(page)
    plain = tty.raw()[already:]  # with long lines wrapped
    assert plain.split() == text_of(page).split() and "\x1b[" not in plain


@pytest.mark.parametrize(
    ("page", "hint"),
    [("plna", "Did you mean plan?"), ("zzz", "Pages: batch"), ("write", "polaris write --help")],
)
def test_an_unknown_page_gets_a_suggestion(page: str, hint: str) -> None:
    result = CliRunner().invoke(app, ["help", page])
    assert result.exit_code == 2
    assert f"There is no help page {page!r}." in result.output
    assert hint in result.output and all(name in result.output for name in NAMES)


def test_pages_name_only_existing_commands_and_options() -> None:
    text = "\n".join(map(text_of, pages()))
    known = {word for name in COMMANDS for param in parameters(name) for word in param.opts}
    known |= {word for name in COMMANDS for p in parameters(name) for word in p.secondary_opts}
    known |= {"--install-completion", "--show-completion", "--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) <= known
    assert set(re.findall(r"\bpolaris ([a-z]+)\b(?= )", "\n".join(commands_in(text)))) <= {
        *COMMANDS
    }
    assert set(re.findall(r"`polaris help ([\w-]+)`", text)) <= {*NAMES}


def commands_in(text: str) -> Iterator[str]:
    """The polaris commands in shell blocks and inline code."""
    yield from re.findall(r"`(polaris [^`]*)`", text)
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        yield from (line for line in block.splitlines() if line.startswith("polaris "))


def test_the_plan_of_the_page_is_read(tmp_path: Path) -> None:
    plan = read_plan(example("plan", tmp_path))
    assert [chapter.words for chapter in plan.plan.chapters] == [1200, 1800]
    assert plan.plan.cast and all(chapter.summary for chapter in plan.plan.chapters)
    assert tuple(items(section("plan", "Keys of the file"))) == KEYS
    assert tuple(items(section("plan", "Keys of a chapter"))) == CHAPTER_KEYS


def test_the_preset_of_the_page_is_loaded(tmp_path: Path) -> None:
    preset = load_preset(str(example("preset", tmp_path)))
    assert preset.values["words"] == 500 and preset.values["think"] is False
    keys = items(section("preset", "Keys"))
    assert tuple(keys) == PRESET_KEYS
    assert all(keys[name].startswith(SETTINGS[name].allowed) for name in PRESET_KEYS[1:])


def test_the_settings_of_the_page_are_read(tmp_path: Path) -> None:
    assert read_toml(example("config", tmp_path), tuple(SETTINGS))["band"] == (0.85, 1.15)
    keys = items(section("config", "Keys of config.toml"))
    assert {*keys} == {*SETTINGS} - {*PRESET_KEYS} - hidden_settings()
    assert all(said.startswith(SETTINGS[name].allowed) for name, said in keys.items())
    assert from_environment({"POLARIS_TOP_K": "40"}) == tomllib.loads("top_k = 40")


def test_the_sources_of_a_setting_are_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    config = config_folder() / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("words = 3")
    draft, premise = Draft("text", words=5), "a tale of 800 words"
    chosen = {"preset": "long", "length": "extend", "think": False}
    monkeypatch.setenv("POLARIS_WORDS", "2")
    found = [prepare(premise, {**chosen, "words": 1}, draft).settings["words"].source]
    found.append(prepare(premise, chosen, draft).settings["words"].source)
    monkeypatch.delenv("POLARIS_WORDS")
    found.append(prepare(premise, chosen, draft).settings["words"].source)
    config.unlink()
    found.append(prepare(premise, chosen, draft).settings["words"].source)
    found.append(prepare("a tale", chosen, draft).settings["words"].source)
    both = {**chosen, "model": "demo"}
    found.append(prepare("a tale", both).settings["temperature"].source)
    found.append(prepare("a tale", {"model": "demo"}).settings["temperature"].source)
    found.append(prepare("a tale", {}).settings["words"].source)
    assert found == [
        "option", "environment", "config.toml", "the premise", "the draft", "preset long",
        "model demo", "preset default",
    ]  # fmt: skip
    listed = re.findall(r"^\d\. (.*)", text_of("config"), re.M)
    words = ("option", "environment", "config.toml", "premise", "--continue", "you chose", "model")
    assert all(word in line for word, line in zip([*words, "default"], listed, strict=True))


def test_the_settings_that_no_row_of_a_batch_has_are_named() -> None:
    told = re.search(r"any other setting\s+except ([^-]*)\n- ", text_of("batch"))
    assert told and {*re.findall("`([^`]+)`", told[1])} == {*SETTINGS} - {*OF_THE_TEXT}


def test_the_models_with_settings_of_their_own_are_named() -> None:
    told = re.search(r"^\d\. settings for the model \((.*) have some\)$", text_of("config"), re.M)
    assert told
    assert re.split(", | and ", told[1]) == [one.name for one in CATALOGUE if one.profile.settings]


@pytest.mark.slow
def test_every_environment_variable_that_is_read_is_named() -> None:
    named = {*items(section("config", "Environment variables"))}
    shape = re.compile(
        r"(POLARIS|OPENAI|HF|HUGGINGFACE|TRANSFORMERS|CUDA|XDG)_[A-Z_]+|NO_COLOR|TERM"
    )
    trees = (ast.parse(path.read_text()) for path in (ROOT / "polaris_cli").rglob("*.py"))
    values = (getattr(node, "value", None) for tree in trees for node in ast.walk(tree))
    read = {value for value in values if isinstance(value, str) and shape.fullmatch(value)}
    by_libraries = {"HF_TOKEN", "NO_COLOR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}
    assert read <= named
    assert f"({TIMEOUT:g} unless set)" in text_of("config")
    assert named <= read | by_libraries


def flat(record: Any, name: str = "") -> Iterator[str]:
    """The names of all values in a record, including nested ones."""
    if isinstance(record, dict) and name != "versions":
        for key, value in record.items():
            yield from flat(value, f"{name}.{key}".lstrip("."))
    elif isinstance(record, list):
        yield from flat(record[0], f"{name}[]")
    else:
        yield name


def test_every_key_of_a_record_is_explained() -> None:
    plan = Plan("The Fog", "Ada", (Chapter("One", 5, "fog comes", ("fog comes",)),))
    story = replace(a_story(), plan=plan)
    draft = Draft("The fog", "title: Fog", "fog", 9)
    story = replace(story, deviations=(Deviation("seed", "it has none"),))
    story = replace(story, request=replace(story.request, sampling=Sampling(thinking=False)))
    server = ServerAddress("http://127.0.0.1:1")
    story = replace(
        story,
        request=replace(story.request, draft=draft, plan=plan, engine="endpoint", server=server),
    )
    story = replace(story, quality=Quality(curve=(1.0,)), place=Place("1"))
    record = json.loads(json.dumps(story.as_dict()))
    either = {"outline", "draft", "request.plan", "request.server", "batch"}  # null, or a table
    assert {*items(text_of("json"))} - either == {*flat(record)}
    assert record["schema"] in text_of("json").splitlines()[0]
    assert all(reason in items(text_of("json"))["finish"] for reason in REASONS)
    assert all(package in items(text_of("json"))["versions"] for package in versions())


def test_the_length_of_an_id_is_told() -> None:
    assert "twelve hexadecimal digits" in items(text_of("json"))["id"] and len(new_id()) == 12


def test_the_figures_of_an_evaluation_are_explained() -> None:
    assert {*re.findall("`([^`]+)`", section("eval", "Figures"))} >= {*FIGURES.values()}


def test_lengths_are_explained() -> None:
    asking = items(section("lengths", "Asking"))
    assert len(asking) == 4
    assert all(said == f"{parse_words(text)} words" for text, said in asking.items())
    assert {*items(section("lengths", "Reaching: --length"))} == {*LENGTHS}
    usual, small = ModelProfile().good_words[1], {m.profile.good_words[1] for m in (DEMO, SMOLLM2)}
    told = f"({usual:,} words; {small.pop()} for smollm2 and the demo model)"
    assert not small and told in " ".join(text_of("lengths").split())
    report = section("lengths", "The report")
    assert all(ending in " ".join(report.split()) for ending in REASONS.values())


def test_the_length_mode_that_auto_gives_is_told() -> None:
    told = items(section("lengths", "Reaching: --length"))["auto"]
    assert told.startswith("the default: extend up to") and told.endswith("else chapters.")
    for model in CATALOGUE:
        most = model.profile.good_words[1]
        given = (
            prepare("a tale", {"model": model.name, "words": words}).request.length
            for words in (most, most + 1)
        )
        assert [*given] == ["extend", "chapters"]


def exit_codes() -> set[int]:
    kinds: list[type[errors.PolarisError]] = [errors.PolarisError]
    kinds += errors.PolarisError.__subclasses__()
    others = {0, errors.EXIT_FAILED_ROWS, errors.EXIT_INTERRUPTED, errors.EXIT_BROKEN_PIPE}
    return others | {kind.exit_code for kind in kinds}


def test_every_exit_code_is_explained() -> None:
    assert set(map(int, items(text_of("exit-codes")))) == exit_codes()

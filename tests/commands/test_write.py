"""`polaris write` as a user runs it: pipes, files, interrupts, bad input."""

import json
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from polaris_cli.commands.outputs import Outputs
from polaris_cli.commands.running import check_story
from polaris_cli.engines import opening
from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.errors import NoStory, OffTarget
from polaris_cli.request.story_request import Draft, Sampling, StoryRequest
from polaris_cli.story.result import Tokens
from tests.cli import (
    PLAN,
    TALE,
    TALE_TEXT,
    TALE_WORDS,
    environment,
    in_process,
    polaris_command,
    run,
    scripted_command,
    wait_for_text,
)
from tests.stories import a_story

ASK = ("write", "a fox", "--words", "10", "--model", "demo")
SINGLE = ("--length", "single")


def library(home: Path) -> list[dict[str, object]]:
    listed = run(polaris_command("library", "--json"), home).stdout
    return [json.loads(line) for line in listed.splitlines()]


def test_a_pipe_gets_only_the_story_and_stderr_the_report(tmp_path: Path) -> None:
    ended = run(scripted_command(*ASK), tmp_path)
    assert (ended.returncode, ended.stdout) == (0, TALE_TEXT + "\n")
    assert f"{TALE_WORDS} of 10 words (1.00), ended by itself" in ended.stderr
    assert "\x1b" not in ended.stderr and len(ended.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_report_counts_as_wc_does(tmp_path: Path) -> None:
    story = run(scripted_command(*ASK), tmp_path).stdout
    counted = subprocess.run(["wc", "-w"], input=story, capture_output=True, text=True)
    assert int(counted.stdout) == TALE_WORDS


@pytest.mark.slow
def test_the_story_is_streamed(tmp_path: Path) -> None:
    paragraphs = [" ".join(f"w{p}x{n}" for n in range(60)) + ".\n\n" for p in range(9)]
    ask = ("write", "a fox", "-w", "540", "-m", "demo", "--no-think", "--length", "single")
    command = scripted_command(*ask, scripts=[paragraphs], delay=0.2)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(tmp_path)) as process:
        assert process.stdout
        assert os.read(process.stdout.fileno(), 1000).startswith(b"w0x0 w0x1")
        assert process.poll() is None


@pytest.mark.slow
def test_json_is_one_object_and_the_library_keeps_the_same(tmp_path: Path) -> None:
    ended = run(scripted_command(*ASK, "--json"), tmp_path)
    record = json.loads(ended.stdout)
    assert record["schema"] == "polaris.story/1"
    assert (record["story"], record["thinking"]) == (TALE_TEXT, "a plan")
    assert record["words"]["written"] == TALE_WORDS and record["finish"] == "stop"
    shown = run(polaris_command("library", "show", record["id"], "--json"), tmp_path)
    assert json.loads(shown.stdout) == record


@pytest.mark.slow
def test_no_save_leaves_no_trace(tmp_path: Path) -> None:
    ended = run(scripted_command(*ASK, "--no-save"), tmp_path)
    assert ended.stdout and "not saved" in ended.stderr
    assert not (tmp_path / "library.db").exists()


def test_quiet_prints_only_the_story(tmp_path: Path) -> None:
    ended = run(
        scripted_command("write", "a 99-word fox", "-w", "10", "-m", "demo", "-q"), tmp_path
    )
    assert (ended.stdout, ended.stderr) == (TALE_TEXT + "\n", "")


def test_thinking_that_is_not_there_is_not_shown_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: ScriptedEngine(TALE))
    refused = in_process([*ASK, "-q", "--show-thinking"], tmp_path, monkeypatch)
    assert refused.returncode == 2
    assert "--show-thinking and --quiet contradict each other." in refused.stderr
    told = "note: --show-thinking has no effect: thinking is off."
    ended = in_process([*ASK, "--no-think", "--show-thinking"], tmp_path, monkeypatch)
    assert ended.returncode == 0 and told in ended.stderr
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: ScriptedEngine(PLAN + TALE))
    ended = in_process([*ASK, "--show-thinking"], tmp_path, monkeypatch)
    assert ended.returncode == 0 and told not in ended.stderr


def test_a_story_that_is_not_saved_is_told_even_with_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "library.db").mkdir()
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: ScriptedEngine(PLAN + TALE))
    ended = in_process([*ASK, "-q"], tmp_path, monkeypatch)
    assert (ended.returncode, ended.stdout) == (0, TALE_TEXT + "\n")
    [line] = ended.stderr.splitlines()
    assert line.startswith("polaris: warning: The story is not being saved: ")


def test_thinking_goes_to_stderr_and_to_its_file(tmp_path: Path) -> None:
    file = tmp_path / "thinking.txt"
    command = scripted_command(*ASK, "--show-thinking", "--thinking-output", str(file))
    ended = run(command, tmp_path)
    assert "a plan" in ended.stderr and "a plan" not in ended.stdout
    assert file.read_text() == "a plan\n"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["txt", "md", "html", "epub", "docx", "json"])
def test_every_format_is_written(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"story.{suffix}"
    assert run(scripted_command(*ASK, "-o", str(file)), tmp_path).returncode == 0
    assert file.stat().st_size > len(TALE_TEXT)


@pytest.mark.slow
def test_a_file_is_not_overwritten_without_force(tmp_path: Path) -> None:
    file = tmp_path / "story.txt"
    file.write_text("mine")
    refused = run(polaris_command(*ASK, "-o", str(file)), tmp_path)
    assert refused.returncode == 2 and "--force" in refused.stderr
    assert file.read_text() == "mine"
    run(scripted_command(*ASK, "-o", str(file), "--force"), tmp_path)
    assert file.read_text() == TALE_TEXT + "\n"


@pytest.mark.slow
def test_a_failed_save_points_to_the_library(tmp_path: Path) -> None:
    file = tmp_path / "story.txt"
    command = scripted_command(*ASK, "-o", str(file), delay=0.3)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment(tmp_path)) as process:
        assert process.stdout and process.stderr
        wait_for_text(tmp_path, "Once")
        file.write_text("somebody else's")
        process.stdout.read()
        told = process.stderr.read().decode()
    assert process.returncode == 2 and "polaris library export" in told
    assert file.read_text() == "somebody else's"


def interrupted(home: Path, *extra: str, number: int = signal.SIGINT) -> tuple[int, str, str]:
    """Run a slow story and send the signal once its first words are written."""
    command = scripted_command(*ASK, *extra, delay=0.3)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment(home)) as process:
        assert process.stdout and process.stderr
        wait_for_text(home, "Once upon")
        process.send_signal(number)
        story, told = process.communicate(timeout=20)
    return process.returncode, story.decode(), told.decode()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_keeps_the_text_everywhere(tmp_path: Path, number: int) -> None:
    file = tmp_path / "story.txt"
    code, story, told = interrupted(tmp_path, "-o", str(file), number=number)
    assert code == 130
    words = len(story.split())
    assert f"{TALE_TEXT}\n".startswith(story.rstrip()) and file.read_text() == story
    assert 2 <= words < 10 and f"{words} of 10 words (0.{words}0), interrupted" in told
    assert "Traceback" not in told
    (kept,) = library(tmp_path)
    assert (kept["state"], kept["written"]) == ("interrupted", words)


@pytest.mark.slow
def test_a_closed_pipe_ends_the_run_silently(tmp_path: Path) -> None:
    pieces = [*PLAN, "Once upon a time.\n\n", *["It slept. "] * 20]
    command = scripted_command(*ASK, scripts=[pieces], delay=0.05)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment(tmp_path)) as process:
        assert process.stdout and process.stderr
        wait_for_text(tmp_path, "Once")
        process.stdout.close()
        told = process.stderr.read()
    assert (process.returncode, told) == (141, b"")
    (kept,) = library(tmp_path)
    assert kept["state"] == "interrupted"


@pytest.mark.slow
def test_a_closed_pipe_costs_no_file(tmp_path: Path) -> None:
    # Enough that the first line comes long before the end: the last 150 words are held back.
    slept = (f"It slept {number} times. " for number in range(120))
    pieces = [*PLAN, "Once upon a time.\n\n", *slept]
    file = tmp_path / "story.txt"
    options = ("-o", str(file), "--no-save", *SINGLE)
    command = scripted_command(*ASK, *options, scripts=[pieces], delay=0.02)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
    assert process.returncode == 141 and f"saved {file}" in told
    assert file.read_text(encoding="utf-8").count("It slept ") == 120


@pytest.mark.slow
def test_kill_minus_9_loses_two_seconds_at_most(tmp_path: Path) -> None:
    pieces = [f"word{number} " for number in range(400)]
    command = scripted_command("write", "a fox", "-w", "400", "-m", "demo", "--no-think",
                               scripts=[pieces], delay=0.02)  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(tmp_path)) as process:
        assert process.stdout
        wait_for_text(tmp_path, "word0")
        time.sleep(4)  # the text of two seconds at least is kept
        process.kill()
    (kept,) = library(tmp_path)
    assert kept["state"] == "killed"
    assert int(str(kept["written"])) > 50


SLOW = partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("engine", "extra", "code", "said"),
    [
        ({"scripts": [["only a plan"]]}, (), 5, "without writing a story"),
        SLOW({"scripts": [["a plan"] * 5], "finish": "length"}, (), 5, "--thinking-budget"),
        ({"finish": "length"}, ("--strict",), 6, "did not end by itself"),
        SLOW({}, ("--strict", "--words", "100", *SINGLE), 6, "outside the band"),
        SLOW({}, ("--strict",), 0, "1.00"),
        SLOW({"finish": "length"}, (), 0, "cut off at the token limit"),
        ({"finish": "error"}, (), 1, "ends in an error"),
        SLOW(
            {"scripts": [["</think>", *(["the same again. "] * 500)]]},
            SINGLE,
            0,
            "looped and was stopped",
        ),
    ],
)
def test_the_exit_code_depends_on_how_the_story_ended(
    tmp_path: Path, engine: dict[str, object], extra: tuple[str, ...], code: int, said: str
) -> None:
    ended = run(scripted_command(*ASK, *extra, **engine), tmp_path)
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize(("thinking", "said"), [(0, "without writing"), (9, "9 tokens for think")])
def test_only_tokens_that_were_thought_are_named_as_the_reason(thinking: int, said: str) -> None:
    story = a_story(finish="length", tokens=Tokens(thinking=thinking))
    with pytest.raises(NoStory, match=said):
        check_story(story, Outputs())


def test_the_hint_for_a_story_off_target_can_help() -> None:
    limited = StoryRequest("a fox", 9, sampling=Sampling(max_new_tokens=5))
    drafted = StoryRequest(
        "a fox", 2, draft=Draft("Once upon a time."), sampling=Sampling(thinking=False)
    )
    for story, hint in (
        (a_story(text="Once", finish="length"), "Try another --seed"),
        (a_story(text="Once", finish="length", request=limited), "Raise --max-new-tokens"),
        (a_story(text="Once upon a time.", words=2, finish="stop"), "Try another --seed"),
        (a_story(text="Once upon a time.", request=drafted, finish="stop"), "--words 504"),
    ):
        with pytest.raises(OffTarget) as refused:
            check_story(story, Outputs(strict=True))
        assert hint in refused.value.hint and "leave out --strict" in refused.value.hint


WRONG = [
    (("write", ""), "premise is empty"),
    (("write", " \n "), "premise is empty"),
    (("write", "-"), "premise is empty"),
    (("write", "a fox", "--words", "0"), "words is 0"),
    (("write", "a fox", "--words", "-5"), "words is -5"),
    (("write", "a fox", "--words", "many"), "--words: invalid value 'many'"),
    (("write", "a fox", "--words", "1.5"), "--words: invalid value '1.5'"),
    (("write", "x", "-w", "190000", "-m", "polaris", "--length", "single"), "do not fit the model"),
    (("write", "a fox", "--words", "9999999"), "words is"),
    (("write", "a fox", "--temperature", "nan"), "temperature is nan"),
    (("write", "a fox", "--top-p", "inf"), "top-p is inf"),
    (("write", "a fox", "--top-k", "-1"), "top-k is -1"),
    (("write", "a fox", "--top-k", "few"), "--top-k: invalid value 'few'"),
    (("write", "a fox", "--presence-penalty", "1"), "both set"),
    (("write", "a fox", "--min-p", "2"), "from 0 to 1"),
    (("write", "a fox", "--dry-multiplier", "-1"), "from 0 to 100"),
    (("write", "a fox", "--preset", "nosuch"), "no preset 'nosuch'"),
    (("write", "a fox", "--form", "sonnet"), "'sonnet' is not one of"),
    (("write", "a fox", "--band", "2-3"), "band"),
    (("write", "a fox", "-o", "story.pdf"), ".pdf"),
    (("write", "a fox", "-o", "nosuch/story.txt"), "nosuch"),
    (("write", "a fox", "--base-url", "http://127.0.0.1:9", "--engine", "local"), "is set"),
    (("write", "a fox", "--engine", "endpoint"), "needs the address of a server"),
    (("write", "a fox", "--base-url", "ftp://127.0.0.1"), "not an address of a server"),
    (("write", "a fox", "--base-url", "http://me:secret@127.0.0.1"), "a user name or a password"),
    (("write", "a fox", "--engine", "magic"), "'magic' is not one of"),
    (("wrte",), "wrte"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_bad_input_gets_a_sentence_and_the_next_step(
    tmp_path: Path, arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = in_process(arguments, tmp_path, monkeypatch)
    assert refused.returncode == 2, refused.stderr
    assert said in refused.stderr and "Traceback" not in refused.stderr
    assert refused.stdout == ""
    assert len(refused.stderr.splitlines()) >= 2


@pytest.mark.slow
def test_a_premise_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    refused = run(polaris_command("write", "-"), tmp_path, stdin=b"caf\xe9")
    assert refused.returncode == 2 and "UTF-8" in refused.stderr


def test_the_premise_can_come_from_a_pipe(tmp_path: Path) -> None:
    dry = run(polaris_command("write", "-w", "300", "-m", "demo", "--dry-run", "--json"), tmp_path,
              stdin="a café\n".encode())  # fmt: skip
    assert json.loads(dry.stdout)["prompt"] == "Write a 300-word story about a café."


def test_a_dry_run_shows_the_source_of_each_value(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "polaris"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("top_k = 11\ntop_p = 0.9\nseed = 3\n")
    asked = (
        "write",
        "a 250-word tale",
        "-m",
        "demo",
        "--seed",
        "5",
        "--dry-run",
        "--json",
    )
    dry = run(polaris_command(*asked), tmp_path, POLARIS_TOP_P="0.8")
    settings = json.loads(dry.stdout)["settings"]
    assert settings["seed"] == {"value": 5, "source": "option"}
    assert settings["top_p"] == {"value": 0.8, "source": "environment"}
    assert settings["top_k"] == {"value": 11, "source": "config.toml"}
    assert settings["words"] == {"value": 250, "source": "the premise"}
    assert settings["temperature"]["source"] == "model demo"
    assert settings["repetition_penalty"]["source"] == "preset default"


@pytest.mark.slow
def test_a_dry_run_names_the_variable_of_a_wrong_value(tmp_path: Path) -> None:
    asked = polaris_command("write", "a fox", "-m", "demo", "--dry-run")
    refused = run(asked, tmp_path, POLARIS_DEVICE="nonsense")
    assert refused.returncode == 2
    assert "POLARIS_DEVICE: There is no device 'nonsense'" in refused.stderr
    assert "Leave out POLARIS_DEVICE" in refused.stderr


@pytest.mark.slow
def test_a_dry_run_as_text_loads_nothing(tmp_path: Path) -> None:
    dry = run(
        polaris_command(
            "write", "a fox", "-w", "9000", "-m", "no-hri", "--length", "single", "--dry-run"
        ),
        tmp_path,
    )
    assert dry.returncode == 0
    for part in ("Write a 9000-word story about a fox.", "21,170", "6,300 words", "GB", "polaris"):
        assert part in dry.stdout


@pytest.mark.slow
def test_unavailable_models_exit_with_3(tmp_path: Path) -> None:
    unknown = run(polaris_command("write", "a fox", "-m", "polarsi"), tmp_path)
    assert unknown.returncode == 3 and "polaris" in unknown.stderr
    started = time.monotonic()
    missing = run(polaris_command("write", "a fox", "-w", "9", "-m", "no-hri"), tmp_path)
    assert missing.returncode == 3 and "Traceback" not in missing.stderr
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_the_demo_model_writes_a_story_and_another_process_the_same_again(tmp_path: Path) -> None:
    asked = ("write", "a lighthouse keeper", "-w", "40", "-m", "demo")
    told = run(polaris_command(*asked), tmp_path)
    assert told.returncode == 0, told.stderr
    assert "<think>" not in told.stdout and "</think>" not in told.stdout
    words = len(told.stdout.split())
    assert words > 20 and "toy" in told.stderr and f"{words} of 40 words" in told.stderr
    assert run(polaris_command("rerun"), tmp_path).stdout == told.stdout


@pytest.mark.slow
def test_what_a_model_says_around_the_story_is_left_out(tmp_path: Path) -> None:
    around = [
        "Sure! Here is a",
        " 10-word story:\n\n",
        TALE_TEXT,
        "\n\n---\n\n(Word",
        " count: 10)",
    ]
    options = ["-w", "10", "-m", "demo", "--no-think", *SINGLE]
    ended = run(scripted_command("write", "a fox", *options, scripts=[around]), tmp_path)
    assert ended.stdout == TALE_TEXT + "\n"
    assert "ended by itself, 10 words of headings or comments left out" in ended.stderr
    shown = run(polaris_command("library", "show", "last", "--json"), tmp_path)
    record = json.loads(shown.stdout)
    assert record["aside"] == "Sure! Here is a 10-word story:\n\n\n\n---\n\n(Word count: 10)"
    assert (record["story"], record["length"]["rewritten"]) == (TALE_TEXT, 0)


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ({"finish": "length"}, "Continue it: polaris resume "),
        SLOW({"scripts": [[*PLAN, "Once upon a time. " * 9]], "finish": "stop"}, ""),
    ],
)
def test_the_way_to_continue_is_named(tmp_path: Path, engine: dict[str, Any], told: str) -> None:
    ended = run(scripted_command(*ASK, **engine), tmp_path)
    assert ("polaris resume" in ended.stderr) == bool(told) and told in ended.stderr

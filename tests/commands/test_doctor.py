"""`polaris doctor`, end to end, with a fake hub."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polaris_cli.commands.app import app
from polaris_cli.models.catalogue import CATALOGUE
from polaris_cli.request.settings import config_folder
from tests.fake_hub import environment, fake_hub, polaris
from tests.servers.faulty import Faulty
from tests.servers.replies import refused, talking


@pytest.mark.slow
def test_doctor(tmp_path: Path) -> None:
    with fake_hub() as hub:
        done = polaris("doctor", env=environment(tmp_path, hub.address, "hf_stranger"))
    assert done.returncode == 0 and not done.stderr
    assert "your account has no access" in done.stdout
    assert all(f"\n{entry.name}\t" in done.stdout for entry in CATALOGUE)
    assert "device\tname\tfree\tmemory\n" in done.stdout and "\ncpu\t" in done.stdout
    assert "cores\tbusy\tthreads\n" in done.stdout
    assert str(tmp_path) in done.stdout
    assert done.stdout.count("Problem: ") == done.stdout.count("\n    Fix: ")


@pytest.mark.slow
def test_json_and_no_network(tmp_path: Path) -> None:
    done = polaris("doctor", "--json", env=environment(tmp_path, "http://127.0.0.1:9"))
    found = json.loads(done.stdout)
    parts = {"versions", "devices", "cpu", "fits", "gguf", "hub", "cache", "kernels", "problems"}
    assert set(found) == parts | {"configured_server"} and found["configured_server"] is None
    assert found["cpu"]["cores"] >= found["cpu"]["threads"] >= 1 and found["cpu"]["busy"] >= 0
    assert found["devices"][-1]["id"] == "cpu"
    assert found["fits"]["demo"]["none"] is True
    assert any("cannot be reached" in problem["what"] for problem in found["problems"])


def in_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> str:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config_folder().mkdir(parents=True)
    (config_folder() / "config.toml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["doctor"]).stdout


@pytest.mark.slow
def test_the_server_of_the_settings_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = 'engine = "endpoint"\nbase_url = "http://127.0.0.1:9/v1"\n'
    shown = in_config(monkeypatch, tmp_path, text)
    assert "\nTo check it: polaris doctor --base-url http://127.0.0.1:9/v1\n" in shown
    as_json = CliRunner().invoke(app, ["doctor", "--json"]).stdout
    assert json.loads(as_json)["configured_server"] == "http://127.0.0.1:9/v1"


@pytest.mark.slow
def test_wrong_settings_are_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = in_config(monkeypatch, tmp_path, 'engine = "endpint"\n')
    assert "'endpint' is not one of" in shown and "    Fix: Did you mean endpoint?\n" in shown


def test_a_server_gets_the_key_and_the_timeouts_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POLARIS_API_KEY_ENV", "MY_KEY")
    monkeypatch.setenv("POLARIS_STALL_TIMEOUT", "7")
    monkeypatch.setenv("POLARIS_ENGINE", "local")
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with Faulty() as server:
        asked = ["doctor", "--base-url", server.url, "--connect-timeout", "5", "--json"]
        result = CliRunner().invoke(app, asked)
        keys = {request.headers.get("authorization") for request in server.requests}
    assert result.exit_code == 0 and keys == {"Bearer sk-secret"}
    address = json.loads(result.stdout)["server"]["address"]
    assert (address["connect_timeout"], address["stall_timeout"]) == (5, 7)


def test_a_model_is_chosen_on_a_server_alone() -> None:
    with Faulty(refused(404, "no chat"), talking(), models=("first", "second")) as server:
        asked = ["doctor", "--base-url", server.url]
        shown = CliRunner().invoke(app, asked).stdout
        assert "first gives no answer" in shown and "--model ID" in shown
        found = CliRunner().invoke(app, [*asked, "--model", "second", "--json"]).stdout
    assert json.loads(found)["model"] == "second"
    refusal = CliRunner().invoke(app, ["doctor", "--model", "second"])
    assert refusal.exit_code == 2

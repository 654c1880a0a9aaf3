"""Repositories of GGUF files: what is chosen, downloaded, resumed, listed and removed."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_hub import REPOSITORIES, FakeHub, environment, fake_hub, polaris

FILES = REPOSITORIES["owner/tiny-GGUF"]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with fake_hub() as running:
        yield running


@pytest.fixture
def env(server: FakeHub, tmp_path: Path) -> dict[str, str]:
    server.seen.clear()
    return environment(tmp_path, server.address)


def downloaded(home: Path) -> set[str]:
    snapshots = home.glob("hub/models--*/snapshots/*")
    return {
        path.relative_to(folder).as_posix()
        for folder in snapshots
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_the_largest_file_that_fits_is_downloaded_with_all_its_parts(
    env: dict[str, str], tmp_path: Path
) -> None:
    done = polaris("models", "fetch", "owner/tiny-GGUF", env=env)
    assert done.returncode == 0, done.stderr
    assert "note: BF16 (0.4 MB): the largest of 3 files that fits the free memory." in done.stderr
    parts = {name for name in FILES if name.startswith("BF16/")}
    assert downloaded(tmp_path) == parts and len(parts) == 2
    assert Path(done.stdout.strip()).name == "BF16"


@pytest.mark.slow
def test_a_file_by_its_quantization_is_fetched_shown_and_removed(
    env: dict[str, str], server: FakeHub, tmp_path: Path
) -> None:
    done = polaris("models", "fetch", "owner/tiny-GGUF", "--gguf-file", "q8_0", env=env)
    assert done.returncode == 0, done.stderr
    assert downloaded(tmp_path) == {"tiny-Q8_0.gguf"} and "largest" not in done.stderr
    offline = env | {"HF_HUB_OFFLINE": "1"}
    shown = polaris("models", "show", "owner/tiny-GGUF", "--json", env=offline)
    facts = json.loads(shown.stdout)
    assert Path(facts["on_this_machine"]).read_bytes() == FILES["tiny-Q8_0.gguf"]
    assert facts["file_bytes"] == len(FILES["tiny-Q8_0.gguf"])

    other = ("write", "a fox", "-m", "owner/tiny-GGUF", "--gguf-file", "Q2_K")
    refused = polaris(*other, env=offline)
    assert "This machine has only Q8_0 of owner/tiny-GGUF, and HF_HUB_OFFLINE" in refused.stderr

    removed = polaris("models", "rm", "owner/tiny-GGUF", "--yes", env=offline)
    assert removed.stdout == "0.3 MB freed.\n" and not downloaded(tmp_path)


@pytest.mark.slow
def test_a_download_that_broke_off_is_resumed(
    env: dict[str, str], server: FakeHub, tmp_path: Path
) -> None:
    server.seen.clear()
    data = FILES["tiny-Q8_0.gguf"]
    blobs = tmp_path / "hub" / "models--owner--tiny-GGUF" / "blobs"
    blobs.mkdir(parents=True)
    part = blobs / f"{hashlib.sha256(data).hexdigest()}.incomplete"
    part.write_bytes(data[:1000])
    done = polaris("models", "fetch", "owner/tiny-GGUF", "--gguf-file", "Q8_0", env=env)
    assert done.returncode == 0, done.stderr
    assert "bytes=1000-" in [
        range_ for _, path, range_ in server.seen if path.endswith("Q8_0.gguf")
    ]
    assert Path(done.stdout.strip(), "tiny-Q8_0.gguf").read_bytes() == data


@pytest.mark.slow
def test_names_that_no_file_has_and_repositories_without_files(env: dict[str, str]) -> None:
    done = polaris("models", "fetch", "owner/tiny-GGUF", "--gguf-file", "Q8_1", env=env)
    assert done.returncode == 2 and "owner/tiny-GGUF has no GGUF file 'Q8_1'" in done.stderr
    assert "Did you mean Q8_0? It has: Q2_K, Q8_0, BF16" in done.stderr
    done = polaris("models", "fetch", "owner/tiny", "--gguf-file", "Q8_0", env=env)
    assert done.returncode == 2 and "owner/tiny has no GGUF files" in done.stderr


@pytest.mark.slow
def test_the_files_to_choose_from_are_shown(env: dict[str, str]) -> None:
    shown = polaris("models", "show", "owner/tiny-GGUF", "--json", env=env)
    files = json.loads(shown.stdout)["files"]
    assert list(files) == ["tiny-Q2_K.gguf", "tiny-Q8_0.gguf", "BF16/tiny-BF16-00001-of-00002.gguf"]


@pytest.mark.slow
def test_a_dry_run_names_the_file(env: dict[str, str], tmp_path: Path) -> None:
    done = polaris("write", "a fox", "-m", "owner/tiny-GGUF", "--dry-run", "--json", env=env)
    facts = json.loads(done.stdout)
    assert "BF16 (0.4 MB): the largest of 3 files that fits the free memory." in facts["notes"]
    assert facts["memory"] == [] and not downloaded(tmp_path)


@pytest.mark.slow
def test_the_engine_decides_where_a_repository_has_both(
    env: dict[str, str], tmp_path: Path
) -> None:
    polaris("models", "fetch", "owner/both", env=env)
    assert "both-Q4_K_M.gguf" not in downloaded(tmp_path)
    asked = ("write", "a fox", "-m", "owner/both", "--dry-run", "--json", "--engine")
    formats = []
    for engine in ("local", "gguf"):
        if engine == "gguf":
            polaris("models", "fetch", "owner/both", "--gguf-file", "Q4_K_M", env=env)
        done = polaris(*asked, engine, env=env)
        formats.append([need["format"] for need in json.loads(done.stdout)["memory"]])
    assert formats == [["bf16", "8-bit", "4-bit"], ["Q4_K_M"]]


@pytest.mark.slow
def test_an_unreachable_hub_is_named(tmp_path: Path) -> None:
    env = environment(tmp_path, "http://127.0.0.1:9")
    done = polaris("write", "a fox", "-m", "owner/tiny-GGUF", env=env)
    assert done.returncode == 3
    assert "owner/tiny-GGUF is not on this machine, and the hub cannot be" in done.stderr

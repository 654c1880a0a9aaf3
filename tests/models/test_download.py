"""Resumable downloads: resumed, verified, and linked as the hub's own client does."""

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_hub import REPOSITORIES, FakeHub, environment, fake_hub, polaris

pytestmark = pytest.mark.slow

WEIGHTS = REPOSITORIES["owner/large"]["model.safetensors"]
CHECKSUM = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with fake_hub() as running:
        yield running


@pytest.fixture
def env(server: FakeHub, tmp_path: Path) -> dict[str, str]:
    server.seen.clear()
    return environment(tmp_path, server.address)


def is_whole(stdout: str) -> bool:
    return (Path(stdout.strip()) / "model.safetensors").read_bytes() == WEIGHTS


def unfinished(home: Path, data: bytes) -> Path:
    """A file that an earlier download may have left."""
    path = home / "hub" / "models--owner--large" / "blobs" / f"{CHECKSUM}.incomplete"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def test_a_broken_connection_is_resumed(server: FakeHub, env: dict[str, str]) -> None:
    server.seen.clear()
    server.cut.add("model.safetensors")
    done = polaris("models", "fetch", "owner/large", env=env)
    assert done.returncode == 0 and "resume" not in done.stderr
    assert any(asked.startswith("bytes=") for _, _, asked in server.seen)
    assert is_whole(done.stdout)


def test_a_killed_download_resumes(server: FakeHub, env: dict[str, str], tmp_path: Path) -> None:
    stalled = server.stalled["model.safetensors"] = threading.Event()
    command = [sys.executable, "-m", "polaris_cli", "models", "fetch", "owner/large"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert stalled.wait(20)
    blobs = tmp_path / "hub" / "models--owner--large" / "blobs"
    waited = time.monotonic()
    while not any(path.stat().st_size for path in blobs.glob("*.incomplete")):
        assert time.monotonic() - waited < 20
        time.sleep(0.05)
    process.kill()
    process.communicate()

    server.seen.clear()
    done = polaris("models", "fetch", "owner/large", env=env)
    assert done.returncode == 0, done.stderr
    assert any(asked.startswith("bytes=") for _, _, asked in server.seen)
    weights = Path(done.stdout.strip()) / "model.safetensors"
    assert weights.stat().st_size == 24_576_000 + 8 + int.from_bytes(
        weights.read_bytes()[:8], "little"
    )


def test_a_server_that_ignores_ranges(server: FakeHub, env: dict[str, str], tmp_path: Path) -> None:
    unfinished(tmp_path, WEIGHTS[:5_000_000])
    server.whole_only.add("model.safetensors")
    done = polaris("models", "fetch", "owner/large", env=env)
    server.whole_only.clear()
    assert is_whole(done.stdout)


def test_a_page_in_place_of_the_rest_costs_nothing(
    server: FakeHub, env: dict[str, str], tmp_path: Path
) -> None:
    unfinished(tmp_path, WEIGHTS[:5_000_000])
    server.paged.add("model.safetensors")
    done = polaris("models", "fetch", "owner/large", env=env)
    assert done.returncode == 0 and is_whole(done.stdout)
    assert [asked for *_, asked in server.seen].count("bytes=5000000-") == 2


def test_a_busy_hub_is_asked_again(server: FakeHub, env: dict[str, str]) -> None:
    server.busy.add("model.safetensors")
    done = polaris("models", "fetch", "owner/large", env=env)
    assert done.returncode == 0 and is_whole(done.stdout)


def test_a_complete_part_file_is_used(server: FakeHub, env: dict[str, str], tmp_path: Path) -> None:
    unfinished(tmp_path, WEIGHTS)
    done = polaris("models", "fetch", "owner/large", env=env)
    assert done.returncode == 0, done.stderr
    assert is_whole(done.stdout)


def test_a_wrong_checksum_discards_the_file(env: dict[str, str], tmp_path: Path) -> None:
    part = unfinished(tmp_path, b"not what was sent")
    done = polaris("models", "fetch", "owner/large", env=env)
    assert done.returncode == 3
    assert "arrived damaged (its checksum is wrong)" in done.stderr
    assert "polaris models fetch owner/large" in done.stderr and "models rm" not in done.stderr
    assert not part.exists()
    assert is_whole(polaris("models", "fetch", "owner/large", env=env).stdout)


def test_the_hubs_own_client_finds_the_file(env: dict[str, str]) -> None:
    done = polaris("models", "fetch", "owner/large", env=env)
    program = (
        "from huggingface_hub import hf_hub_download\n"
        "print(hf_hub_download('owner/large', 'model.safetensors', local_files_only=True))"
    )
    found = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert found.stdout.strip() == f"{done.stdout.strip()}/model.safetensors"
    assert Path(found.stdout.strip()).is_symlink()

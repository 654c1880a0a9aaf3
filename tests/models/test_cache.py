"""Models on disk: the layout of the hub's cache, complete and incomplete models, removal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models import cache, weights
from polaris_cli.models.catalogue import DEMO, POLARIS
from polaris_cli.models.reference import ModelRef, of_entry

TINY = ModelRef("owner/tiny", "owner/tiny")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    return tmp_path


def put(home: Path, *names: str, commit: str = "c0ffee", branch: str | None = "main") -> Path:
    """Files in the cache as the hub's client lays them out."""
    repository = home / "hub" / "models--owner--tiny"
    snapshot = repository / "snapshots" / commit
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        blob = repository / "blobs" / f"blob-of-{name}"
        blob.write_text("12345")
        (snapshot / name).symlink_to(blob)
    if branch:
        (repository / "refs" / branch).write_text(commit)
    return snapshot


WHOLE = ("config.json", "tokenizer.json", "model.safetensors")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HF_HOME": "/a/home"},
        {"HF_HUB_CACHE": "/a/cache"},
        {"HF_HOME": "/a/home", "HUGGINGFACE_HUB_CACHE": "/an/old/name"},
        {"XDG_CACHE_HOME": "/a/cache/home"},
        {"HF_HOME": "~/$USER_PART/hf", "USER_PART": "me"},
    ],
)
def test_the_cache_folder_is_that_of_the_hubs_client(environment: dict[str, str]) -> None:
    program = (
        "from huggingface_hub.constants import HF_HUB_CACHE as theirs\n"
        "from polaris_cli.models.cache import cache_folder\n"
        "assert str(cache_folder()) == theirs, (cache_folder(), theirs)"
    )
    hidden = ("HF_", "XDG_", "HUGGINGFACE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    subprocess.run([sys.executable, "-c", program], env=kept | environment, check=True)


def test_a_complete_model_is_found_by_branch_and_by_commit(home: Path) -> None:
    assert cache.cached(TINY) is None
    snapshot = put(home, *WHOLE)
    assert cache.cached(TINY) == snapshot
    assert cache.cached(ModelRef("owner/tiny", "owner/tiny", "c0ffee")) == snapshot
    assert cache.cached(ModelRef("owner/tiny", "owner/tiny", "other")) is None


@pytest.mark.parametrize("missing", WHOLE)
def test_an_incomplete_model_does_not_count_as_cached(home: Path, missing: str) -> None:
    put(home, *(name for name in WHOLE if name != missing))
    assert cache.cached(TINY) is None


def test_every_shard_in_the_index_must_exist(home: Path) -> None:
    snapshot = put(home, "config.json", "tokenizer.json", "part-1.safetensors")
    parts = {"a": "part-1.safetensors", "b": "part-2.safetensors"}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    assert cache.cached(TINY) is None
    (snapshot / "part-2.safetensors").write_text("x")
    assert cache.cached(TINY) == snapshot


def test_a_broken_index_counts_as_no_weights(home: Path) -> None:
    snapshot = put(home, *WHOLE)
    (snapshot / "model.safetensors.index.json").write_text("[]")
    assert weights.weight_files(snapshot) == [snapshot / "model.safetensors"]


def test_sizes_count_each_file_once(home: Path) -> None:
    put(home, *WHOLE)
    put(home, "config.json", commit="beef", branch="old")
    assert cache.stored_bytes(TINY) - len("c0ffee") - len("beef") == 3 * 5


def test_remove_takes_every_revision(home: Path) -> None:
    put(home, *WHOLE)
    freed = cache.stored_bytes(TINY)
    assert cache.remove(TINY) == freed > 0
    assert not cache.repository_folder(TINY).exists()
    with pytest.raises(ModelUnavailable, match="not on this machine"):
        cache.remove(TINY)


def test_a_folder_that_cannot_be_removed_is_named(home: Path, tmp_path: Path) -> None:
    put(home, *WHOLE)
    folder = cache.repository_folder(TINY)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelUnavailable, match="cannot be removed: ") as refused:
        cache.remove(TINY)
    assert refused.value.hint.endswith(str(folder)) and (tmp_path / "elsewhere").is_dir()


def test_remove_leaves_what_was_not_downloaded(tmp_path: Path) -> None:
    for reference in (of_entry(DEMO), ModelRef("mine", "mine", folder=tmp_path)):
        with pytest.raises(ModelUnavailable, match="not downloaded"):
            cache.remove(reference)
    assert tmp_path.exists()


def test_entries_become_references() -> None:
    assert of_entry(POLARIS, "v1").revision == "v1"
    assert of_entry(POLARIS).page == "https://huggingface.co/rishanthrajendhran/POLARIS-9B"
    demo = of_entry(DEMO, "v1")
    assert demo.folder and demo.folder.name == "model"
    assert demo.revision is None


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("on", True), ("0", False), ("", False)]
)
def test_offline(value: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert cache.offline() is expected

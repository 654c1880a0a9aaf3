"""Limits of groups of processes, in fake trees of both versions of cgroups."""

from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from polaris_cli.models import cgroups, devices
from polaris_cli.models.cgroups import groups
from polaris_cli.models.threads import quota

JOB = "/system.slice/job.scope"
STATISTICS = "anon 500\ninactive_file 200000000\ntotal_inactive_file 400000000"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "MEMBERSHIP", tmp_path / "membership")
    return tmp_path


def member(tree: Path, *lines: str) -> None:
    (tree / "membership").write_text("".join(f"{line}\n" for line in lines))


def limited(folder: Path, files: Mapping[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


def version_2(limit: object, used: int) -> Mapping[str, object]:
    return {"memory.max": limit, "memory.current": used, "memory.stat": STATISTICS}


def version_1(limit: object, used: int) -> Mapping[str, object]:
    return {
        "memory.limit_in_bytes": limit,
        "memory.usage_in_bytes": used,
        "memory.stat": STATISTICS,
    }


def cpu_bytes() -> tuple[int, int]:
    cpu = devices.list_devices()[-1]
    return cpu.total_bytes, cpu.free_bytes


def test_the_groups_of_a_process(tree: Path) -> None:
    assert groups("cpu") == []
    member(tree, "0::/a/b")
    assert groups("memory") == groups("cpu") == [tree / "a" / "b", tree / "a", tree]
    member(tree, "3:cpu,cpuacct:/a", "2:memory:/", "1:name=systemd:/x", "0::/", "damaged")
    assert groups("cpu") == [tree / "cpu" / "a", tree / "cpu", tree]
    assert groups("memory") == [tree / "memory", tree]


def test_a_containers_limit_counts(tree: Path) -> None:
    """Its groups' names may be those of the host, which are not in the container."""
    host = psutil.virtual_memory().total
    member(tree, "0::/docker/abc")
    limited(tree, version_2(2_000_000_000, 900_000_000))
    assert cpu_bytes() == (2_000_000_000, 1_300_000_000)
    limited(tree, version_2("max", 900_000_000))
    assert cpu_bytes()[0] == host


def test_the_smallest_limit_of_a_group_and_those_around_it_counts(tree: Path) -> None:
    member(tree, f"0::{JOB}")
    limited(tree / JOB[1:], version_2(3_000_000_000, 300_000_000))
    limited(tree / "system.slice", version_2(4_000_000_000, 3_200_000_000))
    assert cpu_bytes() == (3_000_000_000, 1_000_000_000)


def test_limits_of_version_1(tree: Path) -> None:
    host = psutil.virtual_memory().total
    member(tree, "4:memory:/slurm/job_7", "3:cpu,cpuacct:/slurm/job_7")
    limited(tree / "memory", version_1(2**63 - 4096, 900_000_000))
    limited(tree / "cpu", {"cpu.cfs_quota_us": -1, "cpu.cfs_period_us": 100_000})
    assert cpu_bytes()[0] == host and quota() is None
    limited(tree / "memory" / "slurm" / "job_7", version_1(2_000_000_000, 900_000_000))
    limited(tree / "cpu" / "slurm", {"cpu.cfs_quota_us": 300_000, "cpu.cfs_period_us": 100_000})
    assert cpu_bytes() == (2_000_000_000, 1_500_000_000) and quota() == 3


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000", None),
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("", None),
        ("1 0", None),
    ],
)
def test_a_containers_quota(text: str, cores: int | None, tree: Path) -> None:
    member(tree, "0::/")
    assert quota() is None
    limited(tree, {"cpu.max": text})
    assert quota() == cores


def test_the_smallest_quota_counts(tree: Path) -> None:
    member(tree, f"0::{JOB}")
    limited(tree / "system.slice", {"cpu.max": "200000 100000"})
    limited(tree / JOB[1:], {"cpu.max": "800000 100000"})
    assert quota() == 2

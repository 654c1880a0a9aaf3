"""What is said where a cluster lacks what its workers need; needs no Ray."""

from typing import Any

import pytest

from polaris_cli.batch.cluster import Cluster
from polaris_cli.batch.cluster_room import room, warn_if_too_small
from polaris_cli.errors import UsageError


class FakeRay:
    """Machines with these cores and cards; `free` is what is free of all, one answer per look."""

    def __init__(self, *machines: tuple[float, float], free: list[tuple[float, float]]) -> None:
        self._machines, self._free = machines, free

    def nodes(self) -> list[dict[str, Any]]:
        lost = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 64.0}}
        there = [{"Alive": True, "Resources": _named(*machine)} for machine in self._machines]
        return [lost, *there]

    def available_resources(self) -> dict[str, float]:
        return _named(*(self._free.pop(0) if len(self._free) > 1 else self._free[0]))


def _named(cores: float, cards: float) -> dict[str, float]:
    return {"CPU": cores} | ({"GPU": cards} if cards else {})  # Ray leaves out what is not there


@pytest.mark.parametrize(
    ("machines", "free", "gpus", "workers"),
    [
        ([(2, 0)], (2, 0), 0, 4),
        ([(2, 0)], (2, 0), 1, 0),
        ([(8, 1), (8, 1)], (16, 2), 1, 2),
        ([(8, 1), (8, 1)], (16, 2), 2, 0),  # no machine has two
        ([(8, 2)], (8, 0.5), 0.5, 1),  # others use the rest
        ([(8, 1)], (8, 0.9), 0.3, 3),
    ],
)
def test_the_room_is_what_is_free_and_on_one_machine(
    machines: list[tuple[float, float]], free: tuple[float, float], gpus: float, workers: int
) -> None:
    needs = Cluster("auto", 1, gpus).needs
    assert room(FakeRay(*machines, free=[free]), needs) == workers


def said(ray: FakeRay, gpus: float, patience: float) -> list[str]:
    told: list[str] = []
    warn_if_too_small(ray, Cluster("auto", 2, gpus).needs, 2, told.append, patience)
    return told


def test_what_is_waited_for_is_said_once() -> None:
    none, some = FakeRay((2, 0), free=[(2, 0)]), FakeRay((8, 1), free=[(8, 1)])
    assert said(none, 1, 0) == [
        "The cluster has room for 0 of 2 workers, and the run waits: each needs "
        "0.5 CPU cores and 1 GPU."
    ]
    assert "room for 1 of 2 workers, and the run begins with those" in said(some, 1, 9)[0]


def test_room_that_comes_soon_is_not_spoken_of() -> None:
    assert said(FakeRay((8, 2), free=[(0, 0), (8, 2)]), 1, 9) == []
    assert said(FakeRay((2, 0), free=[(2, 0)]), 0, 9) == []


@pytest.mark.parametrize("gpus", [1.5, float("inf"), 0.0001])
def test_a_part_of_a_card_that_ray_does_not_give_is_refused(gpus: float) -> None:
    with pytest.raises(UsageError, match="--gpus-per-worker") as raised:
        Cluster("auto", 2, gpus)
    assert "0.5" in raised.value.hint

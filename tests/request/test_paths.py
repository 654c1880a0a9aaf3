"""Paths that users type may begin with a home folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from polaris_cli.errors import ModelUnavailable, UsageError
from polaris_cli.library.store import Library, library_path
from polaris_cli.models.cache import cache_folder
from polaris_cli.models.resolving import by_name
from polaris_cli.request.paths import expanded
from polaris_cli.request.presets import load_preset
from polaris_cli.request.settings import from_options

UNKNOWN = "~no-such-user/x"


def test_the_home_folder_is_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/jane")
    assert expanded("~/x") == Path("/home/jane/x") and expanded(Path("x")) == Path("x")
    assert expanded(UNKNOWN) == Path(UNKNOWN)


def test_a_model_or_preset_of_an_unknown_user_is_not_found() -> None:
    with pytest.raises(ModelUnavailable, match=f"{UNKNOWN} does not exist"):
        by_name(UNKNOWN)
    with pytest.raises(UsageError, match="There is no preset"):
        load_preset(UNKNOWN)


@pytest.mark.parametrize(
    "path",
    [
        lambda: library_path(),
        lambda: Library(UNKNOWN).path,
        lambda: cache_folder(),
        lambda: Path(from_options({"cover": UNKNOWN})["cover"]),
    ],
)
def test_a_path_of_an_unknown_user_is_one_like_any_other(
    path: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARIS_LIBRARY", UNKNOWN)
    monkeypatch.setenv("HF_HUB_CACHE", UNKNOWN)
    assert UNKNOWN in str(path())

"""How long a refusal is waited for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris_cli.errors import EndpointError
from polaris_cli.models.refusals import named_wait, wait_before_retry
from tests.servers.replies import http_date


def waited(named: str) -> float:
    return named_wait({"retry-after": named})


@pytest.mark.parametrize(
    "named",
    [
        "",
        "soon",
        "-5",
        "-inf",
        "nan",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        f"Fri, 31 Dec 2026 10:00:00 +{10**20}",
        "Mon, 01 Jan 0001 00:00:00 +2359",
    ],
)
def test_what_names_no_time_to_come_is_0(named: str) -> None:
    assert waited(named) == 0


def test_a_wait_is_a_number_or_a_date() -> None:
    assert waited("1.5") == 1.5 and 50 < waited(http_date(60)) <= 61


@pytest.mark.parametrize("named", ["inf", "1e400", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nobody_waits_for_ever(named: str) -> None:
    assert wait_before_retry(EndpointError("no", retry_in=waited(named))) is False


@settings(max_examples=50)
@given(st.text() | st.from_regex(r"\w{3}, \d+ Dec \d+ \d+:\d+:\d+ [+-]\d+", fullmatch=True))
def test_no_header_raises(named: str) -> None:
    assert waited(named) >= 0

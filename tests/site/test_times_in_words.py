from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pybots.site.times import ago, duration, exact, machine, size

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (1.9, "just now"),
        (2, "2 seconds ago"),
        (59.9, "59 seconds ago"),
        (60, "1 minute ago"),
        (240, "4 minutes ago"),
        (3600, "1 hour ago"),
        (47 * 3600, "47 hours ago"),
        (48 * 3600, "2 days ago"),
        (59 * 86400, "59 days ago"),
        (60 * 86400, "2 months ago"),
        (-1, "just now"),
        (-7200, "in 2 hours"),
    ],
)
def test_ago(seconds: float, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (252, "4 min 12 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (51_000, "51 kB"), (231e6, "231 MB"), (2.5e9, "2.5 GB")],
)
def test_size(count: int, words: str) -> None:
    assert size(count) == words


def test_moments_are_given_in_utc() -> None:
    then = datetime(2026, 11, 22, 16, 5, 9, tzinfo=timezone(timedelta(hours=2)))
    assert exact(then) == "2026-11-22 14:05:09 UTC"
    assert machine(then) == "2026-11-22T14:05:09Z"

"""Decides how much chance of being wrong one claim may have: its share of the farm's budget of false incidents."""

from __future__ import annotations

FEWEST_CLAIMS = 100
"""A young farm has no record yet: it is taken to make so many claims a year."""


def share(false_a_year: float, claims_a_year: float) -> float:
    """Return the probability of being wrong that one claim may have: the farm's *false_a_year* over its claims."""
    return min(0.01, max(1e-9, false_a_year / max(claims_a_year, FEWEST_CLAIMS)))

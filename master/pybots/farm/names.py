"""Names of Buildbot's builders and schedulers: one of each kind a platform."""

from __future__ import annotations

INTERPRETERS = "interpreters"
PROJECT_TESTS = "project-tests"
TRIALS = "trials"
"""Of a scheduler alone: what it asks for is carried out by the builder of project tests, before subjects."""

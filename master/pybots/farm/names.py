"""Names of Buildbot's builders and schedulers: one of each kind a platform."""

from __future__ import annotations

INTERPRETERS = "interpreters"
PROJECT_TESTS = "project-tests"

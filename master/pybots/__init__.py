"""A farm that tests every CPython commit against the projects that depend on it."""

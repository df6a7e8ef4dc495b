"""Settings for Django's own suite: those of its `test_sqlite`, with our runner.

For `python runtests.py --settings=pybots_django_settings`, in Django's folder `tests`.
"""

from __future__ import annotations

from test_sqlite import *  # type: ignore[import-not-found]  # noqa: F403

TEST_RUNNER = "pybots_django.Runner"

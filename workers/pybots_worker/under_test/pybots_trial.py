"""Runs trial without deselected tests, or the asked ones alone: `python -m pybots_trial [trial's own arguments]`."""

from __future__ import annotations

import sys
from typing import Any

import pybots_asked  # type: ignore[import-not-found]
import pybots_report  # type: ignore[import-not-found]
from twisted.scripts import trial


def main() -> None:
    """Run trial's command line, with its suite filtered; standard output is trial's own."""
    ids = pybots_report.deselected_ids()
    collect = trial._getSuite

    def collect_without_deselected(config: Any) -> Any:
        trial._getSuite = collect  # tests of trial itself call it
        suite = collect(config)
        removed = pybots_report.remove_deselected(suite, ids)
        sys.stderr.write("pybots: %d tests deselected\n" % removed)
        pybots_asked.only_asked(suite)
        return suite

    trial._getSuite = collect_without_deselected
    sys.argv[0] = "trial"
    trial.run()


if __name__ == "__main__":
    main()

"""Counts what is downloaded for one run, and ends the run where that is more than it may have."""

from __future__ import annotations

import threading

from pybots_worker.contract import Ending
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.sandbox.limits import amount


class Spent:
    """The bytes that came over the network so far, of several downloads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.downloaded_bytes = 0

    def add(self, size: int, most_bytes: int) -> None:
        """Count bytes that came. Raises RunEndedError(`disk-limit`) where they are too many."""
        with self._lock:
            self.downloaded_bytes += size
            if self.downloaded_bytes > most_bytes:
                detail = f"what it needs takes more than {amount(most_bytes)} to download"
                raise RunEndedError(Ending.DISK_LIMIT, detail)

"""Decides which file of each locked distribution a run installs from, and sees that it is in the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pybots_worker.contract import Ending
from pybots_worker.runs.compatible import Target
from pybots_worker.runs.downloads import Downloads
from pybots_worker.runs.locked import Entry, File, LockError
from pybots_worker.runs.phases import RunEndedError
from pybots_worker.runs.steps import StepFailedError, ended
from pybots_worker.runs.uv_steps import Uv


@dataclass(frozen=True, slots=True)
class Files:
    """What can be had for one interpreter."""

    uv: Uv
    target: Target
    downloads: Downloads

    def fetched(self, entries: Sequence[Entry]) -> list[tuple[Entry, File | None]]:
        """Choose a file for each, and download what is not there yet; None for a commit."""
        chosen = [(entry, self.choose(entry)) for entry in entries]
        unknown = [
            entry for entry, file in chosen if file and not file.address and not self.downloads.has(file)
        ]
        if unknown:
            known = {entry.label: entry for entry in self._located(unknown)}
            chosen = [(entry, self.choose(known.get(entry.label, entry))) for entry, _ in chosen]
        try:
            self.downloads.fetch(file for _, file in chosen if file)
        except RunEndedError as error:
            raise of_a_dependency(error) from error
        return chosen

    def choose(self, entry: Entry) -> File | None:
        """Return the best wheel, else the sdist; None for a commit. Raises RunEndedError(`environment-failed`)."""
        if entry.commit:
            return None
        file = self.target.choose(entry)
        if file is None:
            detail = f"the lock has no file of {entry.label} that this Python can install"
            raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail)
        return replace(file, address=entry.exact) if "://" in entry.exact else file

    def _located(self, entries: Sequence[Entry]) -> Iterator[Entry]:
        """Look for the files where packages come from; their hashes have to be the lock's."""
        try:
            found = {entry.label: entry for entry in self.uv.locate(entries)}
        except LockError as error:
            raise RunEndedError(Ending.ENVIRONMENT_FAILED, str(error)) from error
        except StepFailedError as error:
            raise ended(Ending.ENVIRONMENT_FAILED, error) from error
        for entry in entries:
            locked = {file.sha256 for file in entry.files}
            there = found[entry.label].files if entry.label in found else ()
            files = tuple(file for file in there if file.sha256 in locked)
            if not files:
                detail = (
                    f"no file of {entry.label} has a hash that the lock names: it was replaced, or removed"
                )
                raise RunEndedError(Ending.ENVIRONMENT_FAILED, detail)
            yield replace(entry, files=files)

    def take(self, file: File, folder: Path) -> File:
        """Copy a file into a folder. Raises RunEndedError (`environment-failed`, `worker-unfit`)."""
        try:
            self.downloads.take(file, folder)
        except RunEndedError as error:
            raise of_a_dependency(error) from error
        return file


def of_a_dependency(error: RunEndedError, label: str = "") -> RunEndedError:
    """What is fetched or built for a dependency is the environment's; a machine's fault stays one."""
    if error.ending not in (Ending.FETCH_FAILED, Ending.INSTALL_FAILED):
        return error
    return RunEndedError(Ending.ENVIRONMENT_FAILED, f"{label}: {error.detail}" if label else error.detail)

"""Keeps the newest complete report of a project on a track, without its times, to compare the next one with."""

from __future__ import annotations

from typing import NamedTuple

import zstandard
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pybots.database.tables import LastReport, RunRow

_LEVEL = 1  # of thousands of cases that are much alike, little is left at any level
_LARGEST = 64_000_000
_LARGEST_KEPT = 4_000_000


class Kept(NamedTuple):
    """A report without its times, and its digest."""

    report_digest: str
    lasting: bytes


def compressed(lasting: bytes) -> bytes:
    """Return what is kept of a report: nothing of one that stays large."""
    made = zstandard.ZstdCompressor(level=_LEVEL).compress(lasting)
    return made if len(made) <= _LARGEST_KEPT else b""


def last_report(session: Session, run_key: str) -> Kept | None:
    """Return the one of the run's project on its track; None where none is kept."""
    of_run = (LastReport.project_id == RunRow.project_id) & (LastReport.track_id == RunRow.track_id)
    query = select(LastReport.report_digest, LastReport.compressed).join(RunRow, of_run)
    row = session.execute(query.where(RunRow.key == run_key)).first()
    if row is None:
        return None
    content = zstandard.ZstdDecompressor().decompress(row.compressed, max_output_size=_LARGEST)
    return Kept(row.report_digest, content)


def save_last_report(session: Session, run: RunRow, content: bytes) -> None:
    """Keep *content*, compressed, as that of *run*, the newest; where it is empty, keep none."""
    key = {"project_id": run.project_id, "track_id": run.track_id}
    if content:
        session.merge(LastReport(**key, report_digest=run.report_digest, compressed=content))
    else:
        session.execute(delete(LastReport).filter_by(**key))

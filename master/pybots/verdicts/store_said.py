"""Reads from the results database what a run said of how it ended."""

from __future__ import annotations

import io

import zstandard
from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import RunLog, RunRow, TestRow
from pybots.verdicts import error_lines
from pybots.verdicts.evidence import Kind

_READ_BYTES = 64_000_000
_KEPT_BYTES = 1_000_000


def whole_signature(session: Session, run: RunRow, kind: Kind) -> str:
    """Return by what the end of *run* is compared with others' (`error_lines.whole_signature`)."""
    return error_lines.whole_signature(kind, end_of_log(session, run.id), run.detail)


def end_of_log(session: Session, run_id: int) -> str:
    """Return the end of a run's log; nothing where there is none, or none that can be read."""
    compressed = session.scalar(select(RunLog.compressed).where(RunLog.run_id == run_id))
    if not compressed:
        return ""
    kept, total = b"", 0
    try:
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(compressed)) as reader:
            while total < _READ_BYTES and (block := reader.read(1 << 20)):
                total += len(block)
                kept = (kept + block)[-_KEPT_BYTES:]
    except zstandard.ZstdError:
        return ""  # a worker may send anything
    return kept.decode("utf-8", "replace")


def ended_during(session: Session, run: RunRow) -> str:
    """Return the test during which *run* crashed or was stopped, where its detail names one that is known."""
    said = run.detail.partition(" in ")[2]
    while said:
        known = select(TestRow.name).where(TestRow.project_id == run.project_id, TestRow.name == said)
        if session.scalar(known) is not None:
            return said
        # Behind the name there may be what the worker saw besides.
        said = said.rpartition("; ")[0]
    return ""

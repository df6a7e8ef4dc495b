"""Saves a run whose report is, but for some cases, that of the run before it: only those cases are read."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from pybots.database.engine import Sessions
from pybots.database.tables import RunRow
from pybots.results.intervals import ABSENT
from pybots.results.junit_pieces import Difference, difference
from pybots.results.observed import Observed, digest_after, observed
from pybots.results.outcome import Outcome, Report
from pybots.results.parse import parse_report
from pybots.results.store_last_report import compressed, last_report, save_last_report
from pybots.results.store_newest import Lasting, lasting, save_newest
from pybots.results.store_repeated import NOT_REPEATED, Repeated, complete_before
from pybots.results.store_run import ReceivedRun, claim_unfinished, counts_of, save_counts, save_ending
from pybots.runs.conclude import Conclusion, ReportSummary, conclude
from pybots_worker.contract import ReportFormat, RunSpecification


class _Read(NamedTuple):
    """What was read of what differs from the report with this digest."""

    compared_with: str
    report: Report
    tests: dict[str, Observed]
    gone: frozenset[str]
    """Names of the tests whose cases are there no more, or no more in these words."""
    kept: bytes


class _After(NamedTuple):
    """What the run before, and what differs from it, come to."""

    conclusion: Conclusion
    counts: Counter[Outcome]
    collected: int
    outcomes_digest: str


def ingest_changed(
    sessions: Sessions, run_key: str, received: ReceivedRun, content: bytes, now: datetime
) -> Repeated:
    """Save the run if it is its project's newest on the track, and *content*, its report, differs in parts only.

    What is saved is what `store.ingest` would save. Raises what `store_run.claim_unfinished` raises.
    """
    # What takes long comes before the transaction, which makes every other writer wait.
    read = _read(sessions, run_key, received, content)
    if read is None:
        return NOT_REPEATED
    with sessions.writing() as session:
        run = claim_unfinished(session, run_key, received)
        if run is None:
            return Repeated(saved=True)
        before = complete_before(session, run, read.compared_with)
        if before is None:
            return NOT_REPEATED
        known = lasting(session, run.project_id, run.track_id, {*read.tests, *read.gone})
        after = _after(received, run, before, read, known)
        if after is None or not after.conclusion.complete:
            return NOT_REPEATED
        save_counts(run, after.counts, after.collected, before.deselected)
        _save(session, run, received, after, now)
        save_newest(session, run, read.tests, known)
        save_last_report(session, run, read.kept)
        return Repeated(saved=True, status=after.conclusion.status)


def _save(session: Session, run: RunRow, received: ReceivedRun, after: _After, now: datetime) -> None:
    run.outcomes_digest = after.outcomes_digest
    save_ending(session, run, received, after.conclusion, now)


def _read(sessions: Sessions, run_key: str, received: ReceivedRun, content: bytes) -> _Read | None:
    if not received.lasting:
        return None
    with sessions.reading() as session:
        last = last_report(session, run_key)
    found = difference(last.lasting, received.lasting, content) if last else None
    if last is None or found is None:
        return None
    report, gone = _parsed(found)
    if (len(report.results), len(gone.results)) != (found.changed_cases, found.gone_cases):
        return None
    if report.problem or gone.problem:
        return None
    names = frozenset(gone.results)
    return _Read(last.report_digest, report, observed(report), names, compressed(received.lasting))


def _parsed(found: Difference) -> tuple[Report, Report]:
    changed, gone = (
        parse_report(ReportFormat.JUNIT, io.BytesIO(text)) for text in (found.changed, found.gone)
    )
    return changed, gone


def _after(
    received: ReceivedRun, run: RunRow, before: RunRow, read: _Read, known: Mapping[str, Lasting]
) -> _After | None:
    """Return what the run says as a whole; None where a name is that of an unchanged test as well."""
    there = {name for name, test in known.items() if test.seen != ABSENT}
    if not read.gone <= there or (there & read.tests.keys()) - read.gone:
        return None
    specification = RunSpecification.model_validate_json(run.specification)
    counts = counts_of(before) + read.report.counts()
    counts.subtract(Counter(known[name].seen.outcome for name in read.gone))
    summary = ReportSummary(
        format=specification.report,
        counts={outcome.value: count for outcome, count in counts.items()},
        collection_errors=read.report.collection_errors,
    )
    come = ((name, test.seen) for name, test in read.tests.items())
    gone = ((name, known[name].seen) for name in read.gone)
    collected = before.collected + len(read.tests) - len(read.gone)
    digest = digest_after(before.outcomes_digest, gone, come)
    return _After(conclude(received.result, summary), counts, collected, digest)

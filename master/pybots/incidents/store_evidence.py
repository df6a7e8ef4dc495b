"""Reads what a verdict rests on: how far its trials settle it, and how regularly its item failed in them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.database.tables import RunFailureRow, RunRow, VerdictRow
from pybots.incidents.close import Tried
from pybots.incidents.states import State
from pybots.incidents.store_sequences import counts
from pybots.results.outcome import Outcome
from pybots.runs.status import RunStatus
from pybots.verdicts.compare import showing, whole_showing
from pybots.verdicts.evidence import Kind, Showing
from pybots_worker.contract import RunSpecification

_SLOT = re.compile(r"-\d+$")


@dataclass(frozen=True, slots=True)
class Evidence:
    """The trials of one verdict, as far as an incident needs them."""

    keys: tuple[str, ...]
    good_for: State
    """How far it brings an incident."""
    tried: Tried


def evidence_of(session: Session, verdict: VerdictRow) -> Evidence:
    """Return what *verdict* rests on.

    Suspected: it was seen again. Confirmed: on the machine on which it was, something was put back, and it went away.
    Attributed: the verdict, which says whose it is, comes once all that moved has been put back.
    """
    keys = tuple(json.loads(verdict.evidence))
    runs = list(session.scalars(select(RunRow).where(RunRow.key.in_(keys)))) if keys else []
    shows = {run.id: _shows(session, verdict, run) for run in runs}
    subjects = [run for run in runs if not run.back]
    bad = [run for run in subjects if shows[run.id] is Showing.DIFFERS]
    good = [run for run in runs if run.back and shows[run.id] is Showing.AGREES]
    contradicted = {machine(run.worker) for run in bad} & {machine(run.worker) for run in good}
    passed = sum(shows[run.id] is Showing.AGREES for run in subjects)
    reached = State.ATTRIBUTED if contradicted else State.SUSPECTED
    return Evidence(keys, reached, Tried(len(bad), passed))


def machine(worker: str) -> str:
    """Return the machine behind a Buildbot worker's name: its slots are NAME-1, NAME-2, ..."""
    return _SLOT.sub("", worker)


def _shows(session: Session, verdict: VerdictRow, run: RunRow) -> Showing:
    kind, status = Kind(verdict.kind), RunStatus(run.status or RunStatus.FARM_ERROR)
    if verdict.test_id is None:
        none = RunSpecification.model_validate_json(run.specification).tests == []
        return whole_showing(kind, status, counts(run), ran_no_tests=none)
    row = session.get(RunFailureRow, (run.id, verdict.test_id))
    return showing(kind, Outcome(row.outcome) if row else Outcome.ABSENT)

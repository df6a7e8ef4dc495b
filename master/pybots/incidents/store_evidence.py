"""Reads what verdicts rest on: how far their trials settle them, and how regularly their items failed in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, load_only

from pybots.database.bulk import chunks, one_of
from pybots.database.tables import RunFailureRow, RunRow, VerdictRow
from pybots.incidents.close import Tried
from pybots.incidents.states import State
from pybots.incidents.store_sequences import COUNTS, counts
from pybots.results.outcome import Outcome
from pybots.runs.status import RunStatus
from pybots.verdicts.compare import showing, whole_showing
from pybots.verdicts.evidence import Kind, Showing
from pybots_worker.contract import RunSpecification

_SLOT = re.compile(r"-\d+$")
_CHUNK = 500

Outcomes = Mapping[tuple[int, int], Outcome]
"""By run and test."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The trials of one verdict, as far as an incident needs them."""

    keys: tuple[str, ...]
    good_for: State
    """How far it brings an incident."""
    tried: Tried


def evidence_of(session: Session, verdicts: Sequence[VerdictRow]) -> dict[int, Evidence]:
    """Return what each of *verdicts* rests on, by their numbers.

    Suspected: it was seen again. Confirmed: on the machine on which it was, something was put back, and it went away.
    Attributed: the verdict, which says whose it is, comes once all that moved has been put back.
    """
    keys = {verdict.id: tuple(json.loads(verdict.evidence)) for verdict in verdicts}
    runs = _runs(session, {key for each in keys.values() for key in each})
    tests = {verdict.test_id for verdict in verdicts if verdict.test_id is not None}
    outcomes = _outcomes(session, [run.id for run in runs.values()], tests)
    found = {}
    for verdict in verdicts:
        own = [runs[key] for key in keys[verdict.id] if key in runs]
        found[verdict.id] = _weighed(verdict, keys[verdict.id], own, outcomes)
    return found


def machine(worker: str) -> str:
    """Return the machine behind a Buildbot worker's name: its slots are NAME-1, NAME-2, ..."""
    return _SLOT.sub("", worker)


def _weighed(
    verdict: VerdictRow, keys: tuple[str, ...], runs: Sequence[RunRow], outcomes: Outcomes
) -> Evidence:
    shows = [(run, _shows(verdict, run, outcomes)) for run in runs]
    # Of a member of a cluster only the two vertices are tried between which the cause lies.
    bad = {machine(run.worker) for run, shown in shows if shown is Showing.DIFFERS}
    good = {machine(run.worker) for run, shown in shows if run.back and shown is Showing.AGREES}
    subjects = [shown for run, shown in shows if not run.back]
    tried = Tried(subjects.count(Showing.DIFFERS), subjects.count(Showing.AGREES))
    return Evidence(keys, State.ATTRIBUTED if bad & good else State.SUSPECTED, tried)


def _shows(verdict: VerdictRow, run: RunRow, outcomes: Outcomes) -> Showing:
    kind = Kind(verdict.kind)
    if verdict.test_id is None:
        none = RunSpecification.model_validate_json(run.specification).tests == []
        status = RunStatus(run.status or RunStatus.FARM_ERROR)
        return whole_showing(kind, status, counts(run), ran_no_tests=none)
    return showing(kind, outcomes.get((run.id, verdict.test_id), Outcome.ABSENT))


def _runs(session: Session, keys: Iterable[str]) -> dict[str, RunRow]:
    row = RunRow
    columns = load_only(row.key, row.worker, row.back, row.status, row.specification, *COUNTS.values())
    found: dict[str, RunRow] = {}
    for chunk in chunks(sorted(keys), _CHUNK):
        rows = session.scalars(select(row).options(columns).where(one_of(session, row.key, chunk)))
        found.update({each.key: each for each in rows})
    return found


def _outcomes(session: Session, runs: Sequence[int], tests: Iterable[int]) -> dict[tuple[int, int], Outcome]:
    row = RunFailureRow
    wanted = set(tests)
    found: dict[tuple[int, int], Outcome] = {}
    for chunk in chunks(runs, _CHUNK) if wanted else ():
        rows = session.execute(
            select(row.run_id, row.test_id, row.outcome).where(one_of(session, row.run_id, chunk))
        )
        found.update({(run, test): Outcome(word) for run, test, word in rows if test in wanted})
    return found

"""Reads and saves where incidents lie: the ranges of suspect commits, now and the times before."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pybots.database.bulk import chunks, one_of
from pybots.database.tables import PLACES_PER_COMMIT, IncidentMember, IncidentRow
from pybots.incidents.join import Known, Range, Sighting
from pybots.incidents.states import State
from pybots.verdicts.verdict import Cause


def known_incidents(
    session: Session, branch_id: int, sightings: Iterable[Sighting]
) -> dict[tuple[Cause, str], list[Known]]:
    """Return every incident on a branch, in whatever state, with the cause and the fault of one of *sightings*."""
    wanted = {(sighting.cause, sighting.fault) for sighting in sightings}
    found: defaultdict[tuple[Cause, str], list[Known]] = defaultdict(list)
    for chunk in chunks(sorted({fault for _, fault in wanted}), 5_000):
        rows = session.scalars(
            select(IncidentRow)
            .where(IncidentRow.branch_id == branch_id, one_of(session, IncidentRow.fault, chunk))
            .order_by(IncidentRow.id)
        )
        for row in rows:
            if (Cause(row.cause), row.fault) in wanted:
                found[Cause(row.cause), row.fault].append(known_of(session, row))
    return dict(found)


def save_ranges(incident: IncidentRow, known: Known) -> None:
    """Save the ranges that *known* has."""
    incident.last_good_position = known.range.last_good
    incident.first_bad_position = known.range.first_bad
    incident.past_ranges = json.dumps([[past.last_good, past.first_bad] for past in known.past])


def known_of(session: Session, row: IncidentRow) -> Known:
    """Return where the incident *row* lies."""
    after = (row.first_bad_position + 1) * PLACES_PER_COMMIT
    fixed = session.scalar(
        select(func.min(IncidentMember.fixed_place)).where(
            IncidentMember.incident_id == row.id, IncidentMember.fixed_place >= after
        )
    )
    return Known(
        id=row.id,
        state=State(row.state),
        range=Range(row.last_good_position, row.first_bad_position),
        past=tuple(Range(*past) for past in json.loads(row.past_ranges)),
        fixed_at=None if fixed is None else fixed // PLACES_PER_COMMIT,
    )

"""Saves which items no longer show an incident, and closes it with the last of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pybots.database.bulk import chunks, one_of
from pybots.database.tables import IncidentMember, IncidentRow, RunRow, TestRow, VerdictRow
from pybots.incidents.close import End, Ended, ended
from pybots.incidents.states import OPEN, Event, State
from pybots.incidents.store_evidence import evidence_of
from pybots.incidents.store_sequences import Item, since
from pybots.incidents.store_transitions import Because, happened, raise_to
from pybots.incidents.title import named
from pybots.runs.status import Role

_NAMED = 3
_SAID = {Ended.PASSES: "well again", Ended.GONE: "skipped or gone, run after run: let go"}


def settle(session: Session, incident: IncidentRow, members: Sequence[IncidentMember], now: datetime) -> bool:
    """Look again at *members* of *incident*, and save which are well, and what that makes of it.

    Return whether anything changed. All of it follows from the runs that are there, in whatever order they came.
    """
    ends = _ends(session, members)
    places = {number: end.place if end else None for number, end in ends.items()}
    changed = [member for member in members if member.fixed_place != places[member.id]]
    for member in changed:
        member.fixed_place = places[member.id]
    session.flush()
    if not changed:
        return False
    well = [member for member in changed if ends[member.id] is not None]
    broken = [member for member in changed if ends[member.id] is None]
    if broken and incident.state == State.FIXED:
        _again(session, incident, broken, now)
    if well:
        _recovered(session, incident, well, ends, now)
    return True


def _ends(session: Session, members: Sequence[IncidentMember]) -> dict[int, End | None]:
    verdicts = _verdicts(session, members)
    evidence = evidence_of(session, list(verdicts.values()))
    groups: defaultdict[tuple[int | None, int], list[Item]] = defaultdict(list)
    for member in members:
        groups[member.project_id, member.track_id].append(Item(member, verdicts[member.verdict_id]))
    ends: dict[int, End | None] = {}
    for items in groups.values():
        shown = since(session, items)
        for item in items:
            tried, may_go = evidence[item.verdict.id].tried, item.member.test_id is not None
            ends[item.member.id] = ended(tried, shown[item.member.id], may_go=may_go)
    return ends


def _verdicts(session: Session, members: Sequence[IncidentMember]) -> dict[int | None, VerdictRow]:
    numbers = {member.verdict_id for member in members}
    found: dict[int | None, VerdictRow] = {}
    for chunk in chunks(numbers, 5_000):
        rows = session.scalars(select(VerdictRow).where(one_of(session, VerdictRow.id, chunk)))
        found.update({row.id: row for row in rows})
    return found


def _recovered(
    session: Session,
    incident: IncidentRow,
    well: Sequence[IncidentMember],
    ends: dict[int, End | None],
    now: datetime,
) -> None:
    """Save that *well* are well, and that the incident is fixed where no other item is left."""
    why = {end.why for member in well if (end := ends[member.id]) is not None}
    what = f"{named(_names(session, well))}: {' or '.join(_SAID[one] for one in Ended if one in why)}"
    because = Because(what, _runs(session, well))
    left = session.scalar(
        select(func.count())
        .select_from(IncidentMember)
        .where(IncidentMember.incident_id == incident.id, IncidentMember.fixed_place.is_(None))
    )
    fixed = not left and incident.state in OPEN
    happened(session, incident, Event.FIXED if fixed else Event.RECOVERED, because, now)


def _again(session: Session, incident: IncidentRow, broken: Sequence[IncidentMember], now: datetime) -> None:
    """Open *incident* again: a run that came late says that what seemed well was not."""
    verdict = session.get_one(VerdictRow, broken[0].verdict_id)
    evidence = evidence_of(session, [verdict])[verdict.id]
    because = Because(f"{named(_names(session, broken))}: not well after all", evidence.keys)
    happened(session, incident, Event.REOPENED, because, now)
    raise_to(session, incident, evidence.good_for, because, now)


def _names(session: Session, members: Sequence[IncidentMember]) -> list[str]:
    """Return a few names of *members*' items, each once."""
    found = [session.get(TestRow, member.test_id) if member.test_id else None for member in members[:_NAMED]]
    names = [test.name if test else "the run as a whole" for test in found]
    left = [f"{len(members) - _NAMED} others"] if len(members) > _NAMED else []
    return [*dict.fromkeys(names), *left]


def _runs(session: Session, members: Sequence[IncidentMember]) -> list[str]:
    """Return the keys of the runs from which on *members* are well."""
    places = {(member.project_id, member.track_id, member.fixed_place) for member in members}
    keys = [
        session.scalar(
            select(RunRow.key).where(
                RunRow.project_id == project,
                RunRow.track_id == track,
                RunRow.role == Role.SUBJECT,
                RunRow.place == place,
            )
        )
        for project, track, place in places
    ]
    return sorted(key for key in keys if key)

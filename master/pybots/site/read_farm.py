"""Talks to the results database: what is known of projects, tracks and the farm. Every query is bounded."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Select, func, select, true
from sqlalchemy.orm import Session

from pybots.database import tables
from pybots.interpreters.plan import TrackName
from pybots.registry.recipe import Recipe, SourceSection
from pybots.runs.schedule import runs_on
from pybots.site.facts import (
    Branch,
    Cell,
    Condition,
    Deselected,
    Environment,
    Farm,
    Fault,
    Overview,
    Project,
    Queue,
    Run,
    Track,
    Waiting,
    Worker,
)
from pybots.site.read_interpreters import interpreters, newest_commits
from pybots.site.read_runs import as_run, runs, select_runs

MOST_PROJECTS = 500
MOST_TRACKS = 200
MOST_TEXT = 2_000_000
MOST_UNDER_WAY = 2000
MOST_FAULTS = 20
# Named one by one, so that the index on `state` serves: most rows are finished.
UNFINISHED = ("wanted", "requested", "running")


def tracks(session: Session) -> list[Track]:
    """Return every track of the farm: by branch in the order in which they were added, then by name."""
    rows = session.execute(
        select(tables.Branch.name, tables.Track.variant, tables.Track.platform)
        .join(tables.Track, tables.Track.branch_id == tables.Branch.id)
        .order_by(tables.Branch.id, tables.Track.variant != "default", tables.Track.variant)
        .order_by(tables.Track.platform)
        .limit(MOST_TRACKS)
    )
    return [Track.of(*row) for row in rows]


def projects(session: Session, known: list[Track]) -> list[Project]:
    """Return every project by name, with those of the *known* tracks that it asks for."""
    rows = session.scalars(select(tables.ProjectRow).order_by(tables.ProjectRow.name).limit(MOST_PROJECTS))
    return [_project(row, known) for row in rows]


def project(session: Session, name: str, known: list[Track]) -> Project | None:
    """Return one project; None where there is none of that name."""
    row = session.scalars(select(tables.ProjectRow).where(tables.ProjectRow.name == name)).one_or_none()
    return None if row is None else _project(row, known)


def _project(row: tables.ProjectRow, known: list[Track]) -> Project:
    recipe = _recipe(row.recipe)
    asked = known if recipe is None else [track for track in known if runs_on(recipe, _name(track))]
    return Project(
        name=row.name,
        summary=row.summary,
        url=row.url,
        registered=row.registered,
        problem=row.problem,
        source=_source(recipe.source) if recipe else "",
        contacts=recipe.project.contacts if recipe else [],
        command=recipe.test.command if recipe else [],
        deselected=[Deselected(group.tests, group.reason) for group in recipe.deselect] if recipe else [],
        tracks=[track.name for track in asked],
    )


def _name(track: Track) -> TrackName:
    return TrackName(track.branch, track.variant, track.platform)


def _recipe(text: str) -> Recipe | None:
    try:
        return Recipe.model_validate_json(text) if text else None
    except ValidationError:  # saved by another version of Pybots; the rest of the page stands
        return None


def _source(source: SourceSection) -> str:
    if source.pypi:
        return f"PyPI: {source.pypi} {source.version or '(newest release)'}"
    return f"git: {source.git} at {source.ref}" if source.git else f"folder: {source.path}"


def farm(session: Session) -> Farm:
    """Return how the farm itself does."""
    heart = session.get(tables.Heartbeat, "master")
    conditions = session.scalars(select(tables.Condition).order_by(tables.Condition.since).limit(100))
    connected = session.execute(
        select(tables.WorkerRow.connected, func.count()).group_by(tables.WorkerRow.connected)
    ).all()
    counts = {bool(row[0]): int(row[1]) for row in connected}
    return Farm(
        master_at=heart.at if heart else None,
        master_started_at=heart.started_at if heart else None,
        conditions=[Condition(row.name, row.since, row.text) for row in conditions],
        branches=_branches(session),
        waiting=_waiting(session),
        workers=sum(counts.values()),
        workers_connected=counts.get(True, 0),
    )


def _branches(session: Session) -> list[Branch]:
    rows = session.execute(
        select(tables.Branch.name, tables.Commit.sha, tables.Branch.polled_at, tables.Branch.problem)
        .outerjoin(tables.Commit, tables.Commit.id == tables.Branch.head_commit_id)
        .order_by(tables.Branch.id)
        .limit(MOST_TRACKS)
    )
    return [Branch(row.name, row.sha or "", row.polled_at, row.problem) for row in rows]


def _waiting(session: Session) -> Waiting:
    def by_state(table: type[tables.RunRow] | type[tables.InterpreterRow]) -> tuple[int, int]:
        unfinished = select(table.state, func.count()).where(table.state.in_(UNFINISHED))
        rows = session.execute(unfinished.group_by(table.state)).all()
        counts = {str(row[0]): int(row[1]) for row in rows}
        running = counts.pop("running", 0)
        return sum(counts.values()), running

    return Waiting(*by_state(tables.RunRow), *by_state(tables.InterpreterRow))


def workers(session: Session) -> list[Worker]:
    """Return every worker by name."""
    rows = session.scalars(select(tables.WorkerRow).order_by(tables.WorkerRow.name).limit(1000)).all()
    faults = _faults(session)
    return [
        Worker(
            row.name,
            row.platform,
            row.owner,
            row.connected,
            row.changed_at,
            row.doing,
            row.sandbox,
            faults[row.name],
        )
        for row in rows
    ]


def _faults(session: Session) -> defaultdict[str, list[Fault]]:
    """Return the newest entries of every worker's record, by worker."""
    fault = tables.WorkerFault
    newest = func.row_number().over(partition_by=fault.worker, order_by=fault.id.desc()).label("nth")
    numbered = select(fault.id, newest).subquery()
    query = (
        select(fault.worker, fault.at, fault.what, fault.interpreter_key, tables.RunRow.key)
        .join(numbered, numbered.c.id == fault.id)
        .outerjoin(tables.RunRow, tables.RunRow.id == fault.run_id)
        .where(numbered.c.nth <= MOST_FAULTS)
        .order_by(fault.id.desc())
    )
    found: defaultdict[str, list[Fault]] = defaultdict(list)
    for worker, at, what, interpreter, run in session.execute(query):
        found[worker].append(Fault(at, what, run or "", interpreter))
    return found


def queue(session: Session, limit: int = 200) -> Queue:
    """Return what is not finished, longest waiting first, at most *limit* of each kind."""
    row, interpreter = tables.RunRow, tables.InterpreterRow
    return Queue(
        runs=runs(session, row.state.in_(UNFINISHED), limit=limit, oldest_first=True),
        interpreters=interpreters(session, interpreter.state.in_(UNFINISHED), limit=limit, oldest_first=True),
    )


def environment(session: Session, digest: str) -> Environment | None:
    """Return a lock by its digest; None where there is none."""
    environments = tables.EnvironmentRow
    row = session.execute(
        select(
            environments.id,
            environments.digest,
            func.substr(environments.requirements, 1, MOST_TEXT).label("requirements"),
            func.substr(environments.build_constraints, 1, MOST_TEXT).label("build_constraints"),
        ).where(environments.digest == digest)
    ).one_or_none()
    if row is None:
        return None
    made_with = runs(session, tables.RunRow.environment_id == row.id, limit=50)
    return Environment(row.digest, row.requirements, row.build_constraints, made_with)


def _newest_finished() -> Select[Any]:
    """The numbers of the newest finished subject runs, one for every project and track.

    One look into `ix_runs_history` for each cell: the cost does not grow with the farm's history.
    """
    run = tables.RunRow
    newest = (
        select(run.id)
        .where(
            run.project_id == tables.ProjectRow.id,
            run.track_id == tables.Track.id,
            run.role == "subject",
            run.state == "finished",
        )
        .order_by(run.place.desc())
        .limit(1)
        .correlate(tables.ProjectRow, tables.Track)
        .scalar_subquery()
    )
    return select(newest).select_from(tables.ProjectRow).join(tables.Track, true())


def _cells(session: Session) -> dict[tuple[str, str], Cell]:
    run = tables.RunRow
    finished = select_runs().where(run.id.in_(_newest_finished())).limit(MOST_PROJECTS * MOST_TRACKS)
    unfinished = (
        select_runs()
        .where(run.state.in_(UNFINISHED), run.role == "subject")
        .order_by(run.id.desc())
        .limit(MOST_UNDER_WAY)
    )
    newest = {_where(found): found for found in map(as_run, session.execute(finished))}
    # The oldest come last and stay: what is under way is the run that will answer first.
    under_way = {_where(found): found for found in map(as_run, session.execute(unfinished))}
    return {where: Cell(newest.get(where), under_way.get(where)) for where in {*newest, *under_way}}


def _where(run: Run) -> tuple[str, str]:
    return run.project, run.track.name


def overview(session: Session, commits_each: int = 12) -> Overview:
    """Return what the first page rests on, in a number of queries that does not grow with the farm."""
    known = tracks(session)
    return Overview(
        farm=farm(session),
        projects=projects(session, known),
        tracks=known,
        cells=_cells(session),
        commits=newest_commits(session, commits_each, most=120),
    )

"""Talks to the results database about how a head stands, and tells it that no later one will come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from pybots.commands.replay.settled import HeadStanding
from pybots.database.engine import Sessions
from pybots.database.tables import (
    Branch,
    Commit,
    ComparisonRow,
    Condition,
    InterpreterRow,
    ProjectRow,
    RunRow,
    Track,
)
from pybots.interpreters.plan import TrackName
from pybots.registry.recipe import Recipe
from pybots.runs.schedule import runs_on
from pybots.runs.status import Role, State
from pybots_worker.contract import InterpreterStatus


class Watch:
    """Reads how the farm stands with *recipes*, by their projects' names."""

    def __init__(self, sessions: Sessions, branch: str, recipes: Mapping[str, Recipe]) -> None:
        self.sessions = sessions
        self.branch = branch
        self.recipes = recipes

    def standing(self, commit: str) -> HeadStanding:
        """How the farm stands while *commit* is the newest."""
        with self.sessions.reading() as session:
            head = session.scalar(
                select(Commit.sha)
                .join(Branch, Branch.head_commit_id == Commit.id)
                .where(Branch.name == self.branch)
            )
            if head != commit:
                return HeadStanding()
            found = _interpreters(session, commit)
            return HeadStanding(
                seen=True,
                interpreters={
                    track: row.status if row.state == State.FINISHED else "" for track, row in found.items()
                },
                missing=tuple(self._missing(session, found)),
                unfinished_interpreters=_count(session, InterpreterRow.state != State.FINISHED),
                unfinished_runs=_count(session, RunRow.state != State.FINISHED),
                runs=_count(session, RunRow.id.is_not(None)),
                due=_count(session, RunRow.compared == "due") + _count(session, ComparisonRow.state == "due"),
                waiting=_count(session, ComparisonRow.state == "waiting"),
            )

    def _missing(self, session: Session, found: Mapping[TrackName, InterpreterRow]) -> list[str]:
        missing = []
        for track, row in found.items():
            if row.status != InterpreterStatus.PROVEN:
                continue
            there = set(
                session.scalars(
                    select(ProjectRow.name)
                    .join(RunRow, RunRow.project_id == ProjectRow.id)
                    .where(RunRow.interpreter_id == row.id, RunRow.role == Role.SUBJECT)
                )
            )
            missing += [
                name for name, recipe in self.recipes.items() if runs_on(recipe, track) and name not in there
            ]
        return missing

    def nothing_more_comes(self, now: datetime) -> None:
        """Have whatever waits for a later head go on without one."""
        with self.sessions.writing() as session:
            session.execute(
                update(ComparisonRow)
                .where(
                    ComparisonRow.state == "waiting",
                    or_(ComparisonRow.wait_until.is_(None), ComparisonRow.wait_until > now),
                )
                .values(wait_until=now)
            )

    def troubles(self) -> list[str]:
        """What is degraded, in the farm's own words."""
        with self.sessions.reading() as session:
            return list(session.scalars(select(Condition.text).order_by(Condition.since)))


def _interpreters(session: Session, commit: str) -> dict[TrackName, InterpreterRow]:
    rows = session.execute(
        select(InterpreterRow, Branch.name, Track.variant, Track.platform)
        .join(Commit, Commit.id == InterpreterRow.commit_id)
        .join(Track, Track.id == InterpreterRow.track_id)
        .join(Branch, Branch.id == Track.branch_id)
        .where(Commit.sha == commit)
        .order_by(Track.id)
    ).all()
    return {TrackName(branch, variant, platform): row for row, branch, variant, platform in rows}


def _count(session: Session, condition: object) -> int:
    return session.scalar(select(func.count()).where(condition)) or 0  # type: ignore[arg-type]

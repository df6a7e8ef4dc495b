"""Talks to the results database about what the farm does for the demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from pybots.commands import facts
from pybots.commands.demonstration.build_phases import Phases
from pybots.commands.demonstration.stages import Standing
from pybots.commands.facts import Facts, InterpreterFact, RunFact
from pybots.database.engine import Sessions
from pybots.database.tables import Branch, Condition, Heartbeat, ProjectRow, Request
from pybots.registry.recipe import Recipe
from pybots.runs.schedule import runs_on
from pybots.runs.status import Role, State

SILENT_AFTER = timedelta(seconds=90)


class Watch:
    """Reads how the farm stands on *variants*; *since* is when this demonstration began (aware, UTC)."""

    def __init__(
        self, sessions: Sessions, operators_url: str, variants: Sequence[str], since: datetime
    ) -> None:
        self.sessions = sessions
        self.variants = variants
        self.since = since
        self._phases = Phases(operators_url)

    def ran_before(self) -> bool:
        """Whether an earlier demonstration here came to its end: there are runs, none of them unfinished."""
        known = facts.read(self.sessions)
        work: list[InterpreterFact | RunFact] = [*known.interpreters, *known.runs]
        return bool(known.runs) and all(item.state == State.FINISHED for item in work)

    def ask_to_run_again(self, now: datetime) -> None:
        """Ask the master for one more run of every project."""
        with self.sessions.writing() as session:
            session.add(Request(kind="run-again", subject="", requested_at=now))

    def standing(self, *, again: bool) -> Standing:
        """How the farm stands now; with *again*, runs from before this demonstration do not count."""
        if not self._polled():
            return Standing()
        known = facts.read(self.sessions)
        heads = newest_of_tracks(known, self.variants)
        recipes, set_aside = self._registry()
        # What was not proven runs nothing: it is a failure of its own, and nothing to wait for.
        usable = [fact for fact in heads if fact.artifact or fact.state != State.FINISHED]
        expected = [(r.project.name, fact.key) for fact in usable for r in recipes if runs_on(r, fact.track)]
        runs = newest_runs(known.runs, self.since if again else None)
        working = [(fact.key, fact.build, fact.state) for fact in heads]
        working += [(fact.key, fact.build, fact.state) for fact in runs]
        busy = [(key, build) for key, build, state in working if state == State.RUNNING]
        return Standing(tuple(heads), tuple(runs), tuple(expected), self._phases.of(busy), tuple(set_aside))

    def _polled(self) -> bool:
        with self.sessions.reading() as session:
            branches = session.scalars(select(Branch)).all()
        polled = [b for b in branches if b.head_commit_id is not None and b.polled_at is not None]
        return any(b.polled_at is not None and b.polled_at >= self.since for b in polled)

    def _registry(self) -> tuple[list[Recipe], list[tuple[str, str]]]:
        with self.sessions.reading() as session:
            rows = session.scalars(
                select(ProjectRow).where(ProjectRow.registered).order_by(ProjectRow.name)
            ).all()
        recipes = [Recipe.model_validate_json(row.recipe) for row in rows if row.recipe and not row.problem]
        return recipes, [(row.name, row.problem) for row in rows if row.problem]

    def troubles(self, now: datetime) -> list[str]:
        """What is degraded, in the farm's own words."""
        with self.sessions.reading() as session:
            said = [
                condition.text for condition in session.scalars(select(Condition).order_by(Condition.since))
            ]
            beat = session.get(Heartbeat, "master")
        if beat is not None and now - max(beat.at, self.since) > SILENT_AFTER:
            said.append(f"the master is silent since {beat.at:%H:%M:%S} UTC")
        return said


def newest_of_tracks(known: Facts, variants: Sequence[str]) -> list[InterpreterFact]:
    """The newest interpreter of each track of *variants*; an inherited one stands for its ancestor's."""
    by_key = {fact.key: fact for fact in known.interpreters}
    # They come in the order of history, so that the last of a track stays.
    newest = {str(fact.track): fact for fact in known.interpreters if fact.track.variant in variants}
    return [by_key.get(fact.inherited_from or "", fact) for fact in newest.values()]


def newest_runs(runs: Sequence[RunFact], since: datetime | None) -> list[RunFact]:
    """The newest subject run of each project on each interpreter, of those wanted from *since* on."""
    eligible = [run for run in runs if run.role == Role.SUBJECT and (since is None or run.wanted_at >= since)]
    return list({(run.project, run.interpreter): run for run in eligible}.values())

"""Interpreters that are not made: trials wanted, incidents opened, joined and closed."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from incident_world import in_memory
from pybots.database.engine import Sessions
from pybots.database.tables import InterpreterRow, InterpreterTrial, WorkerFault
from pybots.incidents.read_incidents import Incident, incidents
from pybots.incidents.store_trunk import due_interpreters, judge_interpreter
from pybots.interpreters import records
from pybots_worker.contract import Artifact, InterpreterResult, InterpreterStatus
from rows import NOW, Rows

BROKEN = "Modules/_broken.c:1:13: error: expected declaration specifiers\n"
OTHER = "Modules/_other.c:7:1: error: unknown type name 'Other'\n"
PLATFORM = "linux-x86_64-glibc"
MACHINES = {"one": "one", "two": "two"}


class Trunk:
    """A trunk whose commits are made, or not, by workers that are sound, or not."""

    def __init__(self, logs: Mapping[int, str], sick: str = "", builders: tuple[str, ...] = ("one",)) -> None:
        self.sessions: Sessions = in_memory()
        self.logs, self.sick, self.builders = logs, sick, builders
        self.built: list[tuple[str, int, str]] = []

    def want(self, *positions: int, variant: str = "default") -> None:
        with self.sessions.writing() as session:
            rows = Rows(session)
            for position in positions:
                rows.interpreter(
                    position,
                    rows.track(variant=variant),
                    state="wanted",
                    status="",
                    artifact_id=None,
                    worker="",
                )

    def live(self, rounds: int = 40) -> None:
        """Build what is wanted, and judge what ended, until nothing is wanted any more."""
        assert not all(self.step() for _ in range(rounds)), "it does not come to rest"

    def step(self) -> bool:
        """Build one, and judge what ended; False where there is nothing to do."""
        with self.sessions.reading() as session:
            wanted = records.in_state(session, ["wanted"], [PLATFORM], NOW, 50)
            due = due_interpreters(session)
        for each in wanted[:1]:
            self._build(each)
        with self.sessions.writing() as session:
            for number in due_interpreters(session):
                row = session.get_one(InterpreterRow, number)
                judge_interpreter(session, row, {PLATFORM: self.builders}, MACHINES, NOW)
        return bool(wanted or due)

    def _build(self, wanted: records.WantedInterpreter) -> None:
        worker = wanted.on_worker or next(name for name in self.builders if name not in wanted.not_on)
        position = int(wanted.commit, 16) % 1_000_000
        self.built.append((worker, position, "trial" if wanted.trial else ""))
        log = "cc: not found" if worker == self.sick else self.logs.get(position, "")
        result = InterpreterResult(
            key=wanted.key,
            status=InterpreterStatus.COMPILE_FAILED if log else InterpreterStatus.PROVEN,
            clean_build=wanted.trial,
            phases=[],
            seconds=1,
            artifact=None if log else Artifact(digest=f"{position:064x}", tree_bytes=9),
            log_tail=log,
        )
        with self.sessions.writing() as session:
            assert records.claim(session, wanted.key, worker, 1, NOW, NOW)
        with self.sessions.writing() as session:
            assert records.finish(session, result, NOW)

    def incidents(self) -> list[Incident]:
        with self.sessions.reading() as session:
            return incidents(session)

    def one(self) -> Incident:
        (only,) = self.incidents()
        return only


def test_three_commits_in_a_row_are_one_incident_until_the_fourth() -> None:
    trunk = Trunk({11: BROKEN, 12: BROKEN, 13: BROKEN})
    trunk.want(10, 11, 12, 13)
    trunk.live()
    found = trunk.one()
    assert (found.kind, found.cause, found.state) == ("trunk:compile-failed", "interpreter", "attributed")
    assert (found.project, found.members, found.tests) == (None, (), ())
    assert found.title == "main does not compile (default): error: expected declaration specifiers"
    assert (found.last_good, found.first_bad) == (f"{1_000_010:040x}", f"{1_000_011:040x}")
    assert [step.what for step in found.transitions] == [
        "opened", "confirmed", "attributed", "joined", "joined",
    ]  # fmt: skip
    assert [built for built in trunk.built if built[2]] == [("one", 11, "trial"), ("one", 10, "trial")]
    trunk.want(14)
    trunk.live()
    found = trunk.one()
    assert (found.state, found.items[0].fixed_at) == ("fixed", 14)


def test_other_variants_join_without_trials_of_their_own() -> None:
    trunk = Trunk({11: BROKEN})
    trunk.want(10, 11)
    trunk.want(10, 11, variant="debug")
    trunk.live()
    found = trunk.one()
    assert found.title.startswith("main does not compile (default, debug)")
    assert sum(built[2] == "trial" for built in trunk.built) == 2
    trunk.want(12)
    trunk.live()
    assert trunk.one().state == "attributed"
    trunk.want(12, variant="debug")
    trunk.live()
    assert trunk.one().state == "fixed"


def test_two_troubles_are_two_incidents() -> None:
    trunk = Trunk({11: BROKEN, 13: OTHER})
    trunk.want(10, 11, 12, 13, 14)
    trunk.live()
    assert [(found.state, found.first_bad) for found in trunk.incidents()] == [
        ("fixed", f"{1_000_011:040x}"),
        ("fixed", f"{1_000_013:040x}"),
    ]


def test_a_trouble_that_comes_back_is_tried_again_and_opens_the_same_incident() -> None:
    trunk = Trunk({11: BROKEN, 20: BROKEN})
    trunk.want(10, 11, 12, 19, 20)
    trunk.live()
    found = trunk.one()
    assert found.state == "attributed"
    assert [step.what for step in found.transitions][3:] == ["fixed", "reopened", "confirmed", "attributed"]
    assert sum(built[2] == "trial" for built in trunk.built) == 4


def test_a_worker_without_a_compiler_is_found_out_and_another_builds_it() -> None:
    trunk = Trunk({}, sick="one", builders=("two", "one"))
    trunk.want(10)
    trunk.live()
    trunk.builders = ("one", "two")
    trunk.want(11)
    trunk.live()
    assert trunk.incidents() == []
    assert trunk.built == [
        ("two", 10, ""), ("one", 11, ""), ("one", 11, "trial"), ("one", 10, "trial"), ("two", 11, ""),
    ]  # fmt: skip
    with trunk.sessions.reading() as session:
        fault = session.scalars(select(WorkerFault)).one()
        row = session.scalars(select(InterpreterRow).where(InterpreterRow.position == 11)).one()
    assert (fault.worker, fault.interpreter_key) == ("one", row.key)
    assert (row.status, row.worker, row.not_on) == ("proven", "two", "one")


def test_a_build_that_fails_once_says_nothing_and_is_made() -> None:
    trunk = Trunk({11: BROKEN})
    trunk.want(10, 11)
    trunk.step()
    trunk.step()
    trunk.logs = {}
    trunk.live()
    assert trunk.incidents() == []
    with trunk.sessions.reading() as session:
        row = session.scalars(select(InterpreterRow).where(InterpreterRow.position == 11)).one()
        assert (row.status, row.judged) == ("proven", "judged")
        assert session.scalars(select(InterpreterTrial)).one().status == "proven"


def test_on_a_new_track_nothing_is_said() -> None:
    trunk = Trunk({10: BROKEN})
    trunk.want(10)
    trunk.live()
    assert trunk.incidents() == []
    assert trunk.built == [("one", 10, "")]

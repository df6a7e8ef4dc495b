"""Interpreters in the results database: wanted once, claimed, finished once, inherited."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from pybots.commits.select import Selection
from pybots.database.engine import Sessions
from pybots.database.tables import Branch, BranchCommit, Commit, InterpreterRow, InterpreterTrial
from pybots.interpreters import records, store_wants
from pybots.interpreters.plan import TrackName, interpreter_key, tracks, trial_key
from pybots_worker.contract import Artifact, InterpreterResult, InterpreterStatus

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAUSES = (timedelta(seconds=29), timedelta(seconds=30))
TRACK = TrackName("main", "default", "linux-x86_64-glibc")
BUILD, INHERIT, NOT_BUILT = Selection.BUILD, Selection.INHERIT, Selection.NOT_BUILT


def sha(number: int) -> str:
    return f"{number + 1:x}".ljust(40, "0")


def history(sessions: Sessions, *selections: Selection) -> None:
    with sessions.writing() as session:
        session.add(Branch(id=1, name="main"))
        session.flush()
        for number, selection in enumerate(selections):
            session.add(
                Commit(
                    id=number + 1,
                    sha=sha(number),
                    parent_sha=sha(number - 1) if number else "",
                    author_name="A",
                    author_email="a@example.com",
                    committed_at=NOW,
                    subject="s",
                    touches="native",
                    files_changed=1,
                )
            )
            session.flush()
            session.add(BranchCommit(branch_id=1, position=number, commit_id=number + 1, selection=selection))


def rows(sessions: Sessions) -> list[InterpreterRow]:
    with sessions.reading() as session:
        return list(session.scalars(select(InterpreterRow).order_by(InterpreterRow.position)))


def proven(key: str, digest: str = "a" * 64) -> InterpreterResult:
    artifact = Artifact(digest=digest, tree_bytes=9)
    return InterpreterResult(
        key=key,
        status=InterpreterStatus.PROVEN,
        clean_build=True,
        phases=[],
        seconds=1.0,
        artifact=artifact,
    )


def test_what_is_to_be_built_is_wanted_once(sessions: Sessions) -> None:
    history(sessions, BUILD, INHERIT, NOT_BUILT, BUILD)
    with sessions.writing() as session:
        first = store_wants.want(session, [TRACK], 0, NOW)
    with sessions.writing() as session:
        again = store_wants.want(session, [TRACK], 0, NOW)
    assert first == [interpreter_key(TRACK, sha(0)), interpreter_key(TRACK, sha(3))]
    assert again == []
    assert [row.state for row in rows(sessions)] == ["wanted", "finished", "wanted"]


def test_documentation_inherits_through_documentation(sessions: Sessions) -> None:
    history(sessions, BUILD, INHERIT, INHERIT)
    with sessions.writing() as session:
        store_wants.want(session, [TRACK], 0, NOW)
    built, first, second = rows(sessions)
    assert (first.status, first.inherited_from_id) == ("inherited", built.id)
    assert second.inherited_from_id == built.id


def test_what_inherits_from_a_commit_not_built_says_so(sessions: Sessions) -> None:
    """Its parent was superseded: an older interpreter's results are not its own."""
    history(sessions, BUILD, NOT_BUILT, INHERIT)
    with sessions.writing() as session:
        store_wants.want(session, [TRACK], 0, NOW)
    inherited = rows(sessions)[-1]
    assert inherited.status == "inherited"
    assert inherited.inherited_from_id is None


def test_a_finished_interpreter_is_not_claimed_and_not_finished_again(sessions: Sessions) -> None:
    history(sessions, BUILD)
    key = interpreter_key(TRACK, sha(0))
    with sessions.writing() as session:
        store_wants.want(session, [TRACK], 0, NOW)
    with sessions.writing() as session:
        claimed = records.claim(session, key, "one", 7, NOW, NOW)
        assert claimed is not None
        assert (claimed.wanted.commit, claimed.wanted.track, claimed.attempts) == (sha(0), TRACK, 1)
    with sessions.writing() as session:
        assert records.finish(session, proven(key), NOW)
    with sessions.writing() as session:
        assert not records.finish(session, proven(key, "c" * 64), NOW)
        assert not records.finish_without_result(session, key, "farm-error", "x", NOW)
        assert records.claim(session, key, "two", 8, NOW, NOW) is None
        newest = records.newest_proven(session, 1)
    assert newest is not None
    assert newest.key == key


def test_two_commits_may_share_an_artifact(sessions: Sessions) -> None:
    history(sessions, BUILD, BUILD)
    with sessions.writing() as session:
        keys = store_wants.want(session, [TRACK], 0, NOW)
    for key in keys:
        with sessions.writing() as session:
            records.claim(session, key, "one", 1, NOW, NOW)
            records.finish(session, proven(key), NOW)
    first, second = rows(sessions)
    assert first.artifact_id == second.artifact_id is not None


def test_waiting_counts_commits_and_not_tracks(sessions: Sessions) -> None:
    history(sessions, BUILD, BUILD)
    debug = TrackName("main", "debug", TRACK.platform)
    with sessions.writing() as session:
        store_wants.want(session, [TRACK, debug], 0, NOW)
        assert store_wants.waiting(session, "main") == 2


def test_tracks_are_every_combination() -> None:
    assert len(tracks(["main", "3.15"], ["default", "debug"], ["p", "q", "p"])) == 8


def test_keys_are_safe_in_addresses() -> None:
    key = interpreter_key(TrackName("feature/x y", "default", "p"), sha(1))
    assert re.fullmatch(rf"feature-x-y-[0-9a-f]{{8}}~default~p~{sha(1)[:16]}", key)
    assert key != interpreter_key(TrackName("feature-x-y", "default", "p"), sha(1))


@pytest.mark.parametrize(
    ("new_from", "expected"),
    [(None, [3]), (3, [3]), (2, [2, 3]), (0, [0, 2, 3])],
)
def test_a_track_that_is_new_does_not_build_all_of_history(
    sessions: Sessions, new_from: int | None, expected: list[int]
) -> None:
    history(sessions, BUILD, INHERIT, BUILD, BUILD)
    with sessions.writing() as session:
        wanted = store_wants.want(session, [TRACK], new_from, NOW)
    assert wanted == [interpreter_key(TRACK, sha(number)) for number in expected]


def test_an_attempt_that_ended_with_the_master_is_not_counted(sessions: Sessions) -> None:
    """An operator who restarts the master three times must not lose the commit."""
    history(sessions, BUILD)
    key = interpreter_key(TRACK, sha(0))
    with sessions.writing() as session:
        store_wants.want(session, [TRACK], 0, NOW)
    attempts = []
    for hours, began in ((0, 0), (1, 0), (2, 2), (3, 3)):
        with sessions.writing() as session:
            life, now = NOW + timedelta(hours=began), NOW + timedelta(hours=hours)
            claimed = records.claim(session, key, "one", hours, life, now)
            assert claimed is not None
            attempts.append(claimed.attempts)
    assert attempts == [1, 2, 2, 2]


def test_what_failed_for_the_farms_own_reasons_is_wanted_again_while_attempts_remain(
    sessions: Sessions,
) -> None:
    history(sessions, BUILD)
    key = interpreter_key(TRACK, sha(0))
    with sessions.writing() as session:
        store_wants.want(session, [TRACK], 0, NOW)
        assert not records.release(session, key, 2, NOW), "nobody works on it"
        for expected in (True, False):
            records.claim(session, key, "one", 1, NOW, NOW)
            assert records.release(session, key, 2, NOW) is expected
            due = [
                len(records.in_state(session, ["wanted"], [TRACK.platform], NOW + wait, 9)) for wait in PAUSES
            ]
            assert due == [0, int(expected)]


def test_what_is_built_again_is_not_superseded(sessions: Sessions) -> None:
    """Runs, trials and incidents rest on it."""
    history(sessions, BUILD, BUILD, BUILD)
    with sessions.writing() as session:
        keys = store_wants.want(session, [TRACK], 0, NOW)
        records.claim(session, keys[0], "one", 1, NOW, NOW)
        records.finish(session, proven(keys[0]), NOW)
        made = session.scalars(select(InterpreterRow).where(InterpreterRow.key == keys[0])).one()
        records.want_again(session, made, NOW)
        assert store_wants.supersede(session, "main", before=2) == 1
    assert [(row.position, row.state) for row in rows(sessions)] == [(0, "wanted"), (2, "wanted")]


def test_a_trial_is_claimed_and_finished_by_its_key(sessions: Sessions) -> None:
    history(sessions, BUILD)
    with sessions.writing() as session:
        (key,) = store_wants.want(session, [TRACK], 0, NOW)
        records.finish_without_result(session, key, "compile-failed", "no", NOW)
        made = session.scalars(select(InterpreterRow)).one()
        assert made.judged == "due"
        made.judged = "judged"
        trial = InterpreterTrial(
            key=trial_key(key, 0), subject_id=made.id, interpreter_id=made.id, role="confirmation",
            on_worker="one", state="wanted", wanted_at=NOW,
        )  # fmt: skip
        session.add(trial)
        session.flush()
        (wanted,) = records.in_state(session, ["wanted"], [TRACK.platform], NOW, 9)
        assert (wanted.key, wanted.commit, wanted.trial, wanted.on_worker) == (trial.key, sha(0), True, "one")
        records.mark_requested(session, [trial.key])
        assert records.claim(session, trial.key, "one", 1, NOW, NOW)
        assert records.release(session, trial.key, 3, NOW)
        assert records.claim(session, trial.key, "one", 2, NOW, NOW)
        assert records.finish(session, proven(trial.key), NOW)
        assert not records.finish(session, proven(trial.key), NOW)
    with sessions.reading() as session:
        trial = session.scalars(select(InterpreterTrial)).one()
        made = session.scalars(select(InterpreterRow)).one()
    assert (trial.state, trial.status, trial.attempts) == ("finished", "proven", 2)
    assert (made.status, made.judged, made.artifact_id) == ("compile-failed", "due", None)


def test_what_waits_is_superseded_and_what_runs_is_not(sessions: Sessions) -> None:
    history(sessions, BUILD, BUILD, INHERIT, BUILD)
    with sessions.writing() as session:
        keys = store_wants.want(session, [TRACK], 0, NOW)
        records.claim(session, keys[0], "one", 1, NOW, NOW)
        records.mark_requested(session, [keys[1]])
        assert store_wants.supersede(session, "main", before=3) == 1
    running, inherited, newest = rows(sessions)
    assert (running.state, newest.state) == ("running", "wanted")
    assert inherited.inherited_from_id is None
    with sessions.reading() as session:
        selections = [
            row.selection for row in session.scalars(select(BranchCommit).order_by(BranchCommit.position))
        ]
    assert selections == ["build", "not-built", "inherit", "build"]
    with sessions.writing() as session:
        assert store_wants.want(session, [TRACK], None, NOW) == [], "it does not come back"
        assert records.claim(session, keys[1], "one", 1, NOW, NOW) is None

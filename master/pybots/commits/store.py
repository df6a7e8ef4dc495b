"""Saves commits and their places on branches in the results database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pybots.commits.history import CommitFacts
from pybots.commits.select import Selection
from pybots.database.tables import Branch, BranchCommit, Commit

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class TakenIn:
    """A commit that a branch has now and had not before."""

    commit_id: int
    sha: str
    position: int
    selection: Selection


def head_of(session: Session, branch: str) -> str | None:
    """Return the newest commit that *branch* was seen at, or None before the first."""
    return session.scalar(
        select(Commit.sha).join(Branch, Branch.head_commit_id == Commit.id).where(Branch.name == branch)
    )


def take_in(
    session: Session,
    branch: str,
    facts: Sequence[CommitFacts],
    selections: Sequence[tuple[str, Selection]],
    now: datetime,
) -> list[TakenIn]:
    """Append *facts* (oldest first) to *branch* and make the last its head; return those that it had not yet.

    *selections* names every commit of *facts*, as `commits.select.select` returns them. A commit keeps its
    position for good: taking the same commits in again changes nothing, and those of a rewritten branch stay.
    """
    row = _branch(session, branch)
    row.polled_at = now
    row.problem = ""
    ids = _commit_ids(session, facts)
    chosen = dict(selections)
    present = _present(session, row.id, list(ids.values()))
    last = session.scalar(select(func.max(BranchCommit.position)).where(BranchCommit.branch_id == row.id))
    new = [fact for fact in facts if ids[fact.sha] not in present]
    taken = [
        TakenIn(ids[fact.sha], fact.sha, position, chosen[fact.sha])
        for position, fact in enumerate(new, 0 if last is None else last + 1)
    ]
    session.add_all(_branch_commit(row.id, commit) for commit in taken)
    if facts:
        row.head_commit_id = ids[facts[-1].sha]
    session.flush()
    return taken


def rewind(session: Session, branch: str, sha: str | None) -> None:
    """After a force push, make *sha* (or nothing) the head of *branch*, and keep its history."""
    row = _branch(session, branch)
    row.head_commit_id = session.scalar(select(Commit.id).where(Commit.sha == sha)) if sha else None


def note_problem(session: Session, branch: str, problem: str, now: datetime) -> None:
    """Save why *branch* could not be polled at *now*."""
    row = _branch(session, branch)
    row.polled_at = now
    row.problem = problem


def _branch(session: Session, name: str) -> Branch:
    row = session.scalar(select(Branch).where(Branch.name == name))
    if row is None:
        row = Branch(name=name)
        session.add(row)
        session.flush()
    return row


def _commit_ids(session: Session, facts: Sequence[CommitFacts]) -> dict[str, int]:
    """Save the commits that no branch brought before; return the ids of all."""
    known = _known_ids(session, facts)
    session.add_all(
        _commit(fact) for fact in {fact.sha: fact for fact in facts}.values() if fact.sha not in known
    )
    session.flush()
    return _known_ids(session, facts)


def _known_ids(session: Session, facts: Sequence[CommitFacts]) -> dict[str, int]:
    known: dict[str, int] = {}
    # SQLite and PostgreSQL both bound how many values a statement may have.
    for start in range(0, len(facts), 500):
        shas = [fact.sha for fact in facts[start : start + 500]]
        rows = session.execute(select(Commit.sha, Commit.id).where(Commit.sha.in_(shas)))
        known.update((sha, key) for sha, key in rows)
    return known


def _present(session: Session, branch_id: int, commit_ids: Sequence[int]) -> set[int]:
    present: set[int] = set()
    for start in range(0, len(commit_ids), 500):
        some = commit_ids[start : start + 500]
        present |= set(
            session.scalars(
                select(BranchCommit.commit_id).where(
                    BranchCommit.branch_id == branch_id, BranchCommit.commit_id.in_(some)
                )
            )
        )
    return present


def _commit(fact: CommitFacts) -> Commit:
    return Commit(
        sha=fact.sha,
        parent_sha=fact.parent_sha,
        author_name=fact.author_name,
        author_email=fact.author_email,
        committed_at=fact.committed_at,
        subject=fact.subject,
        touches=fact.touches,
        files_changed=fact.files_changed,
    )


def _branch_commit(branch_id: int, commit: TakenIn) -> BranchCommit:
    return BranchCommit(
        branch_id=branch_id, position=commit.position, commit_id=commit.commit_id, selection=commit.selection
    )


def name_releases(session: Session, releases: Mapping[str, str]) -> None:
    """Note which known commits are releases: *releases* are all tags there are, by their commits' shas."""
    shas = list(releases)
    for start in range(0, max(len(shas), 1), _AT_ONCE):
        here = shas[start : start + _AT_ONCE]
        for commit in session.scalars(select(Commit).where(Commit.sha.in_(here))):
            if commit.release != releases[commit.sha]:
                commit.release = releases[commit.sha]
    # A tag that was taken back, or moved.
    for commit in session.scalars(select(Commit).where(Commit.release != "")):
        commit.release = releases.get(commit.sha, "")

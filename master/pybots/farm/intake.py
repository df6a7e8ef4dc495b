"""Takes a branch's new commits in: classify, select, and save commits and wants in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pybots.commits import store
from pybots.commits.history import CommitFacts
from pybots.commits.mirror import BranchRewritten, Mirror
from pybots.commits.select import NewCommit, Selection, select, superseded_before
from pybots.config.model import FarmConfiguration
from pybots.database.engine import Sessions
from pybots.farm.parts import all_tracks
from pybots.interpreters import store_wants

COMMITS_AT_ONCE = 500
"""More new commits than this are taken in over several rounds..."""
COMMITS_TO_A_HEAD = 100_000
"""... but where heads alone are built, all up to the head have to be known at once."""


def take_in_branch(
    sessions: Sessions, mirror: Mirror, configuration: FarmConfiguration, branch: str, now: datetime
) -> int:
    """Take in what is new on *branch* of the fetched *mirror*; return how many commits were new."""
    with sessions.reading() as session:
        known = store.head_of(session, branch)
        waiting = store_wants.waiting(session, branch)
    at_once = COMMITS_TO_A_HEAD if configuration.trunk.heads_only else COMMITS_AT_ONCE
    limit = at_once if known else configuration.trunk.first_commits
    try:
        facts = mirror.new_commits(branch, known, limit)
    except BranchRewritten as rewritten:
        # What the two histories share stays; what came after it was another history's, and is kept as seen.
        with sessions.writing() as session:
            store.rewind(session, branch, rewritten.fork)
        known = rewritten.fork
        facts = mirror.new_commits(branch, known, at_once if known else limit)
    names = [name for name in all_tracks(configuration) if name.branch == branch]
    beyond, heads_only = configuration.trunk.newest_only_beyond, configuration.trunk.heads_only
    selections = choose(facts, known is None, waiting, beyond, heads_only=heads_only)
    new = [NewCommit(fact.sha, fact.touches) for fact in facts]
    newest = superseded_before(new, waiting=waiting, newest_only_beyond=0 if heads_only else beyond)
    with sessions.writing() as session:
        taken = store.take_in(session, branch, facts, selections, now)
        for commit in taken:
            if commit.sha == newest:
                store_wants.supersede(session, branch, before=commit.position)
        store_wants.want(session, names, taken[0].position if taken else None, now)
    return len(facts)


def choose(
    facts: Sequence[CommitFacts],
    first_seen: bool,
    waiting: int,
    newest_only_beyond: int,
    *,
    heads_only: bool = False,
) -> list[tuple[str, Selection]]:
    """Return what happens to each of *facts*; the first commits of a new branch must have one that is built."""
    selections = select(
        [NewCommit(fact.sha, fact.touches) for fact in facts],
        waiting=waiting,
        newest_only_beyond=newest_only_beyond,
        heads_only=heads_only,
    )
    if first_seen and selections and not any(kind is Selection.BUILD for _, kind in selections):
        # Documentation alone, and nothing before it from which it could inherit.
        selections[0] = (selections[0][0], Selection.BUILD)
    return selections

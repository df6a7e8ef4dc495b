"""A worker's record: what it was seen to do wrong."""

from __future__ import annotations

from datetime import timedelta

from rich.console import Console

from pybots.commands import show_tables
from pybots.database.engine import Sessions
from pybots.database.tables import WorkerFault, WorkerRow
from pybots.site import read_farm
from rows import NOW, Rows


def test_the_newest_of_it_is_shown(sessions: Sessions) -> None:
    with sessions.writing() as session:
        run = Rows(session).run(1, key="attrs~1")
        for name in ("one", "two"):
            session.add(WorkerRow(name=name, platform="linux", connected=True, changed_at=NOW))
        for number in range(25):
            at = NOW + timedelta(minutes=number)
            session.add(WorkerFault(worker="one", at=at, run_id=run.id, what=f"fault {number}"))
    with sessions.reading() as session:
        one, two = read_farm.workers(session)
    assert [fault.what for fault in one.faults] == [f"fault {number}" for number in range(24, 4, -1)]
    assert one.faults[0].run == "attrs~1"
    assert two.faults == []
    console = Console(width=200, record=True)
    console.print(show_tables.workers([one, two], NOW + timedelta(minutes=26)))
    assert "2 minutes ago: fault 24 (and 19 before)" in console.export_text()

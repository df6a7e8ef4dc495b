from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.orm import Session

from pybots.database.engine import open_engine
from pybots.database.migrate import DatabaseError, migrate
from pybots.database.tables import Base
from rows import Rows


@pytest.fixture
def engine(databases: Any) -> Iterator[Engine]:
    engine = open_engine(databases.empty())
    yield engine
    engine.dispose()


def test_migrated_tables_are_those_of_the_code(engine: Engine) -> None:
    """When this fails, tables.py was changed: see the docstring of migrations/regenerate.py."""
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_second_time_nothing_is_changed(engine: Engine) -> None:
    migrate(engine)
    with Session(engine) as session, session.begin():
        Rows(session).run()
    migrate(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM runs")) == 1


def test_a_database_of_a_newer_version_is_refused(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        DatabaseError, match="revision 9999, and the newest that this version of Pybots knows"
    ):
        migrate(engine)


def test_tables_of_unknown_origin_are_refused(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    with pytest.raises(DatabaseError, match="no migration of Pybots made"):
        migrate(engine)


def test_a_revision_that_breaks_leaves_nothing_behind(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE requests (id INTEGER)"))
    with pytest.raises(Exception, match="requests"):
        migrate(engine)
    assert inspect(engine).get_table_names() == ["requests"]


def test_processes_that_start_together(databases: Any) -> None:
    url = databases.empty()
    program = (
        "import sys; from pybots.database.engine import open_engine;"
        "from pybots.database.migrate import migrate;"
        "sys.stdin.readline(); migrate(open_engine(sys.argv[1]))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, url], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in started:  # all have imported what they need, or are about to
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    problems = [process.communicate(timeout=60)[1].decode() for process in started]
    assert problems == ["", "", ""]
    engine = open_engine(url)
    assert inspect(engine).has_table("runs")
    engine.dispose()


def test_revisions_are_found_beside_the_package(tmp_path: Path) -> None:
    """As in an installed wheel: nothing of the checkout is looked at."""
    package = Path(sys.modules["pybots.database.migrate"].__file__ or "").parents[1]
    shutil.copytree(package, tmp_path / "installed" / "pybots", ignore=shutil.ignore_patterns("__pycache__"))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import pybots.database.migrate as m;"
        "assert m.__file__.startswith(sys.argv[1]), m.__file__;"
        "from pybots.database.engine import open_engine; m.migrate(open_engine(sys.argv[2]))"
    )
    url = f"sqlite:///{tmp_path / 'results.sqlite'}"
    arguments = [sys.executable, "-c", program, str(tmp_path / "installed"), url]
    done = subprocess.run(arguments, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")

"""The site stays up whatever state the rest is in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pybots.database.engine import Sessions, open_engine
from pybots.database.tables import Heartbeat


def test_without_a_database_it_says_that_the_farm_has_not_started(serve: Any, tmp_path: Path) -> None:
    client = serve(Sessions(open_engine(f"sqlite:///{tmp_path}/none.sqlite")))
    assert "The farm has not started yet." in client.get("/").text
    assert client.get("/api/status").json()["started"] is False
    assert client.get("/healthz").json() == {"site": "ok", "database": "not-started", "master": "unknown"}
    for address in ("/queue", "/run/x", "/api/runs", "/api/projects"):
        assert client.get(address).status_code == 503
    assert list(tmp_path.iterdir()) == [], "looking must not make a database"


def test_a_database_without_tables_is_not_started_either(serve: Any, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/empty.sqlite")
    engine.connect().close()
    assert "has not started" in serve(Sessions(engine)).get("/").text
    engine.dispose()


def test_it_comes_up_once_the_farm_has_started(serve: Any, tmp_path: Path) -> None:
    from pybots.database.tables import Base

    engine = open_engine(f"sqlite:///{tmp_path}/later.sqlite")
    client = serve(Sessions(engine))
    assert "has not started" in client.get("/").text
    Base.metadata.create_all(engine)
    assert "no project is registered yet" in client.get("/").text
    engine.dispose()


@pytest.mark.parametrize(
    "breaks", ["DROP TABLE conditions", "ALTER TABLE runs RENAME COLUMN worker TO machine"]
)
def test_a_database_of_another_version_is_said_to_be_unreadable(
    serve: Any, sessions: Sessions, breaks: str
) -> None:
    with sessions.writing() as session:
        session.execute(text(breaks))
    client = serve(sessions)
    answer = client.get("/")
    assert answer.status_code == 503
    assert "cannot be read" in answer.text
    assert client.get("/healthz").json()["database"] == "unreadable"
    assert "cannot be read" in client.get("/api/status").json()["detail"]


def test_a_file_that_is_no_database(serve: Any, tmp_path: Path) -> None:
    broken = tmp_path / "results.sqlite"
    broken.write_bytes(b"this is no database at all, " * 100)
    assert serve(Sessions(open_engine(f"sqlite:///{broken}"))).get("/").status_code == 503


def test_a_dead_master_leaves_the_page_up(serve: Any, sessions: Sessions, site_rows: Any) -> None:
    with sessions.writing() as session:
        site_rows.fill(session)
        session.get_one(Heartbeat, "master").at = site_rows.minutes(17)
    client = serve(sessions)
    for address in ("/", "/project/click", "/queue"):
        page = client.get(address)
        assert page.status_code == 200
        assert "The master has been silent for 17 minutes" in page.text
        assert 'datetime="2026-11-22T14:13:00Z"' in page.text
    assert client.get("/api/status").json()["master"] == "silent"


def test_degraded_conditions_and_recipes_set_aside_are_on_the_first_page(
    serve: Any, sessions: Sessions, site_rows: Any
) -> None:
    problem = "projects/requests.toml:14: unknown key 'comand'; the nearest known one is 'command'"
    with sessions.writing() as session:
        site_rows.fill(session)
        rows = site_rows.SiteRows(session)
        rows.condition("configuration", "farm.toml:12: unknown key", site_rows.minutes(90))
        rows.project("requests", problem=problem, recipe="", registered=False)
    page = serve(sessions).get("/").text
    for said in (
        "Configuration",
        "farm.toml:12: unknown key",
        "A recipe is set aside",
        "projects/requests.toml:14",
    ):
        assert said in page


def test_a_mistake_of_the_site_shows_nothing_of_its_inside(
    serve: Any, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pybots.site import read_farm

    def broken(_session: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(read_farm, "workers", broken)
    answer = serve(sessions).get("/workers")
    assert answer.status_code == 500
    assert "The site made a mistake" in answer.text
    assert "secret" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_site_does_not_need_buildbot() -> None:
    script = "import sys; sys.modules.update(buildbot=None, twisted=None, buildbot_worker=None)\n"
    script += (
        "import pybots.site.application, pybots.site.read_folder, pybots.commands.site, pybots.commands.show"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_an_account_that_may_only_read_is_told_what_it_needs(sessions: Sessions) -> None:
    """Root may write everywhere but on a file system that is read-only; the master is gone, and its log with it."""
    if sessions.engine.dialect.name == "postgresql":
        return
    sessions.engine.dispose()
    folder = Path(str(sessions.engine.url.database)).parent
    assert [path.name for path in folder.iterdir()] == ["results.sqlite"]
    program = (
        "import sys; from pybots.database.engine import Sessions, open_engine; from pybots.site.open import reading;"
        "from pybots.site.read_farm import queue; reading(Sessions(open_engine(sys.argv[1])), queue)"
    )
    sandbox = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", str(folder), str(folder), "--"]
    command = [*sandbox, sys.executable, "-c", program, str(sessions.engine.url)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert f"may not write in {folder}" in done.stderr

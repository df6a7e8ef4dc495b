"""Pages over a database that is as full as a small farm's."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import event

from pybots.database.engine import Sessions


def key_of(client: Any, **wanted: str) -> dict[str, Any]:
    found = client.get(f"/api/runs?project={wanted.pop('project')}&limit=200").json()
    return next(run for run in found if all(run[name] == value for name, value in wanted.items()))


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_the_first_page_says_how_things_stand(client: Any) -> None:
    text = text_of(client.get("/").text)
    assert "6 of the 9 newest runs passed; 1 had failing tests, 1 timed out and 1 failed to install." in text
    assert "The newest result came 4 minutes ago." in text
    assert "1 interpreter and 2 runs waiting or running. 2 of 3 workers connected." in text
    assert "Master heard of 4 seconds ago" in text


@pytest.mark.parametrize(
    "said",
    [
        "tests failed 3 of 1,346 tests",
        "timed out 9,120 tests reported",
        "install failed",
        "not asked for",
        "passed 12,873 tests 99ecd36 · 5 hours ago · another running",
        "1,411 tests",
        "inherited from 6ee34ae859 default , debug",
        "not built",
        "compile failed debug",
        "being built debug",
    ],
)
def test_the_first_page_shows(client: Any, said: str) -> None:
    assert said in text_of(client.get("/").text)


def test_a_project_has_its_runs_newest_first_and_what_it_leaves_out(client: Any) -> None:
    text = text_of(client.get("/project/twisted").text)
    assert "main · default · linux-x86_64-glibc" in text
    runs = text[text.index("Runs, newest first") :]
    assert runs.index("12,873 tests") > runs.index("running")
    assert "twisted.test.test_udp.MulticastTests.test_joinLeave" in text
    assert "which the sandbox does not let it do" in text
    assert "maintainers@twisted.example.org" in text


def test_a_run_says_what_failed_and_where_it_ran(client: Any) -> None:
    run = key_of(client, project="click", status="tests-failed")
    page = client.get(f"/run/{run['key']}")
    text = text_of(page.text)
    assert page.status_code == 200
    assert "The suite ran to its end, and some tests failed." in text
    assert "1,321 passed 3 failed 22 skipped" in text
    assert "tests/test_commands.py::test_usage_is_capitalised" in text
    assert "assert result.output == EXPECTED" in text
    assert f"/environment/{run['environment']}" in page.text
    assert "--junit-xml={report}" in text
    assert 'id="L23"' in page.text
    assert "3 failed, 1321 passed, 22 skipped in 41.70s" in text


def test_a_log_is_there_as_plain_text_and_by_lines(client: Any) -> None:
    run = key_of(client, project="click", status="tests-failed")
    plain = client.get(f"/run/{run['key']}/log")
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert (
        plain.text.splitlines()[19]
        == "FAILED tests/test_commands.py::test_help_of_nested_group - AssertionError"
    )
    lines = client.get(f"/run/{run['key']}/lines?first=22").text
    assert 'id="L22"' in lines
    assert 'id="L21"' not in lines
    assert client.get(f"/run/{run['key']}/lines?first=junk").status_code == 200


def test_an_interpreter_has_its_proof(client: Any) -> None:
    run = key_of(client, project="click", status="tests-failed")
    text = text_of(client.get(f"/interpreter/{run['interpreter']}").text)
    for said in (
        "proven",
        "dbm.gnu",
        "libgdbm-dev",
        "sqlite3",
        "extension",
        "231 MB",
        "Runs made with it",
        "attrs",
    ):
        assert said in text


def test_interpreters_say_what_failed_and_what_they_inherit(client: Any) -> None:
    found = client.get("/api/interpreters?limit=200").json()
    failed = next(made for made in found if made["status"] == "compile-failed")
    page = client.get(f"/interpreter/{failed['key']}").text
    assert "error: &#39;stackref&#39; undeclared" in page
    assert "after the incremental build had failed" in page
    inherited = next(made for made in found if made["status"] == "inherited")
    page = client.get(f"/interpreter/{inherited['key']}").text
    assert f"/interpreter/{inherited['inherited_from']}" in page


def test_a_commit_by_its_whole_name_or_its_beginning(client: Any) -> None:
    newest = client.get("/api/commits?limit=1").json()[0]["sha"]
    for name in (newest, newest[:7], newest[:10].upper()):
        assert newest in client.get(f"/commit/{name}").text
    for name in (newest[:6], "zzzzzzz", "%25%25%25%25%25%25%25", "0" * 40, "0" * 4000):
        assert client.get(f"/commit/{name}").status_code == 404


def test_queue_workers_environment(client: Any) -> None:
    queue = text_of(client.get("/queue").text)
    assert "1 interpreter and 2 runs not finished" in queue
    workers = text_of(client.get("/workers").text)
    assert "2 of 3 workers connected" in workers
    assert "pegasus-1" in workers
    run = key_of(client, project="click", status="tests-failed")
    assert "pytest==9.2.0" in client.get(f"/environment/{run['environment']}").text


@pytest.mark.parametrize(
    "address",
    [
        "/nothing",
        "/project/nobody",
        "/run/no~run",
        "/run/a/b/c",
        "/run/x/log",
        "/run/x/lines",
        "/interpreter/none",
        "/environment/00",
        "/static/../application.py",
        "/static/%2e%2e/api.py",
        "/run/%00",
        "/project/%ff",
    ],
)
def test_what_is_not_there(client: Any, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_times_can_be_read_by_machines_and_people(client: Any) -> None:
    page = client.get("/").text
    assert (
        '<time datetime="2026-11-22T14:26:00Z" title="2026-11-22 14:26:00 UTC">4 minutes ago</time>' in page
    )


PAGES = (
    "/",
    "/project/click",
    "/commits",
    "/queue",
    "/workers",
    "/api",
    "/nothing",
    "/healthz",
    "/api/status",
)


@pytest.mark.parametrize("address", PAGES)
def test_every_answer_forbids_what_the_site_does_not_do(client: Any, address: str) -> None:
    answer = client.get(address)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("address", PAGES[:7])
def test_no_page_needs_anything_from_elsewhere(client: Any, address: str) -> None:
    page = client.get(address).text
    assert not re.search(r'(?:src|href)="(?:https?:)?//(?!click\.example\.org)', page)
    assert not re.search(r"\sstyle=|\son[a-z]+=|<script>|<style", page)


def test_the_site_answers_head_and_refuses_to_be_written_to(client: Any) -> None:
    assert client.ask("HEAD", "/").status_code == 200
    assert client.ask("POST", "/").status_code == 405
    assert client.ask("DELETE", "/api/runs").status_code == 405


def queries(serve: Any, sessions: Sessions, address: str) -> int:
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    client = serve(sessions)
    event.listen(sessions.engine, "before_cursor_execute", count)
    try:
        assert client.get(address).status_code == 200
    finally:
        event.remove(sessions.engine, "before_cursor_execute", count)
    return len(statements)


@pytest.mark.parametrize("address", ["/", "/api/projects", "/api/status"])
def test_a_larger_farm_takes_no_more_queries(
    serve: Any, sessions: Sessions, site_rows: Any, address: str
) -> None:
    seen = []
    for size in (2, 40):
        with sessions.writing() as session:
            grow(site_rows.SiteRows(session), site_rows, size)
        seen.append(queries(serve, sessions, address))
    assert seen[0] == seen[1]
    assert seen[0] < 16


def grow(rows: Any, site_rows: Any, size: int) -> None:
    """Add *size* projects on as many tracks as make the grid 12 wide in the end, each with two runs."""
    branch = rows.branch(f"branch-{size}")
    commit = rows.commit(branch, size, sha=site_rows.sha(size), subject="s")
    for number in range(2 if size == 2 else 10):
        made = rows.interpreter(rows.track(branch, f"v{number}"), commit, size, key=f"{size}~{number}")
        for name in range(size):
            project = rows.session.query(site_rows.t.ProjectRow).filter_by(name=f"p{name}").one_or_none()
            project = project or rows.project(f"p{name}")
            rows.run(project, made)
            rows.run(project, made, "wanted", serial=1)


def test_the_grid_shows_the_newest_subject_run_alone(serve: Any, sessions: Sessions, site_rows: Any) -> None:
    with sessions.writing() as session:
        rows = site_rows.SiteRows(session)
        branch = rows.branch()
        track = rows.track(branch)
        older, newer = (rows.interpreter(track, rows.commit(branch, n), n) for n in (1, 2))
        project = rows.project("click")
        newest = rows.run(project, newer, "crashed")
        rows.run(project, older, "passed")  # finished later, but of an older commit
        rows.run(project, newer, "passed", serial=1, role="control")
        assert newest.key
        expected = newest.key
    standing = serve(sessions).get("/api/projects").json()[0]
    assert [run["key"] for run in standing["newest"]] == [expected]

"""Everything that a project, a worker or a commit's author may write, at its worst."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pybots.database.engine import Sessions

EVIL = "\"'><script>alert(1)</script>{{ 7*7 }}\u202eevil\x1b[2J\x00\u2066"


@pytest.fixture
def evil(serve: Any, sessions: Sessions, site_rows: Any) -> tuple[Any, dict[str, str]]:
    with sessions.writing() as session:
        rows = site_rows.SiteRows(session)
        rows.heartbeat()
        branch = rows.branch(f"main{EVIL}", problem=EVIL)
        commit = rows.commit(
            branch, 1, subject=EVIL, author_name=EVIL, touches=EVIL[:40], selection=EVIL[:40]
        )
        track = rows.track(branch, EVIL[:60], EVIL[:60])
        proof = site_rows.PROOF | {"version": EVIL, "modules": [EVIL], "checks": {EVIL: EVIL}}
        proof["missing"] = [{"module": EVIL, "package": EVIL, "error": EVIL}]
        made = rows.interpreter(
            track, commit, 1, key=f"i{EVIL}", detail=EVIL, worker=EVIL, log_tail=EVIL, proof=json.dumps(proof),
            phases=json.dumps([{"name": EVIL, "seconds": 1, "succeeded": False}]),
        )  # fmt: skip
        recipe = site_rows.recipe_of("evil", deselect=[{"tests": [EVIL], "reason": EVIL}])
        recipe["project"]["contacts"] = [EVIL]
        project = rows.project(
            f"p{EVIL}", summary=EVIL, url="javascript:alert(1)", problem=EVIL, recipe=json.dumps(recipe)
        )
        lock = rows.environment("evil")
        lock.requirements = lock.build_constraints = EVIL
        run = rows.run(
            project, made, "tests-failed", key=f"r{EVIL}", detail=EVIL, revision=EVIL, worker=EVIL, failed=1,
            environment_id=lock.id, specification=json.dumps({"command": [EVIL]}),
        )  # fmt: skip
        rows.failing(run, f"t{EVIL}", EVIL, f"{EVIL}\n{'x' * 100_000}")
        rows.log(run, f"{EVIL}\n{'y' * 100_000}\n")
        rows.condition(EVIL, EVIL, site_rows.minutes(3))
        rows.worker(EVIL[:90], owner=EVIL, doing=EVIL, platform=EVIL[:60])
        from urllib.parse import quote

        keys = {"run": quote(run.key, safe=""), "interpreter": quote(made.key, safe="")}
        keys |= {"project": quote(project.name, safe=""), "commit": commit.sha, "environment": lock.digest}
    return serve(sessions), keys


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/project/{project}",
        "/run/{run}",
        "/run/{run}/lines",
        "/interpreter/{interpreter}",
        "/commit/{commit}",
        "/environment/{environment}",
        "/workers",
        "/queue",
        "/commits",
        "/nothing/%3Cscript%3E",
    ],
)
def test_no_page_lets_it_through(evil: tuple[Any, dict[str, str]], address: str) -> None:
    client, keys = evil
    answer = client.get(address.format(**keys))
    assert answer.status_code == (404 if "nothing" in address else 200)
    page = answer.text
    assert page.count("<script") == 1, "the page's own"
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page)
    assert "javascript:" not in re.sub(r">[^<]*<", "><", page)
    assert "49evil" not in page
    assert max(map(len, page.splitlines())) < 8000


def test_a_plain_log_is_bounded_and_visible(evil: tuple[Any, dict[str, str]]) -> None:
    client, keys = evil
    answer = client.get(f"/run/{keys['run']}/log")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "\x1b" not in answer.text
    assert "… (98,000 more characters)" in answer.text


@pytest.mark.parametrize(
    "address", ["/api/projects", "/api/runs", "/api/runs/{run}", "/api/interpreters/{interpreter}"]
)
def test_the_api_gives_what_was_written(evil: tuple[Any, dict[str, str]], address: str) -> None:
    client, keys = evil
    answer = client.get(address.format(**keys))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"


def test_a_recipe_of_another_version_leaves_its_page_standing(
    serve: Any, sessions: Sessions, site_rows: Any
) -> None:
    with sessions.writing() as session:
        site_rows.SiteRows(session).project("click", recipe='{"schema_version": 9}')
    assert serve(sessions).get("/project/click").status_code == 200

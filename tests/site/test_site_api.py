from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pybots.site.api import parse_track
from pybots.site.facts import Track

DOCUMENT = Path(__file__).parents[2] / "docs/reference/api.md"


def test_runs_are_paged_by_number(client: Any) -> None:
    first = client.get("/api/runs?limit=10").json()
    second = client.get(f"/api/runs?limit=10&before={first[-1]['number']}").json()
    numbers = [run["number"] for run in first + second]
    assert len(numbers) == 20
    assert numbers == sorted(set(numbers), reverse=True)


def test_runs_of_a_project_on_a_track(client: Any) -> None:
    found = client.get("/api/runs?project=click&track=main/debug/linux-x86_64-glibc").json()
    assert {(run["project"], run["track"]["variant"]) for run in found} == {("click", "debug")}
    assert client.get("/api/runs?project=nobody").json() == []


def test_one_run_has_its_failing_tests(client: Any) -> None:
    found = client.get("/api/runs?project=click").json()
    key = next(run["key"] for run in found if run["status"] == "tests-failed")
    details = client.get(f"/api/runs/{key}").json()
    assert [test["test"].split("::")[1] for test in details["failing"]] == [
        "test_group_without_command",
        "test_help_of_nested_group",
        "test_usage_is_capitalised",
    ]
    assert details["failing_total"] == 3
    assert details["run"]["counts"]["failed"] == 3
    assert [phase["name"] for phase in details["phases"]] == [
        "fetch",
        "environment",
        "install",
        "suite",
        "report",
    ]


def test_the_grid_in_one_answer(client: Any) -> None:
    standings = {at["project"]["name"]: at for at in client.get("/api/projects").json()}
    assert [run["status"] for run in standings["django"]["newest"]] == ["timed-out"]
    assert sorted(run["state"] for run in standings["twisted"]["under_way"]) == ["running", "wanted"]
    assert standings["django"]["project"]["tracks"] == ["main · default · linux-x86_64-glibc"]


def test_commits_say_what_was_built(client: Any) -> None:
    commits = client.get("/api/commits?branch=main&limit=3").json()
    assert [commit["touches"] for commit in commits] == ["native", "documentation", "library"]
    assert {made["status"] for made in commits[1]["interpreters"]} == {"inherited"}
    older = client.get(f"/api/commits?limit=3&before={commits[-1]['position']}").json()
    assert [commit["position"] for commit in older] == [9, 8, 7]


def test_the_same_answer_is_not_sent_twice(client: Any) -> None:
    first = client.get("/api/runs")
    assert first.headers["cache-control"] == "public, max-age=5"
    again = client.get("/api/runs", **{"if-none-match": f'"other", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/api/runs?limit=1", **{"if-none-match": first.headers["etag"]}).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "/api/runs?limit=0",
        "/api/runs?limit=201",
        "/api/runs?limit=x",
        "/api/runs?before=-1",
        "/api/runs?track=main",
        f"/api/runs?before={2**70}",
        "/api/runs?project=" + "x" * 300,
        "/api/interpreters?track=//",
    ],
)
def test_bad_questions_are_refused(client: Any, address: str) -> None:
    assert client.get(address).status_code == 422


@pytest.mark.parametrize(
    "address", ["/api/nothing", "/api/runs/none", "/api/interpreters/none", "/api/environments/0"]
)
def test_what_is_not_there_is_said_in_json(client: Any, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("There is no ")


@pytest.mark.parametrize(
    ("text", "track"),
    [
        ("main/default/linux", Track.of("main", "default", "linux")),
        ("main · default · linux", Track.of("main", "default", "linux")),
        ("main~debug~linux", Track.of("main", "debug", "linux")),
        ("backport/3.15/default/linux", Track.of("backport/3.15", "default", "linux")),
        ("main", None),
        ("", None),
        ("main//linux", None),
    ],
)
def test_a_track_is_read_as_people_write_it(text: str, track: Track | None) -> None:
    assert parse_track(text) == track


def test_every_address_is_described(client: Any) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    assert {"/api/status", "/api/projects", "/api/tracks", "/api/runs", "/api/commits"} <= set(paths)
    document = DOCUMENT.read_text("utf-8")
    for path, ways in paths.items():
        assert ways["get"]["description"], path
        assert f"`{path.replace('{key}', 'KEY').replace('{digest}', 'DIGEST')}`" in document

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pybots.site.built import built
from pybots.site.facts import (
    Branch,
    Cell,
    Commit,
    Condition,
    Counts,
    Farm,
    Interpreter,
    Overview,
    Project,
    Run,
    Track,
    Waiting,
)
from pybots.site.grid import Grid, arrange, box, numbers
from pybots.site.standing import Standing, master_state, standing
from pybots.site.words import Mark

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
DEFAULT = Track.of("main", "default", "linux")
DEBUG = Track.of("main", "debug", "linux")
COUNTS = Counts(100, 97, 0, 0, 3, 0, 0, 0)
IDLE = Waiting(0, 0, 0, 0)
FARM = Farm(NOW - timedelta(seconds=5), NOW - timedelta(days=1), [], [], IDLE, 2, 2)


def project(name: str = "click", **values: object) -> Project:
    whole = Project(name, "", "", True, "", "", [], [], [], [DEFAULT.name, DEBUG.name])
    return replace(whole, **values)  # type: ignore[arg-type]


def run(status: str = "passed", name: str = "click", track: Track = DEFAULT, **values: object) -> Run:
    finished = status not in {"wanted", "requested", "running"}
    whole = Run(
        number=1,
        key="k",
        project=name,
        track=track,
        role="subject",
        state="finished" if finished else status,
        status=status if finished else "",
        detail="",
        commit="a" * 40,
        interpreter="i",
        worker="w",
        revision="1",
        environment="",
        complete=True,
        wanted_at=NOW - timedelta(minutes=9),
        started_at=None,
        finished_at=NOW - timedelta(minutes=4) if finished else None,
        seconds=1.0,
        suite_seconds=1.0,
        counts=COUNTS,
    )
    return replace(whole, **values)  # type: ignore[arg-type]


def overview(*runs: Run, projects: list[Project] | None = None, farm: Farm = FARM) -> Overview:
    cells = {(found.project, found.track.name): Cell(found, None) for found in runs}
    names = sorted({found.project for found in runs})
    shown = [project(name) for name in names] if projects is None else projects
    return Overview(farm, shown, [DEFAULT, DEBUG], cells, [])


def grid(of: Overview) -> Grid:
    return arrange(of.projects, of.tracks, of.cells)


def stands(of: Overview) -> Standing:
    return standing(of, grid(of), NOW)


@pytest.mark.parametrize(
    ("runs", "sentence", "mark"),
    [
        ([run()], "The newest run passed.", Mark.GOOD),
        ([run(), run(track=DEBUG)], "All 2 newest runs passed.", Mark.GOOD),
        ([run("timed-out")], "The newest run did not pass: it timed out.", Mark.LOOK),
        (
            [run(), run("tests-failed", track=DEBUG), run("tests-failed", "attrs"), run("crashed", "django")],
            "1 of the 4 newest runs passed; 2 had failing tests and 1 crashed.",
            Mark.LOOK,
        ),
        (
            [run("worker-lost"), run("worker-lost", track=DEBUG)],
            "None of the 2 newest runs passed; 2 lost the worker.",
            Mark.FARM,
        ),
        (
            [run("crashed", f"p{n}") for n in range(4)]
            + [run(s, s) for s in ("no-tests", "timed-out", "farm-error", "cancelled")],
            "None of the 8 newest runs passed; 4 crashed, 1 cancelled, 1 met an error of the farm "
            "and 2 did not pass for other reasons.",
            Mark.LOOK,
        ),
        ([run("running")], "No run has finished yet.", Mark.WAITING),
    ],
)
def test_the_sentence(runs: list[Run], sentence: str, mark: Mark) -> None:
    said = stands(overview(*runs))
    assert (said.sentence, said.mark) == (sentence, mark)


def test_the_sentence_before_there_is_anything() -> None:
    assert stands(overview()).sentence == "The farm has started; no project is registered yet."
    busy = replace(FARM, waiting=Waiting(0, 0, 1, 1))
    said = stands(overview(projects=[project()], farm=busy))
    assert said.sentence == "The first interpreters are being built; no run has finished yet."


def test_the_remarks_say_how_old_the_data_is_and_what_waits() -> None:
    farm = replace(FARM, waiting=Waiting(runs=3, runs_running=1, interpreters=0, interpreters_running=1))
    assert stands(overview(run(), farm=farm)).remarks == (
        "The newest result came 4 minutes ago.",
        "1 interpreter and 4 runs waiting or running.",
        "2 of 2 workers connected.",
    )


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, "alive"), (60, "alive"), (60.1, "silent"), (86400, "silent"), (-5, "alive")]
)
def test_a_master_is_silent_after_a_minute(seconds: float, state: str) -> None:
    assert master_state(replace(FARM, master_at=NOW - timedelta(seconds=seconds)), NOW) == state


def test_banners_come_gravest_first() -> None:
    farm = replace(
        FARM,
        master_at=NOW - timedelta(minutes=17),
        conditions=[Condition("configuration", NOW, "farm.toml:3: unknown key")],
        branches=[Branch("3.15", "", NOW, "timed out")],
    )
    aside = [project(problem="projects/click.toml:4: x"), project("attrs", problem="y")]
    titles = [banner.title for banner in stands(overview(projects=aside, farm=farm)).banners]
    assert titles == [
        "The master has been silent for 17 minutes",
        "Configuration",
        "Branch 3.15 cannot be polled",
        "2 recipes are set aside",
    ]


def test_no_banner_while_all_is_well() -> None:
    assert stands(overview(run())).banners == ()


def test_a_master_never_heard_of_is_said_to_be_so() -> None:
    said = stands(overview(farm=replace(FARM, master_at=None)))
    assert [banner.title for banner in said.banners] == ["The master has not been heard of yet"]


@pytest.mark.parametrize(
    ("cell", "asked", "label", "counts"),
    [
        (Cell(run(), None), True, "passed", "100 tests"),
        (Cell(run(), run("running")), True, "passed", "100 tests"),
        (Cell(None, run("running")), True, "running", ""),
        (Cell(None, run("requested")), True, "waiting", ""),
        (Cell(None, None), True, "not run yet", ""),
        (Cell(None, None), False, "not asked for", ""),
        (Cell(run(), None), False, "passed", "100 tests"),
    ],
)
def test_a_cell(cell: Cell, asked: bool, label: str, counts: str) -> None:
    found = box(project(tracks=[DEFAULT.name] if asked else []), DEFAULT, cell)
    assert (found.word.label, found.counts, found.asked) == (label, counts, asked)


@pytest.mark.parametrize(
    ("status", "counts", "said"),
    [
        ("passed", COUNTS, "100 tests"),
        ("passed", Counts(1346, 0, 0, 0, 1346, 0, 0, 0), "all 1,346 skipped"),
        ("tests-failed", Counts(1346, 1340, 1, 2, 0, 0, 3, 0), "6 of 1,346 tests"),
        ("timed-out", Counts(40, 40, 0, 0, 0, 0, 0, 0), "40 tests reported"),
        ("install-failed", Counts(0, 0, 0, 0, 0, 0, 0, 0), ""),
    ],
)
def test_numbers(status: str, counts: Counts, said: str) -> None:
    assert numbers(status, counts) == said


def test_projects_that_are_gone_leave_the_grid_and_those_set_aside_stay() -> None:
    gone, aside = project("gone", registered=False), project("aside", registered=False, problem="x")
    lines = arrange([gone, aside, project()], [DEFAULT], {}).lines
    assert [line.project.name for line in lines] == ["aside", "click"]


def test_headings_span_the_platforms_of_a_variant() -> None:
    tracks = [DEFAULT, Track.of("main", "default", "macos"), DEBUG]
    assert [(h.text, h.columns) for h in arrange([], tracks, {}).headings] == [
        ("main · default", 2),
        ("main · debug", 1),
    ]


def made(status: str, track: Track, state: str = "finished", inherited: str = "") -> Interpreter:
    return Interpreter(
        1,
        "k",
        track,
        "a" * 40,
        1,
        state,
        status,
        "",
        "",
        NOW,
        None,
        None,
        1.0,
        None,
        False,
        "",
        "",
        inherited,
    )


@pytest.mark.parametrize(
    ("selection", "interpreters", "said"),
    [
        ("build", [made("proven", DEFAULT), made("proven", DEBUG)], [("built", 2)]),
        (
            "build",
            [made("proven", DEFAULT), made("compile-failed", DEBUG)],
            [("built", 1), ("compile failed", 1)],
        ),
        ("inherit", [made("inherited", DEFAULT, inherited="b" * 40)], [("inherited from bbbbbbbbbb", 1)]),
        (
            "build",
            [made("", DEFAULT, "running"), made("", DEBUG, "wanted")],
            [("being built", 1), ("waiting", 1)],
        ),
        (
            "build",
            [
                made("proven", DEFAULT),
                replace(made("worker-unfit", DEBUG), detail="not built here: needs clang 18"),
            ],
            [("built", 1), ("not built here: needs clang 18", 1)],
        ),
        ("build", [], [("to be built", 0)]),
        ("not-built", [], [("not built", 0)]),
        ("something-new", [], [("something new", 0)]),
    ],
)
def test_what_was_built(selection: str, interpreters: list[Interpreter], said: list[tuple[str, int]]) -> None:
    commit = Commit("a" * 40, "", "main", 1, "Ada", NOW, "s", "native", 1, selection, interpreters)
    assert [(entry.text, len(entry.interpreters)) for entry in built(commit)] == said


def test_a_trunk_that_does_not_build_is_said_at_the_top() -> None:
    commits = [
        Commit("b" * 40, "", "main", 2, "A", NOW, "s", "native", 1, "build", [made("compile-failed", DEBUG)]),
        Commit("a" * 40, "", "main", 1, "A", NOW, "s", "native", 1, "build", [made("proven", DEBUG)]),
    ]
    of = replace(overview(run()), commits=commits)
    assert "The newest interpreter on main · debug · linux: compile failed." in stands(of).remarks
    unfit = Commit(
        "d" * 40, "", "main", 3, "A", NOW, "s", "native", 1, "build", [made("worker-unfit", DEBUG)]
    )
    assert stands(replace(of, commits=[unfit, *commits])).remarks == stands(of).remarks
    mended = replace(of, commits=[replace(commits[1], sha="c" * 40), *commits])
    assert not [remark for remark in stands(mended).remarks if "compile failed" in remark]

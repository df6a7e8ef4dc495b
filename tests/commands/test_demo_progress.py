from __future__ import annotations

import io
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from pybots.commands.demonstration.build_phases import last_phase
from pybots.commands.demonstration.outcome_table import table
from pybots.commands.demonstration.patience import Patience
from pybots.commands.demonstration.progress import LiveTable, PlainLines, display, duration
from pybots.commands.demonstration.stages import (
    Progress,
    Stage,
    Standing,
    all_carried_out,
    farm_stages,
    seconds_left,
)
from pybots.commands.demonstration.timeline import Timeline, read_durations, save_durations
from pybots.commands.facts import InterpreterFact, RunFact
from pybots.interpreters.plan import TrackName
from pybots.runs.status import RunStatus

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TRACK = TrackName("main", "default", "linux-x86_64-glibc")


def interpreter(**values: object) -> InterpreterFact:
    facts = {
        "key": "i",
        "commit": "c" * 40,
        "track": TRACK,
        "state": "finished",
        "status": "proven",
        "detail": "",
        "worker": "one",
        "seconds": 120.0,
        "artifact": "a" * 64,
        "began": NOW,
    }
    return InterpreterFact(**{**facts, **values})  # type: ignore[arg-type]


def run(project: str = "attrs", **values: object) -> RunFact:
    facts = {
        "key": f"{project}~i~0",
        "project": project,
        "commit": "c" * 40,
        "track": TRACK,
        "role": "subject",
        "state": "finished",
        "status": "passed",
        "detail": "",
        "worker": "two",
        "revision": "25.1.0",
        "seconds": 31.4,
        "wanted_at": NOW,
        "began": NOW,
        "interpreter": "i",
        "build": 7,
        "collected": 1300,
        "passed": 1290,
        "failed": 0,
        "error": 0,
        "skipped": 10,
        "deselected": 1,
    }
    return RunFact(**{**facts, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("standing", "complete"),
    [
        (Standing(), False),
        (Standing((interpreter(state="running", status=""),)), False),
        (Standing((interpreter(),), (), (("attrs", "i"),)), False),
        (Standing((interpreter(),), (run(state="running", status=""),), (("attrs", "i"),)), False),
        (Standing((interpreter(),), (run(),), (("attrs", "i"),)), True),
        (Standing((interpreter(),), (run(),), (("attrs", "i"), ("click", "i"))), False),
        (Standing((interpreter(), interpreter(key="j")), (run(),), (("attrs", "i"), ("attrs", "j"))), False),
    ],
)
def test_when_there_is_nothing_left_to_wait_for(standing: Standing, complete: bool) -> None:
    assert standing.complete is complete


@pytest.mark.parametrize(
    ("status", "carried_out"),
    [
        (RunStatus.PASSED, True),
        (RunStatus.TESTS_FAILED, True),
        (RunStatus.COLLECTION_FAILED, True),
        (RunStatus.CRASHED, True),
        (RunStatus.TIMED_OUT, True),
        (RunStatus.NO_TESTS, True),
        (RunStatus.FETCH_FAILED, False),
        (RunStatus.ENVIRONMENT_FAILED, False),
        (RunStatus.INSTALL_FAILED, False),
        (RunStatus.WORKER_LOST, False),
        (RunStatus.FARM_ERROR, False),
        (RunStatus.CANCELLED, False),
    ],
)
def test_whether_the_farm_did_its_work(status: RunStatus, carried_out: bool) -> None:
    standing = Standing((interpreter(),), (run(status=status.value),), (("attrs", "i"),))
    assert all_carried_out(standing) is carried_out


@pytest.mark.parametrize(
    "standing",
    [
        Standing(),
        Standing((interpreter(status="prove-failed", artifact=None),), (run(),), (("attrs", "i"),)),
        Standing((interpreter(),), (run(),), (("attrs", "i"), ("click", "i"))),
        Standing((interpreter(),), (run(),), (("attrs", "i"),), set_aside=(("click", "bad"),)),
        Standing((interpreter(),), (), ()),
    ],
)
def test_what_is_not_there_was_not_done(standing: Standing) -> None:
    assert not all_carried_out(standing)


def test_stages_of_a_farm_at_work() -> None:
    standing = Standing(
        (interpreter(),),
        (
            run("attrs"),
            run("click", state="running", status="", began=NOW - timedelta(seconds=20)),
            run("django", state="requested", status="", began=None),
            run("twisted", status="environment-failed", detail="no wheel for x", seconds=3.0),
        ),
        (("attrs", "i"), ("click", "i"), ("django", "i"), ("markupsafe", "i"), ("twisted", "i")),
        {"click~i~0": "install"},
    )
    stages = farm_stages(standing, NOW, {"click": 45.0})
    assert [(stage.name, stage.progress.value, stage.detail, stage.seconds) for stage in stages] == [
        ("interpreter default", "done", "proven", 120.0),
        ("attrs", "done", "passed: 1290 of 1300 passed", 31.4),
        ("click", "active", "install on worker two", 20.0),
        ("django", "waiting", "waits for a worker", 0.0),
        ("markupsafe", "waiting", "waits for the interpreter", 0.0),
        ("twisted", "failed", "environment-failed: no wheel for x", 3.0),
    ]
    assert stages[2].expected == 45.0


def test_two_variants_are_told_apart() -> None:
    debug = interpreter(key="j", track=TrackName("main", "debug", "linux-x86_64-glibc"))
    pairs = (("attrs", "i"), ("attrs", "j"))
    stages = farm_stages(Standing((interpreter(), debug), (), pairs), NOW, {})
    assert [stage.name for stage in stages] == [
        "interpreter default",
        "interpreter debug",
        "attrs default",
        "attrs debug",
    ]


def stage(
    name: str, progress: Progress, detail: str = "", seconds: float = 0, expected: float = 100
) -> Stage:
    return Stage(name, progress, detail, seconds, expected)


def test_runs_share_the_workers() -> None:
    stages = [
        stage("source", Progress.DONE, seconds=500),
        stage("interpreter default", Progress.ACTIVE, seconds=40),
        stage("attrs", Progress.WAITING, expected=20),
        stage("django", Progress.WAITING, expected=300),
        stage("twisted", Progress.WAITING, expected=400),
    ]
    assert seconds_left(stages, workers=2) == 60 + 400  # the longest run alone takes longer than half of all
    assert seconds_left(stages, workers=1) == 60 + 720
    assert seconds_left([], workers=2) == 0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_say_what_changed() -> None:
    clock, stream = Clock(), io.StringIO()
    lines = PlainLines(stream, clock)
    waiting = stage("attrs", Progress.WAITING, "waits for a worker", expected=60)
    for at, interpreter_stage in (
        (0, stage("interpreter default", Progress.WAITING, "waits for a worker", 0, 240)),
        (3, stage("interpreter default", Progress.ACTIVE, "configure on worker one", 1, 240)),
        (4, stage("interpreter default", Progress.ACTIVE, "compile on worker one", 2, 240)),
        (10, stage("interpreter default", Progress.ACTIVE, "compile on worker one", 8, 240)),
        (20, stage("interpreter default", Progress.ACTIVE, "compile on worker one", 18, 240)),
        (41, stage("interpreter default", Progress.ACTIVE, "compile on worker one", 39, 240)),
        (185, stage("interpreter default", Progress.DONE, "proven", 182, 240)),
        (190, stage("interpreter default", Progress.DONE, "proven", 182, 240)),
    ):
        clock.now = at
        lines.show([interpreter_stage, waiting])
    lines.say("two\nlines")
    assert stream.getvalue() == (
        "[00:03] interpreter default: configure on worker one (1 s of about 4 min 00 s)\n"
        "[00:10] interpreter default: compile on worker one (8 s of about 4 min 00 s)\n"
        "[00:41] interpreter default: compile on worker one (39 s of about 4 min 00 s)\n"
        "[03:05] interpreter default: proven (3 min 02 s); about 1 min 00 s left in all\n"
        "[03:10] two\n"
        "[03:10] lines\n"
    )


def test_a_terminal_gets_a_table() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    shown = display(console, Clock())
    assert isinstance(shown, LiveTable)
    with shown:
        shown.show([stage("attrs", Progress.ACTIVE, "suite on worker two [bold]", 20, 60)])
        shown.say("a note [red]in brackets")
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "suite on worker two [bold]" in text
    assert "20 s of about 1 min 00 s" in text
    assert "a note [red]in brackets" in text
    assert isinstance(display(Console(file=io.StringIO()), Clock()), PlainLines)


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (59.6, "1 min 00 s"), (3600, "60 min 00 s")])
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_table() -> None:
    standing = Standing(
        (interpreter(),),
        (
            run(
                "twisted",
                status="tests-failed",
                collected=11000,
                passed=9997,
                failed=2,
                error=1,
                skipped=1000,
            ),
            run("attrs", revision="f" * 40),
        ),
    )
    assert table(standing) == (
        "interpreter                          commit        status  seconds\n"
        "main · default · linux-x86_64-glibc  cccccccccccc  proven      120\n"
        "\n"
        "project  revision      status        collected  passed  failed  error  skipped  deselected  seconds\n"
        "attrs    ffffffffffff  passed             1300    1290       0      0       10           1       31\n"
        "twisted  25.1.0        tests-failed      11000    9997       2      1     1000           1       31\n"
        "in all                                   12300   11287       2      1     1010           2       63"
    )


def test_phases_in_a_log() -> None:
    log = "h$ pybots-worker build\no=== configure\nochecking build system type\no=== compile\ngcc === not\n"
    assert last_phase(log) == "compile"
    assert last_phase("onothing yet\n") == ""


class Recorder:
    """A display that keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[list[Stage]] = []
        self.twice = threading.Event()

    def show(self, stages: list[Stage]) -> None:
        self.shown.append(stages)
        active = [stages for stages in self.shown if stages[0].progress is Progress.ACTIVE]
        if len(active) >= 3:
            self.twice.set()

    def say(self, text: str) -> None: ...


def test_a_stage_that_takes_long_is_shown_again_and_again() -> None:
    recorder, clock = Recorder(), Clock()
    with Timeline(recorder, clock, {"machine": 12.0}) as timeline, timeline.stage("machine") as say:  # type: ignore[arg-type]
        say("installing")
        clock.now = 7.0
        assert recorder.twice.wait(10)
    last = recorder.shown[-1][0]
    assert last == Stage("machine", Progress.DONE, "installing", 7.0, 12.0)
    assert timeline.seconds() == {"machine": 7.0}


def test_a_stage_that_fails_is_shown_so() -> None:
    recorder = Recorder()
    timeline = Timeline(recorder, Clock(), {})  # type: ignore[arg-type]
    with pytest.raises(OSError, match="disk"), timeline, timeline.stage("source"):
        raise OSError("disk")
    assert recorder.shown[-1][1].progress is Progress.FAILED


def test_durations_are_kept_for_the_next_time(tmp_path: Path) -> None:
    file = tmp_path / "durations.json"
    assert read_durations(file) == {}
    save_durations(file, {}, {"source": 30.0, "machine": 0.2})
    save_durations(file, read_durations(file), {"source": 0.0, "attrs": 42.0})
    # A source that was kept took no time: the estimate of fetching it stays.
    assert read_durations(file) == {"source": 30.0, "machine": 0.2, "attrs": 42.0}
    file.write_text("[broken")
    assert read_durations(file) == {}


def test_patience_asks_once_and_only_when_nothing_is_under_way() -> None:
    patience = Patience(ask_after=10, now=0)
    busy = Standing((interpreter(),), (run(state="running"),))
    idle = Standing((interpreter(),), ())
    assert not patience.is_over(busy, 5)
    assert not patience.should_ask(busy, 100)
    assert not patience.is_over(idle, 110)
    assert not patience.should_ask(idle, 115)
    assert patience.should_ask(idle, 121)
    assert not patience.should_ask(idle, 500)


def test_patience_with_a_master_that_plans_nothing() -> None:
    patience, idle = Patience(ask_after=0, now=0), Standing((interpreter(),), ())
    assert not patience.is_over(idle, 1)
    assert patience.should_ask(idle, 1)
    assert not patience.is_over(idle, 60)
    assert patience.is_over(idle, 92)
    busy = Standing((interpreter(),), (run(state="running"),))
    assert not patience.is_over(busy, 93)


def test_patience_ends_where_nothing_can_come() -> None:
    failed = Standing((interpreter(status="compile-failed", artifact=None),))
    assert Patience(0, now=0).is_over(failed, 1)
    silent = Patience(0, now=0)
    assert not silent.is_over(Standing(), 1)
    assert silent.is_over(Standing(), 3 * 3600)

from __future__ import annotations

import pytest

from pybots.commits.classify import Touches
from pybots.commits.select import Selection
from pybots.interpreters.records import INHERITED, LOST
from pybots.runs.status import RunStatus, State
from pybots.site import words
from pybots.site.built import selection
from pybots.site.words import Mark
from pybots_worker.contract import InterpreterStatus

UNKNOWN = "This page does not know"


@pytest.mark.parametrize("status", RunStatus)
def test_every_run_status_has_its_words(status: RunStatus) -> None:
    word = words.of_run("finished", status)
    assert word.label == status.replace("-", " ")
    assert UNKNOWN not in word.meaning
    assert word.mark not in {Mark.ACT, Mark.NONE, Mark.WAITING}, "no run is anybody's to act on by itself"


@pytest.mark.parametrize("status", [*InterpreterStatus, INHERITED, LOST])
def test_every_interpreter_status_has_its_words(status: str) -> None:
    assert UNKNOWN not in words.of_interpreter("finished", status).meaning


@pytest.mark.parametrize("state", [state for state in State if state is not State.FINISHED])
def test_what_is_not_finished_waits(state: State) -> None:
    assert words.of_run(state, "").mark is Mark.WAITING
    assert words.of_interpreter(state, "").mark is Mark.WAITING


@pytest.mark.parametrize("value", Selection)
def test_every_selection_has_its_words(value: Selection) -> None:
    assert UNKNOWN not in selection(value)[1]


@pytest.mark.parametrize("touches", Touches)
def test_every_class_of_commit_has_its_words(touches: Touches) -> None:
    assert UNKNOWN not in words.of_touches(touches)[1]


def test_a_status_of_tomorrow_is_shown_as_it_is() -> None:
    assert words.of_run("finished", "moon-full") == words.Word(
        "moon full", Mark.FARM, f"{UNKNOWN} this status."
    )


def test_every_mark_is_in_the_legend() -> None:
    assert {mark for mark, _ in words.MARKS} == set(Mark)


def test_red_shapes_are_for_the_trunk_and_the_farm_alone() -> None:
    red = {s for s in InterpreterStatus if words.of_interpreter("finished", s).mark is Mark.ACT}
    assert red == {
        InterpreterStatus.CONFIGURE_FAILED,
        InterpreterStatus.COMPILE_FAILED,
        InterpreterStatus.INSTALL_FAILED,
        InterpreterStatus.PROVE_FAILED,
    }

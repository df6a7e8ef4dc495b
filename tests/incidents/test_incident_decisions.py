"""States, faults, ranges, ends and titles of incidents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots.incidents.close import LET_GO_RUNS, End, Ended, Shown, Tried, chance_of_passes, ended
from pybots.incidents.fault import Said, fault
from pybots.incidents.join import Belonging, Known, Range, Sighting, belonging, choose, narrowed, taken_in
from pybots.incidents.states import OPEN, Event, State, after, raised
from pybots.incidents.title import LONGEST, Shows, title, trunk_title
from pybots.verdicts.evidence import Kind, Showing
from pybots.verdicts.surfaced import Place, Surfaced
from pybots.verdicts.verdict import Cause

SUSPECTED, CONFIRMED, ATTRIBUTED, ANNOUNCED = (
    State.SUSPECTED, State.CONFIRMED, State.ATTRIBUTED, State.ANNOUNCED,
)  # fmt: skip
FIXED, INVALID = State.FIXED, State.INVALID


@pytest.mark.parametrize(
    ("state", "event", "result"),
    [
        (None, Event.OPENED, SUSPECTED),
        (SUSPECTED, Event.CONFIRMED, CONFIRMED),
        (SUSPECTED, Event.ATTRIBUTED, None),
        (SUSPECTED, Event.ANNOUNCED, None),
        (CONFIRMED, Event.ATTRIBUTED, ATTRIBUTED),
        (CONFIRMED, Event.ANNOUNCED, ANNOUNCED),
        (ATTRIBUTED, Event.ANNOUNCED, ANNOUNCED),
        (ANNOUNCED, Event.FIXED, FIXED),
        (FIXED, Event.FIXED, None),
        (FIXED, Event.REOPENED, SUSPECTED),
        (FIXED, Event.JOINED, None),
        (INVALID, Event.REOPENED, None),
        (INVALID, Event.FIXED, None),
        (INVALID, Event.JOINED, INVALID),
        (INVALID, Event.INVALIDATED, None),
        (ANNOUNCED, Event.INVALIDATED, INVALID),
        (FIXED, Event.LINKED, FIXED),
        (SUSPECTED, Event.MUTED, SUSPECTED),
        (INVALID, Event.ACKNOWLEDGED, INVALID),
    ],
)
def test_transitions(state: State | None, event: Event, result: State | None) -> None:
    assert after(state, event) is result


@pytest.mark.parametrize("event", Event)
def test_every_event_is_decided_for_every_state(event: Event) -> None:
    assert all(after(state, event) in {None, *State} for state in [None, *State])


def test_steps_up_are_never_left_out() -> None:
    assert raised(SUSPECTED, ATTRIBUTED) == (Event.CONFIRMED, Event.ATTRIBUTED)
    assert raised(CONFIRMED, ATTRIBUTED) == (Event.ATTRIBUTED,)
    for state in (CONFIRMED, ATTRIBUTED, ANNOUNCED, FIXED, INVALID):
        assert raised(state, SUSPECTED) == ()
    assert raised(ANNOUNCED, ATTRIBUTED) == ()


def said(
    message: str = "no module named imp",
    exception: str = "ImportError",
    project: str = "attrs",
    **more: object,
) -> Said:
    values = {"kind": Kind.FAILED, "cause": Cause.INTERPRETER, "signature": "s1", **more}
    return Said(project=project, exception=exception, message=message, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (said(), said(signature="s2"), True),
        (said(), said(project="zope"), True),
        (said(), said("no module named cgi"), False),
        (said(), said(kind=Kind.COLLECTION_FAILED), True),
        (said(), said(kind=Kind.CRASHED), False),
        (said(), said(project="zope", cause=Cause.PROJECT), False),
        # What a test says of itself counts within one project.
        (said("1 != 2", "AssertionError"), said("1 != 2", "AssertionError", signature="s2"), True),
        (said("1 != 2", "AssertionError"), said("1 != 2", "AssertionError", "zope"), False),
        (
            said("1 != 2", "AssertionError", surfaced="dependency", surfaced_in="six"),
            said("1 != 2", "AssertionError", "zope", surfaced="dependency", surfaced_in="six"),
            True,
        ),
        # Without a message the frames tell.
        (said(""), said("", signature="s2"), False),
        (said(""), said("", project="zope"), True),
        # Which file cannot be compiled differs, why it cannot does not.
        (
            said("invalid syntax (a.py, line 3)", "SyntaxError"),
            said("invalid syntax (b.py, line 70)", "SyntaxError", "zope", signature="s2"),
            True,
        ),
        (
            said("invalid syntax (a.py, line 3)", "SyntaxError"),
            said("invalid hexadecimal literal (a.py, line 3)", "SyntaxError"),
            False,
        ),
        # unittest names its own module first.
        (
            said(
                "Failed to import test module: test_a\nTraceback (most recent call last):\nSyntaxError: invalid syntax"
            ),
            said("invalid syntax (b.py, line 70)", "SyntaxError", "zope", signature="s2"),
            True,
        ),
        (
            said("Failed to import test module: test_a\nKeyError: 1"),
            said("Failed to import test module: test_a\nSyntaxError: invalid syntax"),
            False,
        ),
        (said("Failed to import test module: test_a"), said("Failed to import test module: test_b"), False),
        # An extension may be a project's own and another's dependency.
        (
            said("", "", kind=Kind.INSTALL_FAILED),
            said("", "", "zope", kind=Kind.ENVIRONMENT_FAILED),
            True,
        ),
        (said("", "", signature=""), said("", "", "zope", signature=""), False),
        (
            said("", "", signature="", kind=Kind.TIMED_OUT),
            said("", "", signature="", kind=Kind.TIMED_OUT),
            True,
        ),
    ],
)
def test_one_fault(one: Said, other: Said, same: bool) -> None:
    assert (fault(one) == fault(other)) is same


def sighting(good: int | None, bad: int, cause: Cause = Cause.INTERPRETER) -> Sighting:
    return Sighting(cause, "f", Range(good, bad))


def known(good: int | None, bad: int, state: State = ATTRIBUTED, number: int = 1, **more: object) -> Known:
    return Known(number, state, Range(good, bad), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "incident", "how"),
    [
        (sighting(10, 11), known(10, 11), Belonging.NOW),
        (sighting(8, 14), known(10, 11), Belonging.NOW),
        (sighting(11, 12), known(10, 11), None),
        (sighting(None, 10), known(10, 11), None),
        (sighting(None, 12), known(10, 11), Belonging.NOW),
        (sighting(10, 11), known(10, 11, FIXED, fixed_at=18), Belonging.NOW),
        (sighting(10, 11), known(10, 11, INVALID), Belonging.NOW),
        (sighting(32, 33), known(4, 5, FIXED, fixed_at=13), Belonging.AGAIN),
        (sighting(32, 33), known(4, 5, fixed_at=13), Belonging.AGAIN),
        (sighting(32, 33), known(4, 5), None),
        (sighting(7, 8), known(4, 5, FIXED, fixed_at=13), None),
        (sighting(32, 33), known(4, 5, INVALID, fixed_at=13), None),
        (sighting(4, 5), known(32, 33, past=(Range(4, 5),)), Belonging.BEFORE),
        # A project may change between two runs on one interpreter.
        (sighting(11, 11, Cause.PROJECT), known(10, 11), Belonging.NOW),
        (sighting(11, 11), known(10, 11), None),
    ],
)
def test_where_it_belongs(seen: Sighting, incident: Known, how: Belonging | None) -> None:
    assert belonging(seen, incident) is how


def test_the_open_one_that_overlaps_goes_first() -> None:
    fixed = known(4, 5, FIXED, 1, fixed_at=8)
    opened = known(10, 12, ATTRIBUTED, 2)
    invalid = known(10, 13, INVALID, 0)
    assert choose(sighting(11, 12), [fixed, invalid, opened]) == (opened, Belonging.NOW)
    assert choose(sighting(20, 21), [invalid, fixed]) == (fixed, Belonging.AGAIN)
    assert choose(sighting(20, 21), [invalid]) is None


@given(
    culprit=st.integers(1, 50),
    ranges=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), min_size=1, max_size=8),
)
def test_ranges_around_one_culprit_are_one_incident_in_any_order(
    culprit: int, ranges: list[tuple[int, int]]
) -> None:
    incidents: list[Known] = []
    for before, behind in ranges:
        seen = sighting(culprit - before, culprit + behind)
        found = choose(seen, incidents)
        if found is None:
            incidents.append(Known(len(incidents), ATTRIBUTED, seen.range))
        else:
            incidents[incidents.index(found[0])] = taken_in(seen, *found)
    (only,) = incidents
    low, high = max(culprit - before for before, _ in ranges), min(culprit + behind for _, behind in ranges)
    assert only.range == Range(low, high)


def test_ranges_narrow() -> None:
    assert narrowed(Range(None, 9), Range(3, 12)) == Range(3, 9)
    late = taken_in(sighting(3, 5), known(32, 33, past=(Range(2, 9),)), Belonging.BEFORE)
    assert (late.range, late.past) == (Range(32, 33), (Range(3, 5),))


B, G, U = Showing.DIFFERS, Showing.AGREES, Showing.UNKNOWN


def sequence(*shows: Showing) -> list[Shown]:
    return [Shown(place, one) for place, one in enumerate(shows)]


@pytest.mark.parametrize(
    ("tried", "shows", "end"),
    [
        (Tried(5, 0), [B, G], End(Ended.PASSES, 1)),
        (Tried(5, 0), [B, B, U, G], End(Ended.PASSES, 3)),
        (Tried(0, 0), [B, G], None),
        (Tried(0, 0), [B, G, G], End(Ended.PASSES, 1)),
        (Tried(3, 3), [B, *[G] * 6], None),
        (Tried(3, 3), [B, *[G] * 15], End(Ended.PASSES, 1)),
        (Tried(3, 3), [B, *[G] * 6, B, *[G] * 6], None),
        (Tried(5, 0), [B, G, B, B], End(Ended.PASSES, 1)),
        (Tried(5, 0), [B, *[U] * LET_GO_RUNS], End(Ended.GONE, 1)),
        (Tried(5, 0), [B, *[U] * (LET_GO_RUNS - 1)], None),
        (Tried(5, 0), [], None),
    ],
)
def test_when_it_ends(tried: Tried, shows: list[Showing], end: End | None) -> None:
    assert ended(tried, sequence(*shows)) == end


def test_a_run_as_a_whole_is_not_let_go() -> None:
    assert ended(Tried(5, 0), sequence(B, *[U] * 50), may_go=False) is None


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 3000))
def test_the_chance_is_one_and_falls_with_each_pass(failed: int, passed: int, passes: int) -> None:
    chance = chance_of_passes(failed, passed, passes)
    assert 0 <= chance <= 1
    assert chance_of_passes(failed, passed, passes + 1) <= chance + 1e-12


def test_titles() -> None:
    in_six = Surfaced(Place.DEPENDENCY, "six")
    assert title(Shows(Kind.FAILED, ["a"], ["t"])) == "a: t fails"
    assert title(Shows(Kind.FAILED, ["a", "b"], ["t", "u"])) == "a, b: 2 tests fail"
    assert title(Shows(Kind.ERROR, ["a"], ["t"], "x.KeyError", "'k'\nmore", in_six)) == (
        "Fails in six, under a: KeyError: 'k'"
    )
    assert title(Shows(Kind.SUITE_SKIPPED, ["a"])) == "a: skips every test"
    assert title(Shows(Kind.SKIPPED, ["a"], ["t", "u"])) == "a: 2 tests are skipped"
    assert title(Shows(Kind.VANISHED, ["a"], ["t", "u"])) == "a: 2 tests are not there any more"
    assert title(Shows(Kind.CRASHED, ["a", "b", "c", "d"])) == "a, b, c and 1 more: crashes the interpreter"
    assert trunk_title("3.15", "prove-failed", ["jit"], "") == "3.15 does not prove to work (jit)"


@given(
    st.sampled_from(Kind),
    st.lists(st.text(min_size=1), min_size=1, max_size=6),
    st.lists(st.text()),
    st.text(),
)
def test_a_title_is_one_harmless_line(
    kind: Kind, projects: list[str], tests: list[str], message: str
) -> None:
    line = title(Shows(kind, projects, tests, "E", message))
    assert 0 < len(line) <= LONGEST
    assert line.isprintable() or not any(character in line for character in "\n\r\x1b\u202e\x00")


def test_open_states() -> None:
    assert set(State) - OPEN == {FIXED, INVALID}

from __future__ import annotations

import pytest

from incident_world import GONE_WRONG, WHOLE, World
from pybots.incidents.read_artifacts import artifacts_of_open
from pybots.results.outcome import Failure, Outcome

P, S = Outcome.PASSED, Outcome.SKIPPED
OTHER = Failure("TypeError", "unhashable type: 'frame'", "")


def steps(incident: object) -> list[str]:
    return [step.what for step in incident.transitions]  # type: ignore[attr-defined]


def test_a_regression_is_opened_with_every_step_on_record() -> None:
    world = World()
    world.breaks(11, 10, "test_a")
    found = world.one()
    assert (found.state, found.kind, found.cause) == ("attributed", "failed", "interpreter")
    assert steps(found) == ["opened", "confirmed", "attributed"]
    assert [step.state for step in found.transitions] == ["suspected", "confirmed", "attributed"]
    assert all(step.evidence and step.who == "farm" for step in found.transitions)
    assert found.title == "attrs: test_a fails: AttributeError: module 'time' has no attribute 'clock'"
    assert (found.last_good, found.first_bad) == (f"{1_000_010:040x}", f"{1_000_011:040x}")
    assert found.culprit is None
    assert found.reproduce == f"pybots reproduce {found.id}"


@pytest.mark.parametrize("cause", ["flaky", "worker", "undecided"])
def test_other_causes_open_nothing(cause: str) -> None:
    world = World()
    world.breaks(11, 10, "test_a", cause=cause)
    assert world.incidents() == []


def test_more_tests_tracks_and_projects_join() -> None:
    world = World()
    world.breaks(11, 10, "test_a", "test_b")
    world.breaks(12, 10, "test_a", variant="debug")
    world.breaks(14, 8, "test_z", project="zope")
    found = world.one()
    assert found.members == ("attrs", "zope")
    assert found.tests == ("test_a", "test_b", "test_z")
    assert len(found.tracks) == 2
    assert (found.last_good, found.first_bad) == (f"{1_000_010:040x}", f"{1_000_011:040x}")
    assert found.title.startswith("attrs, zope: 3 tests fail: AttributeError")


def test_two_regressions_in_one_range_stay_two() -> None:
    world = World()
    baseline = world.subject(10, {"test_a": P, "test_b": P})
    subject = world.subject(11, {"test_a": GONE_WRONG, "test_b": OTHER})
    world.verdicts(subject, baseline, {"test_a": GONE_WRONG, "test_b": OTHER})
    assert [each.tests for each in world.incidents()] == [("test_a",), ("test_b",)]


def test_a_second_failure_on_a_red_suite_is_another_incident() -> None:
    world = World()
    world.breaks(11, 10, "test_a")
    baseline = world.subject(12, {"test_a": GONE_WRONG, "test_b": P})
    subject = world.subject(13, {"test_a": GONE_WRONG, "test_b": OTHER})
    world.verdicts(subject, baseline, {"test_b": OTHER})
    assert [(each.tests, each.state) for each in world.incidents()] == [
        (("test_a",), "attributed"),
        (("test_b",), "attributed"),
    ]


def test_extensions_that_no_longer_build_are_one_incident() -> None:
    """Whether it is the project's own extension or its dependency's."""
    world = World()
    for name, how in (
        ("numpy", "install-failed"),
        ("pandas", "environment-failed"),
        ("lxml", "install-failed"),
    ):
        baseline = world.subject(10, {"test_a": P}, project=name)
        subject = world.subject(11, how, project=name)
        world.verdicts(subject, baseline, {WHOLE: "e" * 64}, kind=how)
    found = world.one()
    assert found.members == ("numpy", "pandas", "lxml")
    assert found.tests == ()
    assert found.title == "numpy, pandas, lxml: cannot be installed: error: expected ';' before 'x'"


def test_without_lines_that_tell_each_project_is_for_itself() -> None:
    world = World()
    for name in ("numpy", "pandas"):
        baseline = world.subject(10, {"test_a": P}, project=name)
        subject = world.subject(11, "install-failed", project=name)
        world.verdicts(subject, baseline, {WHOLE: ""}, kind="install-failed")
    assert [each.members for each in world.incidents()] == [("numpy",), ("pandas",)]


def test_it_is_fixed_when_the_tests_pass_again_on_every_track() -> None:
    world = World()
    world.breaks(11, 10, "test_a", "test_b")
    world.breaks(11, 10, "test_a", variant="debug")
    world.subject(18, {"test_a": P, "test_b": GONE_WRONG})
    assert world.one().state == "attributed"
    world.passes(19, "test_a", "test_b")
    assert world.one().state == "attributed"
    world.passes(19, "test_a", variant="debug")
    found = world.one()
    assert (found.state, found.closed_at is not None) == ("fixed", True)
    assert steps(found)[-3:] == ["recovered", "recovered", "fixed"]
    assert found.transitions[-1].evidence == ("attrs-debug-19-0",)
    assert {item.fixed_at for item in found.items} == {18, 19}


def test_it_comes_back_and_is_not_another_one() -> None:
    world = World()
    world.breaks(5, 4, "test_a")
    world.passes(13, "test_a")
    world.passes(32, "test_a")
    assert world.one().state == "fixed"
    world.breaks(33, 32, "test_a")
    found = world.one()
    assert (found.state, found.closed_at) == ("attributed", None)
    assert steps(found)[3:] == ["fixed", "reopened", "confirmed", "attributed"]
    assert (found.last_good, found.first_bad) == (f"{1_000_032:040x}", f"{1_000_033:040x}")
    world.passes(40, "test_a")
    assert world.one().state == "fixed"


def test_a_flaky_regression_is_not_fixed_by_one_pass() -> None:
    world = World()
    world.breaks(11, 10, "test_a", tried=(4, 4))
    for position in range(12, 18):
        world.passes(position, "test_a")
    assert world.one().state == "attributed"
    for position in range(18, 30):
        world.passes(position, "test_a")
    found = world.one()
    assert found.state == "fixed"
    assert found.items[0].fixed_at == 12


def test_a_failure_among_the_passes_keeps_it_open() -> None:
    world = World()
    world.breaks(11, 10, "test_a", tried=(4, 4))
    for position in range(12, 40):
        said = GONE_WRONG if position % 8 == 0 else P
        world.subject(position, {"test_a": said})
    assert world.one().state == "attributed"


def test_what_is_skipped_from_then_on_is_let_go() -> None:
    world = World()
    world.breaks(11, 10, "test_a")
    for position in range(12, 21):
        world.subject(position, {"test_a": S})
    assert world.one().state == "attributed"
    world.subject(21, {"test_a": S})
    found = world.one()
    assert found.state == "fixed"
    assert "let go" in found.transitions[-1].reason


def test_an_install_that_works_again_closes_it() -> None:
    world = World()
    baseline = world.subject(10, {"test_a": P})
    subject = world.subject(11, "install-failed")
    world.verdicts(subject, baseline, {WHOLE: "e" * 64}, kind="install-failed")
    assert world.one().state == "attributed"
    world.subject(12, "install-failed")
    world.subject(13, {"test_a": P})
    assert world.one().state == "fixed"


def test_a_late_track_joins_what_is_fixed_and_opens_it_until_it_is_fixed_there() -> None:
    world = World()
    world.breaks(11, 10, "test_a")
    world.passes(18, "test_a")
    world.breaks(11, 10, "test_a", variant="debug")
    assert world.one().state == "attributed"
    world.passes(18, "test_a", variant="debug")
    assert world.one().state == "fixed"


def test_a_verdict_after_the_fix_was_seen_opens_and_closes_at_once() -> None:
    world = World()
    baseline = world.subject(10, {"test_a": P})
    subject = world.subject(11, {"test_a": GONE_WRONG})
    world.passes(18, "test_a")
    world.verdicts(subject, baseline, {"test_a": GONE_WRONG})
    found = world.one()
    assert found.state == "fixed"
    assert steps(found) == ["opened", "confirmed", "attributed", "fixed"]


def test_applied_twice_is_applied_once() -> None:
    from pybots.database.tables import ComparisonRow
    from pybots.incidents.store_incidents import apply_verdicts

    world = World()
    world.breaks(11, 10, "test_a")
    before = world.one()
    with world.sessions.writing() as session:
        assert apply_verdicts(session, session.query(ComparisonRow).one(), world.now()) == []
    assert world.one() == before


def test_a_projects_own_change_stays_with_the_project() -> None:
    world = World()
    for name in ("attrs", "zope"):
        world.breaks(11, 10, "test_a", project=name, cause="project")
    baseline = world.subject(11, {"test_a": P}, variant="debug")
    subject = world.subject(11, {"test_a": GONE_WRONG}, variant="debug", again=1)
    world.verdicts(subject, baseline, {"test_a": GONE_WRONG}, cause="project")
    assert [each.members for each in world.incidents()] == [("attrs",), ("zope",)]


def test_a_claim_whose_control_ran_elsewhere_stays_a_suspicion() -> None:
    world = World()
    world.breaks(11, 10, "test_a", evidence="[]")
    assert world.one().state == "suspected"


def test_what_says_a_hundred_things_is_not_a_hundred_incidents() -> None:
    world = World()
    tests = [f"test_{number}" for number in range(40)]
    said = {test: Failure("AssertionError", f"{test} != 0", "") for test in tests}
    for variant in ("default", "debug"):
        baseline = world.subject(10, dict.fromkeys(tests, P), variant=variant)
        subject = world.subject(11, said, variant=variant)
        world.verdicts(subject, baseline, said)
    found = world.one()
    assert (len(found.items), found.state) == (80, "attributed")
    assert found.title.startswith("attrs: 40 tests fail")


def test_nor_where_they_are_decided_one_after_the_other() -> None:
    world = World()
    tests = [f"test_{number}" for number in range(20)]
    said = {test: Failure("AssertionError", f"{test} != 0", "") for test in tests}
    baseline = world.subject(10, dict.fromkeys(tests, P))
    subject = world.subject(11, said)
    first = world.verdicts(subject, baseline, {})
    for test in tests:
        world.verdicts(subject, baseline, {test: said[test]}, comparison=first)
    assert len(world.incidents()) == 11


def test_the_store_keeps_what_an_open_incident_rests_on() -> None:
    world = World()
    world.breaks(11, 10, "test_a")
    assert sorted(artifacts_of_open(world.sessions)) == [f"{1_000_010:064x}", f"{1_000_011:064x}"]
    world.passes(18, "test_a")
    assert list(artifacts_of_open(world.sessions)) == []

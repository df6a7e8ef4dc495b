"""Whatever the order in which tracks report, the same incidents in the same states come of it."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incident_world import GONE_WRONG, World
from pybots.results.outcome import Outcome

GOOD, BROKEN, FIXED, BROKEN_AGAIN, FIXED_AGAIN = 4, 5, 13, 33, 40
TRACKS = (("attrs", "default"), ("attrs", "debug"), ("zope", "default"))
Step = tuple[int, str | None]
# What each track goes through, in its own order: a position, and what becomes of it there.
LIFE: tuple[int, ...] = (GOOD, BROKEN, 8, FIXED, 20, 32, BROKEN_AGAIN, FIXED_AGAIN)


def orders() -> st.SearchStrategy[list[int]]:
    """Interleavings: which track makes its next step."""
    steps = [number for number in range(len(TRACKS)) for _ in LIFE]
    return st.permutations(steps)


def live(world: World, order: list[int], until: int) -> None:
    """Each track runs LIFE in its order; a verdict comes right after the run that differs."""
    at = dict.fromkeys(range(len(TRACKS)), 0)
    for number in order:
        project, variant = TRACKS[number]
        position = LIFE[at[number]]
        at[number] += 1
        if position > until:
            continue
        broken = BROKEN <= position < FIXED or BROKEN_AGAIN <= position < FIXED_AGAIN
        said = GONE_WRONG if broken else Outcome.PASSED
        subject = world.subject(position, {"test_a": said}, project=project, variant=variant)
        if position in {BROKEN, BROKEN_AGAIN}:
            baseline = f"{project}-{variant}-{GOOD if position == BROKEN else 32}-0"
            world.verdicts(subject, baseline, {"test_a": GONE_WRONG}, tried=(3, 0))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=orders(), until=st.sampled_from([8, 20, 33, 40]))
def test_one_incident_in_one_state(order: list[int], until: int) -> None:
    world = World()
    live(world, order, until)
    found = world.one()
    assert found.state == {8: "attributed", 20: "fixed", 33: "attributed", 40: "fixed"}[until]
    assert set(found.members) == {"attrs", "zope"}
    assert len(found.tracks) == 2
    latest = BROKEN_AGAIN if until >= BROKEN_AGAIN else BROKEN
    assert found.first_bad == f"{1_000_000 + latest:040x}"
    states = [step.state for step in found.transitions]
    assert all(
        step.state_before == before for step, before in zip(found.transitions, ["", *states], strict=False)
    )

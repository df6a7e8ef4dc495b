"""Whether a worker may have project runs, by what it says of its sandbox."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pybots.farm.configure import may_run_projects
from pybots.fleet.sandbox import INFO, sandbox_of
from pybots_worker.sandbox import owner


@pytest.mark.parametrize(
    ("told", "takes", "said"),
    [
        ("yes\n", True, ""),
        (None, True, ""),
        ("no: bubblewrap is missing", False, "takes no project runs: bubblewrap is missing"),
        ("no", False, "takes no project runs: "),
        ("allowed: none", True, "runs projects without a sandbox, as its owner allowed: none"),
        (["no"], True, ""),
        ("no: " + "x\n" * 10_000, False, "takes no project runs: " + ("x " * 150)),
    ],
)
def test_what_a_worker_tells(told: object, takes: bool, said: str) -> None:
    found = sandbox_of(told)
    assert (found.takes_runs, found.said.strip()) == (takes, said.strip())


def test_both_sides_use_the_same_name() -> None:
    assert owner.INFO == INFO


@pytest.mark.parametrize("told", ["yes", "no: bubblewrap is missing"])
def test_builder_asks_before_each_run(told: str) -> None:
    info = SimpleNamespace(getProperty={INFO: told}.get)
    worker = SimpleNamespace(worker=SimpleNamespace(info=info))
    assert may_run_projects(None, worker, None) is (told == "yes")

"""Carries out a run from its specification to its result."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import LOG_FILE, RESULT_FILE, Ending, Limits, RunResult, RunSpecification
from pybots_worker.processes import Finished, stop_if_alone
from pybots_worker.runs.environment import create_environment
from pybots_worker.runs.fetch import Fetched, fetch_source
from pybots_worker.runs.install import Installed, install
from pybots_worker.runs.interpreter import provide_interpreter
from pybots_worker.runs.leave import leave
from pybots_worker.runs.measured import no_room_in
from pybots_worker.runs.native_stack import native_stack
from pybots_worker.runs.phases import Announce, Phases, RunEndedError, one_line
from pybots_worker.runs.place import Place
from pybots_worker.runs.placeholders import problems
from pybots_worker.runs.scratch import place_for_scratch, remove_scratch
from pybots_worker.runs.selection import was_selected
from pybots_worker.runs.service import install_service, service_failure
from pybots_worker.runs.sound import FREE_BYTES_DURING, FULL, ClockWatch, machine_load, unless_clock_jumped
from pybots_worker.runs.steps import ENDINGS, OUT_OF_MEMORY
from pybots_worker.runs.suite import bound_report, run_suite
from pybots_worker.runs.top_levels import top_levels
from pybots_worker.sandbox.machine import grants
from pybots_worker.sandbox.words import refusal

FREE_BYTES_BEFORE = 500_000_000


@dataclass(slots=True)
class _Known:
    """What is known of a run so far."""

    phases: Phases
    fetched: Fetched | None = None
    installed: Installed | None = None
    finished: Finished | None = None
    top_levels: dict[str, str] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)


def carry_out(
    specification: RunSpecification,
    *,
    folder: Path,
    cache: Path,
    echo: bool = False,
    announce: Announce | None = None,
    without_sandbox: bool = False,
    wall_clock: Callable[[], float] = time.time,
) -> RunResult:
    """Do what a specification asks for in an empty folder, and write `report`, `log.zst` and `result.json` there.

    `result.json` comes last, so that where it is, all is. `cache` is kept from run to run. With `echo`, the
    head of the log is also printed as it comes; `announce` hears of each phase. Where this machine has no
    sandbox, it refuses (`worker-unfit`), unless `without_sandbox` says that the machine's owner allows that.
    However the run ends, there is a result; only StoppedError (we were told to stop) and mistakes of ours go
    through.
    """
    folder.mkdir(parents=True, exist_ok=True)
    limits = specification.limits
    log = BoundedLog(limits.log_bytes // 4, limits.log_bytes - limits.log_bytes // 4, echo=echo)
    place = Place(specification, folder.resolve(), cache.resolve(), log)
    known = _Known(Phases(log, announce))
    started, clock = time.monotonic(), ClockWatch(wall_clock)
    try:
        raise_without_sandbox(allowed=without_sandbox)
        _do(place, known)
        ending, detail = _ending(place, known.finished)
    except RunEndedError as error:
        ending, detail = error.ending, error.detail
    except OSError as error:
        ending, detail = _of_system(place, known, error)
    finally:
        with contextlib.suppress(OSError):  # the next job in this folder tries again
            remove_scratch(place.folder)
    ending, detail = unless_clock_jumped(clock, ending, detail)
    log.say(f"\n{ending}{': ' + detail if detail else ''}\n")
    result = _result(place, known, ending, detail, time.monotonic() - started)
    stop_if_alone()
    leave(place, LOG_FILE, log.compressed())
    leave(place, RESULT_FILE, result.model_dump_json(indent=1).encode())
    return result


def _of_system(place: Place, known: _Known, error: OSError) -> tuple[Ending, str]:
    """Whose fault it is what the system complained of: the project's, where its own files are in the way."""
    if error.errno in FULL:
        return Ending.UNFIT, one_line(f"the disk is full: {error}")
    if known.fetched and place.is_in_the_way(error):
        return Ending.INSTALL_FAILED, one_line(f"what the project left behind is in the way: {error}")
    return Ending.UNFIT, one_line(f"this machine failed: {error}")


def _do(place: Place, known: _Known) -> None:
    phases = known.phases
    _check(place)
    place.prepare()
    with phases.run("fetch interpreter"):
        provided = provide_interpreter(place)
        place = replace(place, shown=provided.shown)
    with phases.run("create environment"):
        create_environment(place, provided.python)
    with phases.run("fetch source"):
        known.fetched = fetch_source(place, provided.python)
    known.installed = install(place, phases, provided)
    known.top_levels = top_levels(place.venv)
    install_service(place, phases)
    with phases.run("suite"):
        before = machine_load()
        known.finished = run_suite(place)
        known.load = [*before, *machine_load()]


def raise_without_sandbox(*, allowed: bool) -> None:
    """Raise RunEndedError(`worker-unfit`) where this machine cannot shut a project in, and nobody allowed it."""
    lack = grants().lack
    if lack and not allowed:
        raise RunEndedError(Ending.UNFIT, refusal(lack))


def _check(place: Place) -> None:
    specification = place.specification
    place.cache.mkdir(parents=True, exist_ok=True)
    wrong = problems(
        install=specification.install or [],
        command=specification.command,
        environment=specification.environment,
        report=specification.report,
        deselected=specification.deselected,
        service=specification.service,
    )
    if wrong:
        raise RunEndedError(Ending.INSTALL_FAILED, f"the recipe is wrong: {wrong[0]}")
    for folder in (place.folder, place_for_scratch()):
        free = shutil.disk_usage(folder).free
        if free < FREE_BYTES_BEFORE:
            raise RunEndedError(
                Ending.UNFIT, f"the disk is full: {free // 1_000_000} MB are free at {folder}"
            )


def _ending(place: Place, finished: Finished | None) -> tuple[Ending, str]:
    """How the suite ended; what its report says is the master's to judge."""
    assert finished is not None
    limits = place.specification.limits
    free = finished.free_bytes
    if not finished.met and free is not None and free < FREE_BYTES_DURING:
        return Ending.UNFIT, f"the disk was full during the suite: only {free // 1_000_000} MB were free"
    if not finished.met and not finished.succeeded:
        if finished.memory_ran_out:  # who of the suite was killed for it does not matter
            return Ending.UNFIT, OUT_OF_MEMORY
        full = no_room_in(place)
        if full:
            return Ending.UNFIT, f"the disk is full: nothing can be written to {full}"
    ending, said = _how(finished, limits)
    missing = service_failure(place) if ending is Ending.EXITED else ""
    if missing:
        return Ending.ENVIRONMENT_FAILED, missing
    return ending, one_line("; ".join(filter(None, [said, *finished.notes])))


def _how(finished: Finished, limits: Limits) -> tuple[Ending, str]:
    if finished.met:
        return ENDINGS[finished.ending], f"the suite {finished.met}"
    if finished.ending == "wall-limit":
        return Ending.WALL_LIMIT, f"the suite took longer than {limits.wall_seconds:g} s"
    if finished.ending == "quiet-limit":
        detail = f"the suite neither printed anything nor used the CPU for {limits.quiet_seconds:g} s"
        return Ending.QUIET_LIMIT, detail
    if finished.signal:
        return Ending.CRASHED, f"the suite was ended by {finished.signal}"
    return Ending.EXITED, ""


def _result(place: Place, known: _Known, ending: Ending, detail: str, seconds: float) -> RunResult:
    finished, fetched = known.finished, known.fetched
    present, cut = bound_report(place)
    return RunResult(
        key=place.specification.key,
        ending=ending,
        detail=detail,
        exit_status=finished.exit_status if finished else None,
        signal=finished.signal if finished else "",
        revision=one_line(fetched.revision) if fetched else "",
        source_sha256=fetched.sha256 if fetched else None,
        lock=known.installed.lock if known.installed else None,
        environment_digest=known.installed.environment_digest if known.installed else None,
        phases=known.phases.done,
        seconds=seconds,
        suite_seconds=finished.seconds if finished else 0,
        load=known.load,
        report_present=present,
        report_truncated=cut or bool(finished and finished.truncated),
        log_truncated=place.log.truncated,
        top_levels=known.top_levels,
        native_stack=_native_stack(place) if finished and finished.signal else "",
        tests_selected=place.specification.tests is not None and was_selected(place.selected),
    )


def _native_stack(place: Place) -> str:
    return native_stack(place.log.contents().decode("utf-8", "replace").replace("\0", "\ufffd"))

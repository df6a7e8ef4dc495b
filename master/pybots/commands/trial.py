"""Runs a recipe on this machine with a worker's own code, and reads what came of it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import zstandard

from pybots.registry.registry import Registered
from pybots.results.outcome import BAD, Outcome, Report, TestResult
from pybots.results.parse import parse_report
from pybots.runs.conclude import Conclusion, ReportSummary, conclude
from pybots.runs.plan import source_of, specification_for
from pybots_worker.contract import (
    LOG_FILE,
    REPORT_FILE,
    FolderSource,
    LocalInterpreter,
    Packages,
    Phase,
    RunResult,
    RunSpecification,
)
from pybots_worker.runs.carry_out import carry_out

LOG = "log.txt"
KEPT = (LOG, REPORT_FILE, "result.json")
LOG_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a run: `folder` holds its log and its report."""

    specification: RunSpecification
    result: RunResult
    report: Report
    conclusion: Conclusion
    folder: Path

    def counts(self) -> dict[str, int]:
        """Return how many tests there were of each kind, as the farm counts them."""
        counts = self.report.counts()
        named = {outcome.value: counts[outcome] for outcome in Outcome if outcome is not Outcome.ABSENT}
        left_out = self.report.deselected
        return {
            "collected": max(self.report.collected or 0, len(self.report.results)),
            **named,
            "deselected": len(self.specification.deselected) if left_out is None else left_out,
        }

    def bad(self) -> list[TestResult]:
        """Return the tests that failed, in the report's order."""
        return [result for result in self.report.results.values() if result.outcome in BAD]


def carry_out_here(
    registered: Registered,
    *,
    python: Path,
    packages: Packages,
    cache: Path,
    keep: bool,
    echo: bool,
    announce: Callable[[str, Phase | None], None],
    without_sandbox: bool = False,
) -> Trial:
    """Run *registered* with *python* in a new temporary folder; with *keep*, source and environment stay there."""
    name = registered.recipe.project.name
    specification = specification_for(
        registered,
        key=f"try~{name}~{int(time.time())}",
        source=source_of(registered.recipe, folder_archive=_folder(registered)),
        interpreter=LocalInterpreter(path=str(python)),
        packages=packages,
    )
    folder = Path(tempfile.mkdtemp(prefix=f"pybots-try-{name}-"))
    try:
        result = carry_out(
            specification,
            folder=folder,
            cache=cache,
            echo=echo,
            announce=announce,
            without_sandbox=without_sandbox,
        )
        _unpack_log(folder)
    finally:
        if not keep:
            _remove_all_but(folder, KEPT)
    report = _report(folder, result, specification)
    return Trial(specification, result, report, conclude(result, _summary(specification, report)), folder)


def _folder(registered: Registered) -> FolderSource | None:
    path = registered.recipe.source.path
    return FolderSource(path=str((registered.file.parent / path).resolve())) if path else None


def _report(folder: Path, result: RunResult, specification: RunSpecification) -> Report:
    if not result.report_present:
        return Report()
    with (folder / REPORT_FILE).open("rb") as stream:
        return parse_report(specification.report, stream)


def _summary(specification: RunSpecification, report: Report) -> ReportSummary:
    return ReportSummary(
        format=specification.report,
        problem=report.problem,
        counts={outcome.value: count for outcome, count in report.counts().items()},
        collection_errors=report.collection_errors,
        under_way=report.under_way,
        asked=None if specification.tests is None else len(specification.tests),
    )


def _unpack_log(folder: Path) -> None:
    with (folder / LOG_FILE).open("rb") as packed, (folder / LOG).open("wb") as plain:
        reader = zstandard.ZstdDecompressor().stream_reader(packed)
        plain.write(reader.read(LOG_BYTES))


def _remove_all_but(folder: Path, kept: tuple[str, ...]) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in kept:
            path.unlink(missing_ok=True)

"""Draws the facts of `pybots show` for a terminal; nothing that strangers wrote reaches it unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pybots.interpreters.store_verify import StoreSize
from pybots.site import facts, words
from pybots.site.api import ProjectStanding, Status
from pybots.site.built import built, variants
from pybots.site.grid import numbers
from pybots.site.harmless import bounded
from pybots.site.times import ago, duration, size

SHAPES = {
    words.Mark.GOOD: ("✓", "green"),
    words.Mark.LOOK: ("▲", "yellow"),
    words.Mark.STOPPED: ("■", "magenta"),
    words.Mark.FARM: ("◆", "bright_black"),
    words.Mark.WAITING: ("…", "blue"),
    words.Mark.NONE: ("-", "bright_black"),
    words.Mark.ACT: ("!", "bold red"),
}


# Short by nature: in a narrow terminal, what folds is the rest.
WHOLE = {"status", "state", "tests", "commit", "time", "when", "since", "phase", "ended", "kind"}


def _said(word: words.Word) -> Text:
    shape, style = SHAPES[word.mark]
    return Text(f"{shape} {word.label}", style)


def _text(value: str, longest: int = 200) -> Text:
    # Text, not str: rich would read [brackets] in a str as its own markup.
    return Text(bounded(value, longest))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in WHOLE)
    return table


def status(said: Status, now: datetime) -> RenderableType:
    """How things stand, in sentences."""
    lines = [Text(said.sentence, "bold")]
    for banner in said.banners:
        shape, style = SHAPES[banner.mark]
        lines.append(Text(f"{shape} {bounded(banner.title)}: {bounded(banner.text)}", style))
    if said.newest_result_at:
        lines.append(_text(f"The newest result came {ago(said.newest_result_at, now)}."))
    if said.farm:
        lines.append(_text(f"{said.farm.workers_connected} of {said.farm.workers} workers connected."))
    if said.farm and said.farm.master_at:
        lines.append(_text(f"The master was heard of {ago(said.farm.master_at, now)}."))
    return Group(*lines)


def store(size: StoreSize, _now: datetime) -> RenderableType:
    """What the stored interpreters take."""
    taken, limit = size.stored_bytes / 1e9, size.limit_bytes / 1e9
    return _text(
        f"{size.artifacts} artifacts of {size.files} files take {taken:.2f} GB of the {limit:.1f} GB that they may."
    )


def projects(standings: Sequence[ProjectStanding], now: datetime) -> RenderableType:
    """The newest run of every project on every track."""
    table = _table("project", "track", "status", "tests", "commit", "when")
    for standing in standings:
        if standing.project.problem:
            aside = Text("! recipe set aside", "bold red")
            table.add_row(_text(standing.project.name), "", aside, _text(standing.project.problem), "", "")
        for run_ in standing.newest:
            said = _said(words.of_run(run_.state, run_.status))
            tests = numbers(run_.status, run_.counts)
            when = ago(run_.finished_at or run_.wanted_at, now)
            table.add_row(_text(run_.project), _text(run_.track.name), said, tests, run_.commit[:10], when)
        if not standing.newest and not standing.project.problem:
            table.add_row(_text(standing.project.name), "", Text("- not run yet", "bright_black"), "", "", "")
    return table


def runs(found: Sequence[facts.Run], now: datetime) -> RenderableType:
    """Runs, one a line, the key last so that it can be copied."""
    table = _table("status", "project", "track", "tests", "worker", "time", "when", "key")
    for run_ in found:
        table.add_row(
            _said(words.of_run(run_.state, run_.status)),
            _text(run_.project),
            _text(run_.track.name),
            numbers(run_.status, run_.counts),
            _text(run_.worker),
            duration(run_.seconds) if run_.finished_at else "",
            ago(run_.finished_at or run_.started_at or run_.wanted_at, now),
            _text(run_.key),
        )
    return table


def run(details: facts.RunDetails, now: datetime) -> RenderableType:
    """One run: its status in words, its numbers, its failing tests."""
    found = details.run
    word = words.of_run(found.state, found.status)
    counts = found.counts
    lines: list[RenderableType] = [
        Text.assemble(_said(word), f"  {word.meaning}"),
        _text(found.detail),
        _text(f"{found.project} {found.revision} on {found.track.name}, commit {found.commit}"),
        _text(f"worker {found.worker or '-'}, {ago(found.finished_at or found.wanted_at, now)}"),
        Text(
            f"{counts.collected} collected, {counts.passed} passed, {counts.failed} failed, "
            f"{counts.error} in error, {counts.skipped} skipped, {counts.deselected} deselected"
        ),
        _phases(details.phases),
    ]
    for test in details.failing:
        lines += [Text(f"\n▲ {bounded(test.test)} {test.outcome}", "yellow")]
        lines += [_text(test.traceback or test.message, 500)]
    left = details.failing_total - len(details.failing)
    return Group(*lines, *([Text(f"and {left} more failing tests")] if left > 0 else []))


def interpreter(details: facts.InterpreterDetails, now: datetime) -> RenderableType:
    """One interpreter: its status in words, its proof, the end of its log."""
    made = details.interpreter
    word = words.of_interpreter(made.state, made.status)
    lines: list[RenderableType] = [
        Text.assemble(_said(word), f"  {word.meaning}"),
        _text(made.detail),
        _text(f"commit {made.commit} on {made.track.name}, {ago(made.finished_at or made.wanted_at, now)}"),
    ]
    if made.inherited_from:
        lines.append(_text(f"inherited from {made.inherited_from}"))
    if made.artifact:
        lines.append(_text(f"artifact {made.artifact}, {size(details.tree_bytes)}"))
    if details.proof:
        lines += [_text(f"{name}: {said}") for name, said in details.proof.checks.items()]
        lines += [_text(f"{at.module} is missing: install {at.package}") for at in details.proof.missing]
    return Group(*lines, _phases(details.phases), _text(details.log_tail, 500))


def _phases(phases: Sequence[facts.Phase]) -> RenderableType:
    table = _table("phase", "ended", "time")
    for phase in phases:
        table.add_row(_text(phase.name), "done" if phase.succeeded else "failed", duration(phase.seconds))
    return table


def commits(found: Sequence[facts.Commit], now: datetime) -> RenderableType:
    """Commits: how each was classified, and what was built of it."""
    table = _table("commit", "branch", "touches", "built", "when", "subject")
    for commit in found:
        said = [f"{entry.text} {variants(entry.interpreters)}".strip() for entry in built(commit)]
        table.add_row(
            commit.sha[:10],
            _text(commit.branch),
            words.of_touches(commit.touches)[0],
            _text("; ".join(said)),
            ago(commit.committed_at, now),
            _text(commit.subject),
        )
    return table


def queue(found: facts.Queue, now: datetime) -> RenderableType:
    """What is wanted or under way."""
    table = _table("state", "kind", "what", "worker", "since")
    for made in found.interpreters:
        said = _said(words.of_interpreter(made.state, made.status))
        since = ago(made.started_at or made.wanted_at, now)
        table.add_row(said, "interpreter", _text(made.key), _text(made.worker), since)
    for run_ in found.runs:
        said = _said(words.of_run(run_.state, run_.status))
        since = ago(run_.started_at or run_.wanted_at, now)
        table.add_row(said, "run", _text(run_.key), _text(run_.worker), since)
    return table


def workers(found: Sequence[facts.Worker], now: datetime) -> RenderableType:
    """The donated workers."""
    table = _table("worker", "state", "platform", "owner", "doing", "since", "record")
    for worker in found:
        state = Text("✓ connected", "green") if worker.connected else Text("◆ away", "bright_black")
        since = ago(worker.changed_at, now)
        texts = [_text(text) for text in (worker.platform, worker.owner, worker.doing)]
        table.add_row(_text(worker.name), state, *texts, since, _record(worker.faults, now))
    return table


def _record(faults: Sequence[facts.Fault], now: datetime) -> Text:
    """What a worker was seen to do wrong: the last of it, and how much there is."""
    if not faults:
        return _text("")
    more = f" (and {len(faults) - 1} before)" if len(faults) > 1 else ""
    return _text(f"{ago(faults[0].at, now)}: {faults[0].what}{more}")

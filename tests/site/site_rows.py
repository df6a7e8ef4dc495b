"""A farm's results database, filled with rows as real as they can be made without a farm."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import zstandard
from sqlalchemy.orm import Session

from pybots.database import tables as t

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
PLATFORM = "linux-x86_64-glibc"


def sha(number: int) -> str:
    return hashlib.sha1(f"commit {number}".encode()).hexdigest()


def minutes(count: float) -> datetime:
    """So many minutes before NOW."""
    return NOW - timedelta(minutes=count)


class SiteRows:
    """Adds rows; every method returns the row, flushed."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def _add(self, row: Any) -> Any:
        self.session.add(row)
        self.session.flush()
        return row

    def branch(self, name: str = "main", **values: Any) -> t.Branch:
        return self._add(t.Branch(**{"name": name, "polled_at": minutes(0.2), "problem": ""} | values))

    def commit(self, branch: t.Branch, number: int, **values: Any) -> t.Commit:
        selection = values.pop("selection", "build")
        row = self._add(
            t.Commit(
                **{
                    "sha": sha(number),
                    "parent_sha": sha(number - 1),
                    "author_name": "Ada Löwe",
                    "author_email": "ada@example.org",
                    "committed_at": minutes(600 - 40 * number),
                    "subject": f"gh-{140000 + number}: Change {number}",
                    "touches": "native",
                    "files_changed": 3,
                }
                | values
            )
        )
        self._add(t.BranchCommit(branch_id=branch.id, position=number, commit_id=row.id, selection=selection))
        branch.head_commit_id = row.id
        self.session.flush()
        return row

    def track(self, branch: t.Branch, variant: str = "default", platform: str = PLATFORM) -> t.Track:
        return self._add(t.Track(branch_id=branch.id, variant=variant, platform=platform))

    def interpreter(self, track: t.Track, commit: t.Commit, position: int, **values: Any) -> t.InterpreterRow:
        return self._add(
            t.InterpreterRow(
                **{
                    "key": f"main~{track.variant}~{track.platform}~{commit.sha[:16]}",
                    "track_id": track.id,
                    "commit_id": commit.id,
                    "position": position,
                    "state": "finished",
                    "status": "proven",
                    "worker": "andromeda-1",
                    "wanted_at": minutes(60),
                    "started_at": minutes(58),
                    "finished_at": minutes(52),
                    "seconds": 347.2,
                    "clean_build": False,
                    "phases": phases(
                        fetch=4.1, configure=31.8, compile=247.5, install=41.2, prove=18.4, pack=4.2
                    ),
                    "proof": json.dumps(PROOF),
                }
                | values
            )
        )

    def artifact(self, number: int) -> t.ArtifactRow:
        digest = hashlib.sha256(f"artifact {number}".encode()).hexdigest()
        sizes = {"added_bytes": 61_200_000, "tree_bytes": 231_000_000}
        return self._add(t.ArtifactRow(digest=digest, stored_at=minutes(50), **sizes))

    def project(self, name: str, **values: Any) -> t.ProjectRow:
        recipe = values.pop("recipe", None)
        if recipe is None:
            recipe = json.dumps(recipe_of(name, **values.pop("sections", {})))
        return self._add(
            t.ProjectRow(
                **{"name": name, "summary": SUMMARIES.get(name, ""), "url": f"https://{name}.example.org/"}
                | {"recipe": recipe}
                | values
            )
        )

    def environment(self, name: str) -> t.EnvironmentRow:
        digest = hashlib.sha256(name.encode()).hexdigest()
        lock = "".join(
            f"{at} \\\n    --hash=sha256:{digest}\n" for at in ("iniconfig==2.3.0", "pytest==9.2.0")
        )
        return self._add(
            t.EnvironmentRow(digest=digest, requirements=lock, build_constraints="hatchling==1.28.0\n")
        )

    def run(
        self, project: t.ProjectRow, made: t.InterpreterRow, status: str = "passed", **values: Any
    ) -> t.RunRow:
        serial = values.pop("serial", 0)
        finished = status not in {"wanted", "requested", "running"}
        counts = {"collected": 100, "passed": 97, "skipped": 3} if finished else {}
        return self._add(
            t.RunRow(
                **{
                    "key": f"{project.name}~{made.key}~{serial}",
                    "project_id": project.id,
                    "track_id": made.track_id,
                    "interpreter_id": made.id,
                    "place": made.position * t.PLACES_PER_COMMIT + serial,
                    "role": "subject",
                    "state": "finished" if finished else status,
                    "status": status if finished else "",
                    "specification": json.dumps(
                        {"command": ["{python}", "-m", "pytest", "-q", "--junit-xml={report}", "tests"]}
                    ),
                    "worker": "andromeda-2" if finished else "",
                    "revision": "25.3.0",
                    "complete": status in {"passed", "tests-failed"},
                    "wanted_at": minutes(12),
                    "started_at": minutes(9) if finished else None,
                    "finished_at": minutes(4) if finished else None,
                    "seconds": 83.4 if finished else 0.0,
                    "suite_seconds": 41.7 if finished else 0.0,
                    "phases": phases(fetch=1.2, environment=14.8, install=6.3, suite=41.7, report=0.4)
                    if finished
                    else "[]",
                }
                | counts
                | values
            )
        )

    def failing(
        self, run: t.RunRow, test: str, message: str, traceback: str, outcome: str = "failed"
    ) -> None:
        row = self._add(t.TestRow(project_id=run.project_id, name=test))
        digest = hashlib.sha256(f"{run.id} {test}{message}{traceback}".encode()).hexdigest()
        failure = self._add(
            t.FailureRow(
                digest=digest,
                signature=digest,
                exception=message.split(":", 1)[0][:200],
                message=message.partition(": ")[2] or message,
                traceback=traceback,
            )
        )
        self._add(
            t.IntervalRow(
                test_id=row.id,
                track_id=run.track_id,
                project_id=run.project_id,
                first_place=run.place,
                outcome=outcome,
                failure_id=failure.id,
            )
        )

    def log(self, run: t.RunRow, text: str) -> None:
        self._add(t.RunLog(run_id=run.id, compressed=zstandard.compress(text.encode())))

    def heartbeat(self, seconds: float = 4) -> None:
        at = NOW - timedelta(seconds=seconds)
        self._add(t.Heartbeat(process="master", started_at=minutes(1500), at=at))

    def condition(self, name: str, text: str, since: datetime) -> None:
        self._add(t.Condition(name=name, text=text, since=since))

    def worker(self, name: str, **values: Any) -> None:
        self._add(
            t.WorkerRow(
                **{"name": name, "platform": PLATFORM, "owner": "Grace", "connected": True}
                | {"changed_at": minutes(190), "doing": ""}
                | values
            )
        )


def phases(**seconds: float) -> str:
    return json.dumps([{"name": name, "seconds": took, "succeeded": True} for name, took in seconds.items()])


def recipe_of(name: str, **sections: Any) -> dict[str, Any]:
    return {
        "project": {"name": name, "contacts": [f"maintainers@{name}.example.org"]},
        "source": {"pypi": name},
        "test": {
            "command": ["{python}", "-m", "pytest", "--junit-xml={report}", "{deselect}"],
            "report": "junit",
        },
        "tracks": {"variants": ["default", "debug"]},
    } | sections


SUMMARIES = {
    "attrs": "Classes without boilerplate",
    "click": "Composable command line interfaces",
    "django": "The web framework for perfectionists with deadlines",
    "markupsafe": "Escapes untrusted text for HTML; a C extension",
    "twisted": "An event-driven networking engine",
}
PROOF = {
    "version": "3.16.0a2+ (main, Nov 22 2026, 13:31:05) [GCC 12.2.0]",
    "cache_tag": "cpython-316",
    "modules": [
        "bz2",
        "ctypes",
        "curses",
        "hashlib",
        "lzma",
        "readline",
        "sqlite3",
        "ssl",
        "uuid",
        "zlib",
        "zoneinfo",
    ],
    "missing": [{"module": "dbm.gnu", "package": "libgdbm-dev", "error": "No module named '_gdbm'"}],
    "checks": {"pip": "ok", "venv": "ok", "extension": "ok"},
}
COMMITS = (
    ("native", "build", "gh-141201: Keep the frame alive while its locals are read"),
    ("documentation", "inherit", "gh-141188: Say when ssl.SSLContext.verify_flags changed"),
    ("library", "build", "gh-141160: Let argparse suggest the nearest choice"),
    ("library", "not-built", "gh-141154: Speed up fractions.Fraction.limit_denominator"),
    ("native", "not-built", "gh-141150: Move the tier 2 optimizer's stack into the thread state"),
    ("native", "build", "gh-141122: Use stack references for LOAD_ATTR in the interpreter loop"),
    ("tests", "build", "gh-141119: test_asyncio waits for its subprocesses"),
    ("documentation", "inherit", "Docs: mend the links to the C API's glossary"),
    ("native", "build", "gh-141101: Report the position of unterminated f-strings"),
    ("library", "build", "gh-141090: Keep the order of keys in configparser's default section"),
    ("documentation", "inherit", "gh-141077: Tell how venv finds its base interpreter"),
    ("native", "build", "gh-141065: Fix a crash in the cyclic collector on deep containers"),
)
TRACEBACK = """\
    def test_help_of_nested_group(runner):
        result = runner.invoke(cli, ["db", "--help"])
>       assert result.output == EXPECTED
E       AssertionError: assert 'usage: cli d...' == 'Usage: cli d...'
E         - Usage: cli db [OPTIONS] COMMAND [ARGS]...
E         ? ^
E         + usage: cli db [OPTIONS] COMMAND [ARGS]...
E         ? ^

tests/test_commands.py:214: AssertionError"""


def fill(session: Session) -> None:
    """Five projects on two tracks, twelve commits of every kind."""
    rows = SiteRows(session)
    rows.heartbeat()
    main = rows.branch()
    tracks = [rows.track(main), rows.track(main, "debug")]
    made = _interpreters(rows, main, tracks)
    names = ("attrs", "click", "django", "markupsafe", "twisted")
    projects = {name: rows.project(name, sections=_sections(name)) for name in names}
    _history(rows, projects, made)
    _newest(rows, projects, made)
    rows.worker("andromeda-1", doing="making an interpreter: main · debug at 9f31c07e55")
    rows.worker("andromeda-2", doing="running twisted on main · default")
    rows.worker("pegasus-1", owner="Barbara", connected=False, changed_at=minutes(2900))


def _sections(name: str) -> dict[str, Any]:
    if name == "twisted":
        reason = "It opens a connection to a public name server, which the sandbox does not let it do."
        tests = ["twisted.names.test.test_client", "twisted.test.test_udp.MulticastTests.test_joinLeave"]
        return {"deselect": [{"tests": tests, "reason": reason}]}
    return {"tracks": {"variants": ["default"]}} if name == "django" else {}


def _interpreters(
    rows: SiteRows, main: t.Branch, tracks: list[t.Track]
) -> dict[tuple[int, str], t.InterpreterRow]:
    made: dict[tuple[int, str], t.InterpreterRow] = {}
    count = len(COMMITS)
    for number in range(1, count + 1):
        touches, selection, subject = COMMITS[count - number]
        commit = rows.commit(main, number, touches=touches, subject=subject, selection=selection)
        for track in tracks:
            last = made.get((number - 1, track.variant))
            if selection == "inherit" and last:
                origin = last.inherited_from_id or last.id
                nothing = {"phases": "[]", "proof": "", "worker": "", "clean_build": None, "seconds": 0.0}
                made[number, track.variant] = rows.interpreter(
                    track, commit, number, status="inherited", inherited_from_id=origin, **nothing
                )
            elif selection == "build":
                made[number, track.variant] = _built(rows, track, commit, number)
    return made


def _built(rows: SiteRows, track: t.Track, commit: t.Commit, number: int) -> t.InterpreterRow:
    if number == len(COMMITS) and track.variant == "debug":
        return rows.interpreter(
            track,
            commit,
            number,
            state="running",
            status="",
            finished_at=None,
            started_at=minutes(3),
            seconds=0.0,
            phases="[]",
            proof="",
            clean_build=None,
        )
    if number == 7 and track.variant == "debug":
        tail = "Python/bytecodes.c:2214: error: 'stackref' undeclared\nmake: *** [Makefile:3187] Error 1"
        return rows.interpreter(
            track,
            commit,
            number,
            status="compile-failed",
            detail="make ended with status 2",
            proof="",
            log_tail=tail,
            clean_build=True,
            fell_back=True,
            phases=phases(fetch=4.0, configure=31.2)[:-1]
            + ', {"name": "compile", "seconds": 176.8, "succeeded": false}]',
            seconds=212.0,
        )
    artifact = rows.artifact(2 * number + (track.variant == "debug"))
    return rows.interpreter(
        track, commit, number, artifact_id=artifact.id, finished_at=minutes(600 - 40 * number)
    )


SIZES = {"attrs": 1411, "click": 1346, "django": 18602, "markupsafe": 79, "twisted": 12873}


def _counts(name: str, failed: int = 0, skipped: int = 0) -> dict[str, int]:
    return {
        "collected": SIZES[name],
        "failed": failed,
        "skipped": skipped,
        "passed": SIZES[name] - failed - skipped,
    }


def _history(rows: SiteRows, projects: dict[str, t.ProjectRow], made: dict[tuple[int, str], Any]) -> None:
    for (number, variant), interpreter in made.items():
        if number >= 10 or interpreter.status != "proven":
            continue
        for name, project in projects.items():
            if name == "django" and variant == "debug":
                continue
            status = "worker-lost" if (number, name) == (4, "attrs") else "passed"
            counts = (
                _counts(name, skipped=12)
                if status == "passed"
                else {"collected": 0, "passed": 0, "skipped": 0}
            )
            then = 600 - 40 * number - 8
            times = {"wanted_at": minutes(then + 9), "finished_at": minutes(then)}
            rows.run(project, interpreter, status, **counts, **times)


def _newest(rows: SiteRows, projects: dict[str, t.ProjectRow], made: dict[tuple[int, str], Any]) -> None:
    newest, debug = made[12, "default"], made[10, "debug"]
    lock = rows.environment("click")
    rows.run(projects["attrs"], newest, **_counts("attrs", skipped=9))
    rows.run(projects["attrs"], debug, **_counts("attrs", skipped=9), finished_at=minutes(71))
    click = rows.run(
        projects["click"],
        newest,
        "tests-failed",
        environment_id=lock.id,
        revision="8.5.1",
        **_counts("click", failed=3, skipped=22),
    )
    for test in ("test_help_of_nested_group", "test_usage_is_capitalised", "test_group_without_command"):
        rows.failing(
            click, f"tests/test_commands.py::{test}", "AssertionError: assert 'usage: cli d...'", TRACEBACK
        )
    rows.log(click, LOG)
    rows.run(projects["click"], debug, **_counts("click", skipped=22), finished_at=minutes(70))
    rows.run(
        projects["django"],
        newest,
        "timed-out",
        detail="no output and no CPU time for 600 seconds",
        **_counts("django") | {"passed": 9120, "collected": 9120},
        seconds=1841.0,
        suite_seconds=1790.0,
    )
    nothing = {"collected": 0, "passed": 0, "skipped": 0}
    rows.run(
        projects["markupsafe"],
        newest,
        "install-failed",
        detail="building the wheel: gcc ended with 1",
        **nothing,
    )
    rows.run(projects["twisted"], newest, "running", started_at=minutes(2), worker="andromeda-2")
    rows.run(projects["twisted"], debug, "wanted")


LOG = "\n".join(
    [
        "$ python -m pytest -q --junit-xml=report tests",
        *(f"tests/test_{name}.py {'.' * 60} [{share:3d}%]" for name, share in zip(
            ("arguments", "basic", "chain", "commands", "context", "custom_classes", "defaults", "formatting",
             "imports", "info_dict", "normalization", "options", "parser", "shell_completion", "termui",
             "testing", "types", "utils"), range(5, 100, 5), strict=False)),
        "\x1b[31mFAILED\x1b[0m tests/test_commands.py::test_help_of_nested_group - AssertionError",
        "FAILED tests/test_commands.py::test_usage_is_capitalised - AssertionError",
        "FAILED tests/test_commands.py::test_group_without_command - AssertionError",
        "3 failed, 1321 passed, 22 skipped in 41.70s",
    ]
)  # fmt: skip

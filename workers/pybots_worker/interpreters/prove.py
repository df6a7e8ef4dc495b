"""Proves an installed interpreter where it is now, and judges what the proof saw."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

import pybots_worker
from pybots_worker.contract import Line, MissingModule, Proof, Shape
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.processes import BoundedLog, run_limited

_SCRIPT = Path(pybots_worker.__file__).with_name("under_test") / "pybots_proof.py"
_OUTPUT_BYTES = 1_000_000


class _Missing(Shape):
    module: Line
    package: Line
    error: Line
    required: bool
    built: bool


class _Seen(Shape):
    version: Line
    cache_tag: Line
    prefix: str
    modules: Annotated[list[Line], Field(max_length=200)]
    missing: Annotated[list[_Missing], Field(max_length=200)]
    checks: Annotated[dict[Line, Line], Field(max_length=50)]


def prove_interpreter(
    python: Path,
    environment: Mapping[str, str],
    log: BoundedLog,
    wall_seconds: float,
    folder: Path,
    *,
    quick: bool = False,
    library_only: bool = False,
) -> tuple[Proof | None, str]:
    """Run the proof and return it with what is wrong; empty for a good one.

    With `quick`, only its imports. With `library_only` it needs no compiler, and is for an interpreter of which nothing
    but files of the library differs from one that was proven: what it leaves out, and why, is said in the script.
    It works in `folder`, which must not exist and is removed. Raises OSError where this machine cannot run programs.
    """
    folder.mkdir()
    work = folder / "work"
    work.mkdir()
    try:
        how = ["--quick"] if quick else ["--library", str(work)] if library_only else [str(work)]
        return _prove(python, how, environment, log, wall_seconds, folder)
    finally:
        remove_tree(folder)


def _prove(
    python: Path,
    how: Sequence[str],
    environment: Mapping[str, str],
    log: BoundedLog,
    wall_seconds: float,
    folder: Path,
) -> tuple[Proof | None, str]:
    output, work = folder / "proof.json", folder / "work"
    try:
        finished = run_limited(
            [str(python), "-I", "-B", str(_SCRIPT), *how],
            cwd=work,
            environment={
                **environment,
                "HOME": str(work),
                "TMPDIR": str(work),
                "PIP_CONFIG_FILE": os.devnull,
            },
            log=log,
            wall_seconds=wall_seconds,
            stdout_to=output,
            stdout_bytes=_OUTPUT_BYTES,
        )
    except OSError as error:
        return None, f"{python.name} cannot be started: {error.strerror}"
    if not finished.succeeded:
        how = finished.signal or finished.ending
        return None, f"the proof did not end well: {how}, exit status {finished.exit_status}"
    return _read(output.read_bytes())


def _read(output: bytes) -> tuple[Proof | None, str]:
    try:
        seen = _Seen.model_validate(json.loads(output.splitlines()[-1]))
    except (IndexError, ValueError, ValidationError) as error:
        return None, f"the proof printed what cannot be read: {str(error)[:200]}"
    missing = [MissingModule(module=m.module, package=m.package, error=m.error) for m in seen.missing]
    proof = Proof(
        version=seen.version,
        cache_tag=seen.cache_tag,
        modules=seen.modules,
        missing=missing,
        checks=seen.checks,
    )
    return proof, _what_is_wrong(seen)


def _what_is_wrong(seen: _Seen) -> str:
    """A required module that is missing, any module that was built and does not import, any check that failed."""
    fatal = [module for module in seen.missing if module.required or module.built]
    problems = [_describe(module) for module in fatal]
    problems += [f"{name}: {result}" for name, result in seen.checks.items() if result != "ok"]
    return "; ".join(problems)[:500]


def _describe(module: _Missing) -> str:
    package = f" (Debian's package {module.package} provides what it needs)" if module.package else ""
    return f"{module.module} does not import: {module.error}{package}"

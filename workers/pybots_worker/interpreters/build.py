"""Makes one interpreter: fetched, configured, compiled, installed, packed and proven, in its branch's tree."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pybots_worker.contract import (
    Artifact,
    InterpreterResult,
    InterpreterSpecification,
    InterpreterStatus,
    Proof,
)
from pybots_worker.interpreters import install, source
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.interpreters.machine import Fault, MachineError
from pybots_worker.interpreters.pack import ARCHIVE_NAME, pack_tree
from pybots_worker.interpreters.phases import CommandError, PhaseFailedError, Phases
from pybots_worker.interpreters.plan import Built, Plan, Seen, Wanted, plan_build
from pybots_worker.interpreters.prove import prove_interpreter
from pybots_worker.interpreters.toolchain import Toolchain, find_toolchain
from pybots_worker.interpreters.tree import Tree, claim_tree
from pybots_worker.interpreters.unpack import ArchiveRejectedError, unpack_artifact


def build_interpreter(
    specification: InterpreterSpecification, *, trees: Path, output: Path, cache: Path, echo: bool = True
) -> InterpreterResult:
    """Make the interpreter that is asked for; a proven one is packed in `output`/artifact.tar.zst.

    What the commands print goes to our standard output, too, unless `echo` is off. Raises TreeBusyError where another
    process holds the tree, and OSError where this machine or the git server is at fault (the disk is full, memory is
    short, a program is missing, nobody answers).
    """
    output.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    wait_seconds = specification.step_seconds
    with claim_tree(trees, specification.branch, specification.variant, wait_seconds) as tree:
        toolchain = find_toolchain(cache, tree.temporary)
        phases = Phases(toolchain.environment, specification.step_seconds, tree.home, echo)
        phases.require_place()
        making = _Making(specification, tree, output, toolchain, phases)
        return making.make(started)


@dataclass(slots=True)
class _Making:
    specification: InterpreterSpecification
    tree: Tree
    output: Path
    toolchain: Toolchain
    phases: Phases
    clean: bool = True
    fell_back: bool = False
    proof: Proof | None = None

    def make(self, started: float) -> InterpreterResult:
        """Build, falling back to a clean build where an incremental one fails; put what happened together."""
        status, detail, log_tail, artifact = InterpreterStatus.PROVEN, "", "", None
        try:
            artifact = self._build(self._fetch())
        except PhaseFailedError as failure:
            status, detail, log_tail = failure.status, failure.detail, failure.log_tail
            (self.output / ARCHIVE_NAME).unlink(missing_ok=True)
        return InterpreterResult(
            key=self.specification.key,
            status=status,
            detail=detail,
            clean_build=self.clean,
            fell_back=self.fell_back,
            phases=self.phases.done,
            seconds=round(time.monotonic() - started, 3),
            proof=self.proof,
            artifact=artifact,
            log_tail=log_tail,
        )

    def _wanted(self) -> Wanted:
        arguments = (*install.CONFIGURE, *self.specification.configure)
        return Wanted(self.specification.commit, arguments, self.toolchain.compiler)

    def _fetch(self) -> Plan:
        """Bring the commit, and decide how much of the last build can be used."""
        last, before = self.tree.last_built(), time.time()
        commit, tree = self.specification.commit, self.tree.source
        with self.phases.phase("fetch", InterpreterStatus.FETCH_FAILED) as commands:
            anew = source.bring_commit(commands, tree, self.specification.git, commit)
        changed = None if anew or not last else source.changed_paths(tree, last.wanted.commit, commit)
        youngest, after = source.youngest_date(tree), time.time()
        return plan_build(last, self._wanted(), Seen(changed, before, after, youngest))

    def _build(self, plan: Plan) -> Artifact:
        try:
            return self._fall_back(plan)
        except MachineError as error:
            if error.fault is not Fault.CCACHE:
                raise
        self.phases.environment = self.toolchain.without_ccache()
        return self._attempt(Plan.CLEAN)  # what was made with a failing ccache may be incomplete

    def _fall_back(self, plan: Plan) -> Artifact:
        try:
            return self._attempt(plan)
        except PhaseFailedError:
            if plan is Plan.CLEAN:
                raise
        self.fell_back = True
        return self._attempt(Plan.CLEAN)

    def _attempt(self, plan: Plan) -> Artifact:
        self.clean = plan is Plan.CLEAN
        self.tree.forget_built()
        if self.clean:
            self._configure()
        with self.phases.phase("compile", InterpreterStatus.COMPILE_FAILED) as commands:
            install.compile_all(commands, self.tree.source)
        with self.phases.phase("install", InterpreterStatus.INSTALL_FAILED) as commands:
            prefix = install.install(commands, self.tree.source, self.tree.staging)
        artifact = self._pack(prefix)
        self._prove(artifact)
        self.tree.save_built(Built(self._wanted(), time.time()))
        return artifact

    def _configure(self) -> None:
        log = self.tree.source / "config.log"
        with self.phases.phase("configure", InterpreterStatus.CONFIGURE_FAILED, evidence=log) as commands:
            source.remove_untracked(commands, self.tree.source)
            source.bring_dates_back(self.tree.source, time.time())
            install.configure(commands, self.tree.source, self._wanted().configure)

    def _pack(self, prefix: Path) -> Artifact:
        with self.phases.phase("pack", InterpreterStatus.INSTALL_FAILED):
            try:
                return pack_tree(prefix, self.output)
            except ValueError as error:
                raise CommandError(str(error)) from error

    def _prove(self, artifact: Artifact) -> None:
        """Prove what was packed, at a path that did not exist, with source and staging out of reach."""
        with self.phases.phase("prove", InterpreterStatus.PROVE_FAILED) as commands:
            try:
                unpack_artifact(self.output / ARCHIVE_NAME, artifact.digest, self.tree.proof)
                with self.tree.out_of_reach():
                    python = self.tree.proof / "bin" / "python3"
                    self.proof, wrong = prove_interpreter(
                        python,
                        self.phases.environment,
                        commands.log,
                        self.specification.step_seconds,
                        self.tree.proof_work,
                    )
            except ArchiveRejectedError as error:
                wrong = f"what was packed cannot be unpacked: {error}"
            finally:
                remove_tree(self.tree.proof)
            if wrong:
                raise CommandError(wrong)

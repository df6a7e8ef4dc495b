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
from pybots_worker.interpreters import install, jit, source
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.interpreters.machine import Fault, MachineError
from pybots_worker.interpreters.manifest import Digests, Manifest, describe_tree
from pybots_worker.interpreters.pack import (
    PackError,
    artifact_of,
    forget_packed,
    keep_tree,
    lay_out_packed,
    pack_new,
)
from pybots_worker.interpreters.phases import CommandError, Commands, PhaseFailedError, Phases
from pybots_worker.interpreters.plan import Built, Plan, Seen, Wanted, Way, plan_build
from pybots_worker.interpreters.prove import prove_interpreter
from pybots_worker.interpreters.replace import replace_files
from pybots_worker.interpreters.toolchain import Toolchain, ask_version, find_toolchain
from pybots_worker.interpreters.tree import Tree, claim_tree


def build_interpreter(
    specification: InterpreterSpecification, *, trees: Path, output: Path, cache: Path, echo: bool = True
) -> InterpreterResult:
    """Make the interpreter that is asked for; a proven one is packed in `output` (`pack.pack_tree`).

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
        digests = Digests(time.time() - _SETTLED_SECONDS)
        making = _Making(specification, tree, output, toolchain, phases, digests)
        return making.make(started)


_SETTLED_SECONDS = 0.5
"""What was changed so shortly before we look may change again without a later date."""
_CLEAN = Plan(Way.CLEAN, "what was made on top of the last build failed")


@dataclass(slots=True)
class _Making:
    specification: InterpreterSpecification
    tree: Tree
    output: Path
    toolchain: Toolchain
    phases: Phases
    digests: Digests
    clean: bool = True
    fell_back: bool = False
    proof: Proof | None = None
    pack_bytes: int = 0

    def make(self, started: float) -> InterpreterResult:
        """Build, falling back to a clean build where an incremental one fails; put what happened together."""
        status, detail, log_tail, artifact = InterpreterStatus.PROVEN, "", "", None
        try:
            artifact = self._build(self._fetch())
        except PhaseFailedError as failure:
            status, detail, log_tail = failure.status, failure.detail, failure.log_tail
            self.pack_bytes = 0
            forget_packed(self.output)
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
            pack_bytes=self.pack_bytes,
            log_tail=log_tail,
        )

    def _wanted(self) -> Wanted:
        arguments = (*install.CONFIGURE, *self.specification.configure)
        return Wanted(self.specification.commit, arguments, self.toolchain.compiler, install.method())

    def _fetch(self) -> Plan:
        """Bring the commit, and decide how much of the last build can be used."""
        last, before = self.tree.last_built(), time.time()
        commit, tree = self.specification.commit, self.tree.source
        with self.phases.phase("fetch", InterpreterStatus.FETCH_FAILED) as commands:
            anew = source.bring_commit(commands, tree, self.specification.git, commit)
        if self.specification.clean:
            return Plan(Way.CLEAN, "a clean build was asked for")
        changed = None if anew or not last else source.changed_paths(tree, last.wanted.commit, commit)
        youngest, after = source.youngest_date(tree), time.time()
        seen = Seen(
            changed, before, after, youngest, install.find_layout(tree), self._installed() if last else ""
        )
        return plan_build(last, self._wanted(), seen)

    def _installed(self) -> str:
        """The digest of the installed tree that was kept; empty where there is none that can be described."""
        prefix = install.installed_prefix(self.tree.staging)
        try:
            return describe_tree(prefix, self.digests).digest() if prefix.is_dir() else ""
        except ValueError:
            return ""

    def _build(self, plan: Plan) -> Artifact:
        self._require_tools()
        try:
            return self._fall_back(plan)
        except MachineError as error:
            if error.fault is not Fault.CCACHE:
                raise
        self.phases.environment = self.toolchain.without_ccache()
        return self._attempt(_CLEAN)  # what was made with a failing ccache may be incomplete

    def _require_tools(self) -> None:
        """What this machine lacks for a variant is said before anything is built, and is no commit's fault."""
        environment = self.phases.environment
        lacking = jit.what_is_lacking(
            self.tree.source, self.specification.configure, lambda program: ask_version(program, environment)
        )
        if lacking:
            raise PhaseFailedError(InterpreterStatus.UNFIT, f"not built here: {lacking}", "")

    def _fall_back(self, plan: Plan) -> Artifact:
        try:
            return self._attempt(plan)
        except PhaseFailedError:
            if plan.way is Way.CLEAN:
                raise
        self.fell_back = True
        return self._attempt(_CLEAN)

    def _attempt(self, plan: Plan) -> Artifact:
        self.clean = plan.way is Way.CLEAN
        self.tree.forget_built()
        library_only = plan.way in {Way.NOTHING, Way.REPLACE}
        prefix = self._replace(plan) if library_only else self._make_and_install(plan)
        manifest = self._pack(prefix)
        artifact = artifact_of(manifest)
        self._prove(prefix, artifact, library_only=library_only)
        self.tree.save_packed(manifest.sizes())
        self.tree.save_built(Built(self._wanted(), time.time(), artifact.digest))
        return artifact

    def _replace(self, plan: Plan) -> Path:
        prefix = install.installed_prefix(self.tree.staging)
        with self.phases.phase("replace", InterpreterStatus.INSTALL_FAILED) as commands:
            commands.say(f"{plan.way.value}: {plan.reason}")
            if plan.way is Way.REPLACE:
                library = install.find_library(prefix)
                replace_files(commands, self.tree.source, library, plan.files, self.tree.temporary)
        return prefix

    def _make_and_install(self, plan: Plan) -> Path:
        if self.clean:
            self._configure()
        tree = self.tree
        with self.phases.phase("compile", InterpreterStatus.COMPILE_FAILED) as commands:
            commands.say(f"{plan.way.value}: {plan.reason}")
            install.compile_all(commands, tree.source)
        with self.phases.phase("install", InterpreterStatus.INSTALL_FAILED) as commands:
            return install.install(commands, tree.source, tree.staging, tree.temporary)

    def _configure(self) -> None:
        log = self.tree.source / "config.log"
        with self.phases.phase("configure", InterpreterStatus.CONFIGURE_FAILED, evidence=log) as commands:
            source.remove_untracked(commands, self.tree.source)
            source.bring_dates_back(self.tree.source, time.time())
            install.configure(commands, self.tree.source, self._wanted().configure)

    def _pack(self, prefix: Path) -> Manifest:
        """Keep what is installed for the upload, and pack at once what the interpreter before it did not have."""
        with self.phases.phase("pack", InterpreterStatus.INSTALL_FAILED):
            try:
                manifest = keep_tree(prefix, self.output, self.digests)
            except ValueError as error:
                raise CommandError(str(error)) from error
            self.pack_bytes = pack_new(self.output, manifest, self.tree.last_packed())
            return manifest

    def _prove(self, prefix: Path, artifact: Artifact, *, library_only: bool) -> None:
        """Prove it at a path that did not exist, with source and staging out of reach.

        What was made by make is proven as it was packed. Where files of the library were replaced, writing 80 MB anew
        would take longer than all else together: what is installed is moved there, and back. Should it be written to
        meanwhile, the next build sees that by the digest of what is installed, and does not build upon it.
        """
        with self.phases.phase("prove", InterpreterStatus.PROVE_FAILED) as commands:
            try:
                if library_only:
                    prefix.rename(self.tree.proof)
                else:
                    lay_out_packed(self.output, artifact, self.tree.proof)
                wrong = self._prove_there(commands, library_only=library_only)
            except PackError as error:
                wrong = f"what was packed cannot be laid out: {error}"
            finally:
                if library_only:
                    self.tree.proof.rename(prefix)
                else:
                    remove_tree(self.tree.proof)
            if wrong:
                raise CommandError(wrong)

    def _prove_there(self, commands: Commands, *, library_only: bool) -> str:
        with self.tree.out_of_reach():
            self.proof, wrong = prove_interpreter(
                self.tree.proof / "bin" / "python3",
                self.phases.environment,
                commands.log,
                self.specification.step_seconds,
                self.tree.proof_work,
                library_only=library_only,
            )
        return wrong

"""Asks the registry what runs on an interpreter, and saves the runs as wanted."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from pybots.config.model import FarmConfiguration
from pybots.database import conditions
from pybots.database.tables import ArtifactRow, InterpreterRow, RunRow
from pybots.farm.addresses import addresses_of, packages_of
from pybots.farm.packed_sources import FolderRefused, pack_folder, refuse_outside, refuse_own
from pybots.farm.parts import Parts, all_tracks
from pybots.interpreters import records as interpreters
from pybots.registry.read import read_registry
from pybots.registry.registry import Registered, Registry
from pybots.registry.store import save_registry
from pybots.runs import records as runs
from pybots.runs.plan import source_of, specification_for
from pybots.runs.records import WantedRun
from pybots.runs.schedule import longest_first, run_key, runs_on
from pybots.verdicts.store_expected import report_expectations
from pybots_worker.contract import ArchiveSource, RunSpecification, Source, StoredInterpreter


@dataclass(frozen=True, slots=True)
class Offer:
    """A recipe, and where a worker finds its source."""

    registered: Registered
    source: Source


class Planner:
    """Plans the subject runs of registered projects; everything it saves, it saves once per key."""

    def __init__(self, parts: Parts, configuration: FarmConfiguration) -> None:
        self.parts = parts
        self.configuration = configuration
        self.addresses = addresses_of(configuration)

    def registry(self) -> Registry:
        """Read the recipes as they are now, and save what became of them."""
        registry = read_registry(self.parts.folder.relative(self.configuration.registry.folder))
        with self.parts.sessions.writing() as session:
            save_registry(session, registry, self.parts.clock())
            report_expectations(session, self.parts.clock())
        return registry

    def for_interpreter(self, key: str) -> list[WantedRun]:
        """Plan the first run of every project on the interpreter *key*, as requested by the caller."""
        offers = self._offers()
        with self.parts.sessions.writing() as session:
            row = session.scalars(select(InterpreterRow).where(InterpreterRow.key == key)).one_or_none()
            if row is None:
                return []
            return self._plan(session, offers, row, again=False, state="requested")

    def for_newest(self) -> list[WantedRun]:
        """Plan what the newest proven interpreter of each track has not run: a recipe that is new, say."""
        return self._on_newest(again=False)

    def again(self, branch: str = "") -> list[WantedRun]:
        """Plan one more run of every project on the newest proven interpreter of each track of *branch*, or of all."""
        return self._on_newest(again=True, branch=branch)

    def refresh(self, specification: RunSpecification) -> RunSpecification:
        """Return a planned run with the addresses that hold now: what was frozen is what runs, not where it lies."""
        changes: dict[str, object] = {"packages": packages_of(self.configuration, self.addresses)}
        if isinstance(specification.source, ArchiveSource):
            changes["source"] = self.addresses.source(specification.source.sha256)
        if isinstance(specification.interpreter, StoredInterpreter):
            changes["interpreter"] = self.addresses.interpreter(specification.interpreter.digest)
        return specification.model_copy(update=changes)

    def _on_newest(self, *, again: bool, branch: str = "") -> list[WantedRun]:
        offers = self._offers()
        planned: list[WantedRun] = []
        with self.parts.sessions.writing() as session:
            for track in all_tracks(self.configuration):
                if branch not in {"", track.branch}:
                    continue
                row = interpreters.newest_proven_on(session, track)
                if row is not None:
                    planned += self._plan(session, offers, row, again=again, state="wanted")
        return planned

    def _plan(
        self, session: Session, offers: list[Offer], row: InterpreterRow, *, again: bool, state: str
    ) -> list[WantedRun]:
        if row.artifact_id is None:
            return []
        track = interpreters.track_name(session, row.track_id)
        asked = {
            offer.registered.recipe.project.name: offer
            for offer in offers
            if runs_on(offer.registered.recipe, track)
        }
        planned = []
        for name in longest_first(asked, runs.seconds_before(session, row.track_id)):
            wanted = self._plan_run(session, asked[name], row, again=again, state=state)
            if wanted is not None:
                planned.append(wanted)
        return planned

    def _plan_run(
        self, session: Session, offer: Offer, row: InterpreterRow, *, again: bool, state: str
    ) -> WantedRun | None:
        project = offer.registered.recipe.project.name
        serial = runs.next_serial(session, project, row)
        if serial and (not again or self._unfinished(session, project, row, serial)):
            return None
        artifact = session.get_one(ArtifactRow, row.artifact_id)
        if artifact.removed_at is not None:
            # Its runs are asked for when it has been built again.
            interpreters.want_again(session, row, self.parts.clock())
            return None
        specification = specification_for(
            offer.registered,
            key=run_key(project, row.key, serial),
            source=offer.source,
            interpreter=self.addresses.interpreter(artifact.digest),
            packages=packages_of(self.configuration, self.addresses),
        )
        return runs.plan(
            session,
            specification=specification,
            interpreter=row,
            serial=serial,
            state=state,
            now=self.parts.clock(),
        )

    def _unfinished(self, session: Session, project: str, row: InterpreterRow, serial: int) -> bool:
        newest = session.scalars(
            select(RunRow.state).where(RunRow.key == run_key(project, row.key, serial - 1))
        ).one_or_none()
        return newest != "finished"

    def _offers(self) -> list[Offer]:
        """Return what can run, with its source; folders are packed here, before any transaction begins."""
        offers = []
        for registered in self.registry().recipes.values():
            name = f"source of {registered.recipe.project.name}"
            try:
                source = source_of(registered.recipe, folder_archive=self._archive(registered))
            except (OSError, FolderRefused) as error:
                self._degraded(name, f"{registered.file}: its folder cannot be packed: {error}")
                continue
            if registered.recipe.source.path:
                self._well(name)
            offers.append(Offer(registered, source))
        return offers

    def _archive(self, registered: Registered) -> ArchiveSource | None:
        path = registered.recipe.source.path
        if not path:
            return None
        folder = (registered.file.parent / path).resolve(strict=True)
        own, registry = self.parts.folder, self.configuration.registry
        passwords = [own.relative(worker.password_file) for worker in self.configuration.worker]
        refuse_own(folder, own.root, passwords)
        refuse_outside(folder, [own.root, *map(own.relative, (registry.folder, *registry.sources))])
        return self.addresses.source(pack_folder(folder, self.parts.folder.sources))

    def _degraded(self, name: str, text: str) -> None:
        with self.parts.sessions.writing() as session:
            conditions.begin(session, name, text, self.parts.clock())

    def _well(self, name: str) -> None:
        with self.parts.sessions.writing() as session:
            conditions.end(session, name)

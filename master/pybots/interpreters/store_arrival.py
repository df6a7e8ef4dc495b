"""Brings a proven artifact from what a worker uploaded into the store, and into the results database."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pybots.database.engine import Sessions
from pybots.interpreters import records
from pybots.interpreters.artifact_store import ArtifactStore, read_upload
from pybots_worker.contract import MANIFEST_FILE, PACK_FILE, Artifact, InterpreterResult
from pybots_worker.interpreters import file_stream
from pybots_worker.interpreters.manifest import Manifest


@dataclass(slots=True)
class Arrival:
    """A proven artifact on its way into the store. Its methods block, and may be repeated."""

    sessions: Sessions
    store: ArtifactStore
    incoming: Path
    clock: Callable[[], datetime]
    result: InterpreterResult
    artifact: Artifact
    added_bytes: int = 0
    asked: int = 0
    _manifest: Manifest | None = field(default=None, repr=False)  # Buildbot logs each step's arguments

    def manifest(self) -> Manifest:
        """Return the manifest that the worker uploaded, verified. Raises ArtifactRejected."""
        if self._manifest is None:
            self._manifest = read_upload(self.incoming / MANIFEST_FILE, self.artifact.digest)
        return self._manifest

    def lacking(self) -> tuple[list[str], int]:
        """Return the digests of the files that the store lacks, and how large a pack of them can be."""
        manifest = self.manifest()
        lacking, sizes = self.store.lacking(manifest), manifest.sizes()
        record = file_stream.HEADER_BYTES
        packed = sum(record + file_stream.largest_frame(sizes[digest]) for digest in lacking)
        return lacking, packed + len(file_stream.MAGIC) + len(file_stream.END)

    def take_in(self) -> None:
        """Take in the pack that the worker uploaded. Raises ArtifactRejected."""
        with (self.incoming / PACK_FILE).open("rb") as stream:
            self.added_bytes += self.store.take_in_files(stream, self.manifest())

    def save(self) -> None:
        """Store the manifest first and the row second: a row never names what is not there. Raises FilesMissing."""
        manifest = self.manifest()
        self.store.keep(manifest)
        # What the files take is in the manifest; what the worker says besides is not needed.
        artifact = self.artifact.model_copy(update={"tree_bytes": manifest.tree_bytes()})
        result = self.result.model_copy(update={"artifact": artifact})
        with self.sessions.writing() as session:
            records.finish(session, result, self.clock(), self.added_bytes)
        shutil.rmtree(self.incoming, ignore_errors=True)

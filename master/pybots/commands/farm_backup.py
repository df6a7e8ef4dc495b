"""Talks to a farm's folder: everything that cannot be made again goes into one file, and out of it."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import zstandard
from sqlalchemy import select, update

from pybots.config import last_good
from pybots.config.folder import FarmFolder
from pybots.config.model import FarmConfiguration
from pybots.database.copies import copy_in, copy_out
from pybots.database.engine import Sessions, open_engine
from pybots.database.migrate import migrate
from pybots.database.tables import ArtifactRow
from pybots.interpreters.artifact_store import ArtifactStore

FORMAT = 1
SAYS = "backup.json"
LARGEST_SAYS = 10_000_000
DATABASES = ("results", "buildbot")
_FOLDER = "folder"

Say = Callable[[str], None]


class BackupError(Exception):
    """A backup that cannot be made, read or restored; the text says why."""


@dataclass(frozen=True, slots=True)
class Says:
    """What a backup says of itself: the first member of its archive."""

    format: int
    pybots: str
    at: str
    databases: dict[str, str]
    """Key of [database] in farm.toml -> address, as it stands there."""
    store: str
    """Where the store was: it is not in the backup."""
    artifacts: list[str]
    """What it held, by digest."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came out of a backup."""

    folder: str
    at: str
    artifacts: int
    missing: int
    """How many of them the new store does not hold: they are built again when they are wanted."""


def back_up(root: Path, target: Path, say: Say) -> Says:
    """Write the farm in *root* to the new file *target*, while its master runs; raises BackupError, DatabaseError.

    Also ConfigurationError, OSError. *target* is there once it is whole, readable by its owner alone: passwords
    of workers are in it.
    """
    if target.exists():
        msg = f"{target} exists: a backup is a new file"
        raise BackupError(msg)
    folder, configuration = FarmFolder(root.absolute()), last_good.load(root).configuration
    urls = _urls(folder, configuration)
    held = sorted(ArtifactStore(folder.store).manifests())
    addresses = {name: getattr(configuration.database, name) for name in DATABASES}
    says = Says(FORMAT, version("pybots"), _now(), addresses, str(folder.store), held)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.absolute().parent) as work:
        for name, url in urls.items():
            say(f"copying the database of {name}")
            copy_out(url, Path(work, name))
        say("packing")
        part = Path(work, "whole")
        with _writing(part) as archive:
            _add_text(archive, SAYS, json.dumps(asdict(says)))
            for path in _files(folder, configuration):
                archive.add(path, f"{_FOLDER}/{path.relative_to(folder.root)}", recursive=False)
            for name in urls:
                archive.add(Path(work, name), name)
        os.replace(part, target)
    return says


def restore(source: Path, root: Path, store: Path | None, addresses: dict[str, str], say: Say) -> Restored:
    """Make the new folder *root* the farm that *source* is a backup of; raises BackupError, DatabaseError, OSError.

    *store* is copied (hard links where that is possible). *addresses* are of the databases where they are other ones
    than before. Nothing is left where it fails, but for what a PostgreSQL database got.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        msg = f"{root} is not empty: a farm is restored into a new folder"
        raise BackupError(msg)
    root = root.absolute()
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=root.parent) as work:
        unpacked = Path(work)
        say(f"unpacking {source}")
        says = _unpack(source, unpacked)
        folder = FarmFolder(unpacked / _FOLDER)
        for key, address in addresses.items():
            _readdress(folder, key, says.databases[key], address)
        configuration = last_good.load(folder.root).configuration
        for name, url in _urls(folder, configuration).items():
            say(f"filling the database of {name}")
            copy_in(unpacked / name, url)
        if store is not None:
            say(f"copying the store {store}")
            shutil.copytree(store, folder.store, copy_function=_linked)
        missing = _note_missing(folder, configuration, datetime.now(UTC))
        folder.root.chmod(0o755)
        if (folder.root / "secrets").is_dir():
            (folder.root / "secrets").chmod(0o700)
        os.replace(folder.root, root)
    return Restored(str(root), says.at, len(says.artifacts), missing)


def _urls(folder: FarmFolder, configuration: FarmConfiguration) -> dict[str, str]:
    return {name: folder.database_url(getattr(configuration.database, name)) for name in DATABASES}


def _files(folder: FarmFolder, configuration: FarmConfiguration) -> Iterator[Path]:
    """Give what people wrote: farm.toml, recipes, secrets; and the last good configuration."""
    recipes = folder.relative(configuration.registry.folder)
    passwords = [folder.relative(worker.password_file) for worker in configuration.worker]
    wanted = [folder.farm_toml, folder.root / last_good.SNAPSHOT, *passwords]
    wanted += [path for top in (recipes, folder.root / "secrets") for path in top.rglob("*")]
    for path in sorted({path.absolute() for path in wanted}):
        # What lies elsewhere is another folder's; farm.toml still names it.
        if path.is_file() and not path.is_symlink() and path.is_relative_to(folder.root):
            yield path
    packages = folder.relative(configuration.packages.folder).absolute()
    if packages.is_dir() and packages != folder.root and packages.is_relative_to(folder.root):
        yield packages  # the folder without its distributions: farm.toml is in order only where it exists


@contextmanager
def _writing(path: Path) -> Iterator[tarfile.TarFile]:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        os.fdopen(handle, "wb") as file,
        zstandard.ZstdCompressor(level=6).stream_writer(file, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        yield archive
        archive.close()
        packed.flush(zstandard.FLUSH_FRAME)
        file.flush()
        os.fsync(handle)


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def _unpack(source: Path, work: Path) -> Says:
    try:
        with (
            source.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file) as packed,
            tarfile.open(fileobj=packed, mode="r|") as archive,
        ):
            archive.extractall(work, filter="data")
        text = (work / SAYS).read_text()
        says = Says(**json.loads(text))
    except (zstandard.ZstdError, tarfile.TarError, FileNotFoundError, ValueError, TypeError) as error:
        msg = f"{source} is no backup of a farm, or not a whole one: {error}"
        raise BackupError(msg) from error
    if says.format != FORMAT:
        msg = f"{source} has format {says.format}, and this version of Pybots reads {FORMAT}"
        raise BackupError(msg)
    return says


def _readdress(folder: FarmFolder, key: str, before: str, now: str) -> None:
    """Write another address of a database into farm.toml, which keeps its comments."""
    text = folder.farm_toml.read_text()
    if text.count(f'"{before}"') != 1:
        msg = f"farm.toml in the backup does not name {key} = {before!r} once, so that it cannot be replaced"
        raise BackupError(msg)
    folder.farm_toml.write_text(text.replace(f'"{before}"', json.dumps(now)))


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _note_missing(folder: FarmFolder, configuration: FarmConfiguration, now: datetime) -> int:
    """Say of each artifact that the store does not hold that it is not there any more; return how many."""
    held = ArtifactStore(folder.store)
    engine = open_engine(folder.database_url(configuration.database.results))
    try:
        migrate(engine)
        with Sessions(engine).writing() as session:
            known = session.execute(
                select(ArtifactRow.id, ArtifactRow.digest).where(ArtifactRow.removed_at.is_(None))
            )
            gone = [number for number, digest in known if not held.holds(digest)]
            if gone:
                session.execute(update(ArtifactRow), [{"id": number, "removed_at": now} for number in gone])
    finally:
        engine.dispose()
    return len(gone)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""Talks to the file system about the replay's farm: configuration, passwords, recipes, a worker's fault."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from pybots.commands.demonstration.farm_folder import HOST, Ports, write_password
from pybots.commands.replay.events import Setting, at_revision
from pybots.commands.replay.read import Replay
from pybots.commands.replay.toml import toml_text
from pybots.config.files import write_atomically

REPOSITORY = "heads.git"
PASSWORDS = "passwords"
NAMES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FAULT_VARIABLE = "PYBOTS_WORKER_FAULT"
"""Names the file in which a worker finds what it suffers (`pybots_worker`); no such file, no fault."""


def worker_names(count: int) -> list[str]:
    """What the workers are called."""
    return [NAMES[number] if number < len(NAMES) else f"w{number + 1}" for number in range(count)]


class ReplayFolder:
    """The folder in which a replay's farm lives."""

    def __init__(self, root: Path, replay: Replay, platform: str) -> None:
        self.root = root
        self.replay = replay
        self.platform = platform
        self.workers = worker_names(replay.content.workers.count)

    @property
    def repository(self) -> Path:
        """Where the poller looks."""
        return self.root / REPOSITORY

    def variables(self) -> MappingProxyType[str, dict[str, str]]:
        """Return the workers' environment variables, by name."""
        return MappingProxyType({name: {FAULT_VARIABLE: str(self._fault(name))} for name in self.workers})

    def _fault(self, worker: str) -> Path:
        return self.root / "faults" / worker

    def write(self, ports: Ports, setting: Setting) -> None:
        """Write all that the farm is started with."""
        for worker in self.workers:
            write_password(self.root / PASSWORDS / worker)
        self.write_configuration(ports, setting)
        self.write_recipes(setting)
        self.write_fault(setting)

    def write_configuration(self, ports: Ports, setting: Setting) -> None:
        """Write farm.toml."""
        trunk = self.replay.content.trunk
        packages = self.replay.path(setting.packages) if setting.packages else None
        values: dict[str, object] = {
            "farm": {"name": f"Replay of {Path(self.replay.name).stem}"[:80], "url": ports.site_url},
            "trunk": {
                "git": REPOSITORY,
                "branches": [trunk.branch],
                "poll_seconds": 0.5,
                "first_commits": 1,
                "heads_only": True,
            },
            "variants": trunk.variants,
            "master": {
                "host": HOST,
                "workers_port": ports.workers,
                "operators_port": ports.operators,
                "store_port": ports.store,
            },
            "site": {"host": HOST, "port": ports.site},
            "registry": {"sources": self._sources()},
            "packages": {"offline": packages is not None, "folder": str(packages or "")},
            "worker": [
                {
                    "name": name,
                    "platform": self.platform,
                    "owner": "this machine",
                    "interpreters": number == 0,
                    "password_file": f"{PASSWORDS}/{name}",
                }
                for number, name in enumerate(self.workers)
            ],
        }
        text = "# Written by `pybots replay`.\n" + toml_text(values)
        write_atomically(self.root / "farm.toml", text.encode())

    def write_recipes(self, setting: Setting) -> None:
        """Write every recipe as it is at a head."""
        for name, registered in self.replay.recipes.items():
            revision = setting.revisions.get(name)
            recipe = at_revision(registered.recipe, revision, self._folder(name, revision))
            text = toml_text(recipe.model_dump(mode="json", exclude_unset=True))
            write_atomically(self.root / "projects" / f"{name}.toml", text.encode())

    def write_fault(self, setting: Setting) -> None:
        """Have the last worker suffer what it suffers at a head, or nothing."""
        file = self._fault(self.workers[-1])
        if setting.fault is None:
            file.unlink(missing_ok=True)
        else:
            write_atomically(file, f"{setting.fault}\n".encode())

    def _folder(self, project: str, revision: str | None) -> str:
        registered = self.replay.recipes[project]
        own = (registered.file.parent / registered.recipe.source.path).resolve()
        return str(self.replay.path(revision) if revision is not None else own)

    def _sources(self) -> Sequence[str]:
        found = {
            self._folder(name, event.revision)
            for name, registered in self.replay.recipes.items()
            if registered.recipe.source.path
            for event in self.replay.content.event
            if event.project == name and event.revision is not None
        }
        own = {self._folder(name, None) for name, r in self.replay.recipes.items() if r.recipe.source.path}
        return sorted(found | own)

"""Decides what a worker is asked to run for a recipe."""

from __future__ import annotations

from pybots.registry.recipe import Recipe
from pybots.registry.registry import Registered
from pybots_worker.contract import (
    ArchiveSource,
    FolderSource,
    GitSource,
    Interpreter,
    Packages,
    PypiSource,
    RunSpecification,
    Source,
)


def specification_for(
    registered: Registered, *, key: str, source: Source, interpreter: Interpreter, packages: Packages
) -> RunSpecification:
    """Return the run of *registered* on *interpreter* that resolves its environment anew.

    One environment serves installation and suite; where both tables set a variable, the suite's value holds.
    """
    recipe = registered.recipe
    deselected = [test for group in recipe.deselect for test in group.tests]
    return RunSpecification(
        key=key,
        project=recipe.project.name,
        source=source,
        interpreter=interpreter,
        requirements=recipe.install.requirements,
        extras=recipe.install.extras,
        groups=recipe.install.groups,
        install=recipe.install.steps,
        build_isolation=recipe.install.build_isolation,
        environment={**recipe.install.environment, **recipe.test.environment},
        directory=recipe.test.directory,
        network=recipe.run.network,
        service=recipe.service,
        command=recipe.test.command,
        report=recipe.test.report,
        deselected=deselected,
        packages=packages,
        limits=recipe.limits,
    )


def source_of(recipe: Recipe, *, folder_archive: ArchiveSource | FolderSource | None) -> Source:
    """Return where a worker finds the project's source; *folder_archive* stands for a recipe's own folder.

    Raises ValueError where the recipe names a folder and *folder_archive* is None.
    """
    source = recipe.source
    if source.pypi:
        return PypiSource(name=source.pypi, version=source.version)
    if source.git:
        return GitSource(url=source.git, ref=source.ref)
    if folder_archive is None:
        msg = f"{recipe.project.name}: the folder {source.path!r} has to be handed out before it can be run"
        raise ValueError(msg)
    return folder_archive

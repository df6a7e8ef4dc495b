from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pybots.commands import new_farm
from pybots.commands.main import main
from pybots.commands.new_farm import Choices, make_farm
from pybots.config.problems import ConfigurationError
from pybots.config.read import read_farm
from pybots.registry.read import read_registry
from pybots.registry.read_shipped import shipped_recipes


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["init", *map(str, arguments)])


def left_beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir() if path != folder)


def test_a_new_farm_is_good_as_it_stands(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "farm"
    result = run(folder, "--git", "https://example.org/cpython.git", "--branch", "main", "--branch", "3.15")
    assert result.exit_code == 0, result.output
    farm = read_farm(folder)
    assert farm.trunk.git == "https://example.org/cpython.git"
    assert farm.trunk.branches == ["main", "3.15"]
    assert [worker.interpreters for worker in farm.worker] == [True, False]
    assert sorted(path.name for path in folder.iterdir()) == ["farm.toml", "master", "projects", "secrets"]
    assert left_beside(folder) == []
    assert "pybots start" in result.output


def test_passwords_are_random_and_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "farm"
    assert run(folder, "--workers", "3").exit_code == 0
    files = sorted((folder / "secrets").iterdir())
    assert len({file.read_text() for file in files}) == 3
    assert all(len(file.read_text().strip()) >= 32 for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((folder / "secrets").stat().st_mode) == 0o700
    assert [worker.password_file for worker in read_farm(folder).worker] == [
        f"secrets/{file.name}" for file in files
    ]


def test_recipes_come_along_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "shipped.toml"
    shipped.write_text("x = 1\n")
    monkeypatch.setattr(new_farm, "shipped_recipes", lambda: [shipped])
    assert run(tmp_path / "with", "--with-projects").exit_code == 0
    assert run(tmp_path / "without").exit_code == 0
    assert [path.name for path in (tmp_path / "with" / "projects").iterdir()] == ["shipped.toml"]
    assert not list((tmp_path / "without" / "projects").iterdir())


def test_what_ships_is_good() -> None:
    folders = {recipe.parent for recipe in shipped_recipes()}
    for folder in folders:
        assert read_registry(folder).problems() == []


def test_an_empty_folder_is_taken_and_stays_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "farm"
    folder.mkdir()
    before = folder.stat().st_ino
    assert run(folder).exit_code == 0
    assert folder.stat().st_ino == before
    assert read_farm(folder)
    assert left_beside(folder) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("farm.toml", "is a farm already"), ("other", "is not empty (other); name a new folder")],
)
def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, name: str, said: str) -> None:
    folder = tmp_path / "farm"
    folder.mkdir()
    (folder / name).write_text("mine")
    result = run(folder)
    assert result.exit_code == 1
    assert said in result.output
    assert [path.read_text() for path in folder.iterdir()] == ["mine"]


def test_a_file_and_a_dangling_link_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        result = run(tmp_path / name)
        assert (result.exit_code, "is not a folder" in result.output) == (1, True)


def test_choices_that_no_farm_takes_leave_nothing(tmp_path: Path) -> None:
    result = run(tmp_path / "farm", "--branch=--upload-pack=x")
    assert result.exit_code == 2
    assert "item 1 of `branches` in [trunk]" in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("odd", ['quo"te', "back\\slash", "new\nline", "ünï"])
def test_odd_texts_arrive_as_they_are(tmp_path: Path, odd: str) -> None:
    make_farm(tmp_path / "farm", Choices(git=odd))
    assert read_farm(tmp_path / "farm").trunk.git == odd


def test_a_failure_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_folder: Path) -> None:
        raise ConfigurationError([])

    monkeypatch.setattr(new_farm, "read_farm", fail)
    with pytest.raises(ConfigurationError):
        make_farm(tmp_path / "farm", Choices())
    assert not list(tmp_path.iterdir())


def test_bad_use(tmp_path: Path) -> None:
    assert run().exit_code == 2
    assert run(tmp_path / "farm", "--workers", "0").exit_code == 2

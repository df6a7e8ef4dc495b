from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pybots.config.problems import ConfigurationError
from pybots.registry.read import LARGEST, read_recipe, read_registry

RECIPE = """\
[project]
name = "{name}"
contacts = ["a@example.org"]
[source]
pypi = "example"
[test]
command = ["{{python}}", "-m", "pytest", "--junitxml={{report}}"]
report = "junit"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    projects = tmp_path / "projects"
    projects.mkdir()
    write(projects, "good")
    return projects


def write(folder: Path, name: str, text: str = RECIPE, file: str = "") -> Path:
    path = folder / (file or f"{name}.toml")
    path.write_text(text.format(name=name))
    return path


def reasons(folder: Path) -> dict[str, str]:
    """What is set aside and why; the good one is always used."""
    registry = read_registry(folder)
    assert "good" in registry.recipes
    return {aside.name: aside.reason for aside in registry.set_aside}


def test_a_good_one_is_registered_with_its_digest(folder: Path) -> None:
    registry = read_registry(folder)
    registered = registry.recipes["good"]
    assert registered.digest == hashlib.sha256((folder / "good.toml").read_bytes()).hexdigest()
    assert registered.file == folder / "good.toml"
    assert registry.problems() == []


def test_a_bad_one_is_set_aside_with_file_line_and_reason(folder: Path) -> None:
    write(folder, "bad", RECIPE.replace("report =", "reprt ="))
    write(folder, "worse", "[project\n")
    assert reasons(folder) == {
        "bad": "projects/bad.toml:6: [test] needs `report`; The report that the command writes\n"
        "projects/bad.toml:8: unknown key `reprt` in [test]; did you mean `report`?",
        "worse": "projects/worse.toml:1: Expected ']' at the end of a table declaration, at column 9; "
        "this is not TOML",
    }


def test_a_recipe_called_otherwise_than_its_file(folder: Path) -> None:
    write(folder, "other", file="file.toml")
    assert reasons(folder) == {
        "file": "projects/file.toml:2: the project is called 'other', the file 'file.toml'; "
        "call the file other.toml"
    }


def test_two_with_one_name_are_both_set_aside(folder: Path) -> None:
    write(folder, "twin")
    write(folder, "twin", file="again.toml")
    found = reasons(folder)
    assert set(found) == {"twin", "again"}
    assert "2 recipes are called 'twin' and all are set aside: again.toml, twin.toml" in found["twin"]


def test_odd_things_in_the_folder(folder: Path) -> None:
    (folder / "directory.toml").mkdir()
    (folder / "loop.toml").symlink_to("loop.toml")
    (folder / "dangling.toml").symlink_to("nothing")
    (folder / "binary.toml").write_bytes(b'a = "x"\nb = "\xff\xfe"\n')
    (folder / "large.toml").write_bytes(b"#" * (LARGEST + 1))
    (folder / "deep.toml").write_text("a = " + "[" * 50_000)
    os.mkfifo(folder / "pipe.toml")
    (folder / ".#good.toml").symlink_to("somebody@somewhere")
    (folder / "README.md").write_text("# Projects")
    found = reasons(folder)
    assert set(found) == {"directory", "loop", "dangling", "binary", "large", "deep", "pipe"}
    assert found["binary"].startswith("projects/binary.toml:2: this is not UTF-8")
    assert found["large"] == f"projects/large.toml: it is larger than {LARGEST} bytes"


def test_a_link_to_a_recipe_elsewhere_is_read(folder: Path) -> None:
    elsewhere = write(folder.parent, "linked")
    (folder / "linked.toml").symlink_to(elsewhere)
    assert "linked" in read_registry(folder).recipes


def test_a_path_is_relative_to_the_recipe_and_exists(folder: Path) -> None:
    write(folder, "local", RECIPE.replace('pypi = "example"', 'path = "source"'))
    assert "source is not a folder" in reasons(folder)["local"]
    (folder / "source").mkdir()
    assert "local" in read_registry(folder).recipes


def test_a_folder_that_cannot_be_read_says_nothing_of_any_project(tmp_path: Path) -> None:
    registry = read_registry(tmp_path / "missing")
    assert registry.recipes == {}
    assert registry.problems() == [f"{tmp_path}/missing: No such file or directory: no recipe can be read"]


def test_one_recipe_by_itself(folder: Path) -> None:
    assert read_recipe(folder / "good.toml").recipe.project.name == "good"
    with pytest.raises(ConfigurationError, match=r"x\.toml:2: the project is called 'other'"):
        read_recipe(write(folder, "other", file="x.toml"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300)
    | st.text(max_size=300).map(lambda text: text.encode(errors="ignore"))
    | st.tuples(st.integers(0, len(RECIPE)), st.text(max_size=5)).map(
        lambda cut: (RECIPE[: cut[0]] + cut[1] + RECIPE[cut[0] :]).encode(errors="ignore")
    )
)
def test_nothing_in_a_file_stops_the_others(folder: Path, content: bytes) -> None:
    (folder / "any.toml").write_bytes(content)
    registry = read_registry(folder)
    assert "good" in registry.recipes
    for aside in registry.set_aside:
        assert aside.name == "any"
        assert "cannot be read" not in aside.reason, "something that we did not foresee"

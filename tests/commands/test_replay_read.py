"""A replay's FILE: what is read, and that every mistake is named with its file, its line and what to do."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from pybots.commands.replay.command import replay
from pybots.commands.replay.events import Setting, at_revision, settings
from pybots.commands.replay.file import Fault, ReplayEvent
from pybots.commands.replay.read import Replay, read_replay
from pybots.commands.replay.toml import toml_text
from pybots.config.problems import ConfigurationError
from pybots.registry.recipe import Recipe

PLATFORM = "linux-x86_64-glibc"
GOOD = """\
[trunk]
git = "cpython"
variants = { default = [], debug = ["--with-pydebug"] }
heads = ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"]
[[project]]
recipe = "recipes/sits.toml"
[[project]]
recipe = "recipes/runs.toml"
[[event]]
at_head = 1
project = "sits"
revision = "sources/newer"
[[event]]
at_head = 1
packages = "sources"
[[event]]
at_head = 2
worker_fault = "disk-full"
[workers]
count = 3
"""
RECIPE = """\
[project]
name = "{name}"
contacts = ["a@example.org"]
[source]
{source}
[test]
command = ["{{python}}", "-m", "pybots_unittest"]
report = "unittest"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources" / "newer").mkdir(parents=True)
    (tmp_path / "sources" / "first").mkdir()
    (tmp_path / "recipes").mkdir()
    for name, source in (("sits", 'path = "../sources/first"'), ("runs", 'pypi = "runs"')):
        (tmp_path / "recipes" / f"{name}.toml").write_text(RECIPE.format(name=name, source=source))
    return tmp_path


def read(folder: Path, text: str = GOOD) -> Replay:
    (folder / "replay.toml").write_text(text)
    return read_replay(folder / "replay.toml", PLATFORM)


def test_what_is_read(folder: Path) -> None:
    replay = read(folder)
    assert list(replay.recipes) == ["sits", "runs"]
    assert replay.content.workers.count == 3
    assert replay.content.event[2].worker_fault is Fault.DISK_FULL
    assert replay.path("sources/newer") == folder / "sources" / "newer"


def test_what_may_be_left_out(folder: Path) -> None:
    content = read(folder, '[trunk]\ngit = "g"\nheads = ["aaaaaaa"]\n').content
    assert (content.trunk.variants, content.trunk.branch) == ({"default": []}, "main")
    assert (content.project, content.event, content.workers.count) == ([], [], 2)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("git =", "gti =", 2, "did you mean `git`?"),
        ('"aaaaaaaaaaaa"', '"AAAA"', 4, "7 to 40 hexadecimal digits"),
        ('["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"]', "[]", 4, "at least 1"),
        ("recipes/runs.toml", "recipes/walks.toml", 8, "is not a file; give the path of a recipe"),
        ("recipes/runs.toml", "recipes/sits.toml", 8, "'sits' is here twice"),
        ("at_head = 2", "at_head = 3", 17, "there is no head 3: the heads are 0 to 2"),
        ('project = "sits"', 'project = "sit"', 11, "did you mean 'sits'?"),
        ("sources/newer", "sources/newest", 12, "is not a folder"),
        (
            'packages = "sources"',
            'packages = "source"',
            15,
            "is not a folder; give one relative to this file",
        ),
        ('packages = "sources"', 'revision = "1"', 15, "add project = ..."),
        ('packages = "sources"', "", 13, "gives none of revision, packages and worker_fault"),
        ('"disk-full"', '"disk-ful"', 18, "did you mean `disk-full`?"),
        ('worker_fault = "disk-full"', 'worker_fault = "disk-full"\npackages = "sources"', 18, "exactly one"),
        (
            "at_head = 2\nworker_fault",
            "at_head = 1\npackages = 'sources'\n#",
            16,
            "another event like this one",
        ),
        ("count = 3", "count = 0", 20, "greater than or equal to 1"),
        ("[workers]", "[worker]", 19, "did you mean `workers`?"),
    ],
)
def test_a_mistake_is_named(folder: Path, old: str, new: str, line: int, words: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(ConfigurationError) as caught:
        read(folder, GOOD.replace(old, new))
    said = [str(problem) for problem in caught.value.problems]
    assert any(text.startswith(f"{folder / 'replay.toml'}:{line}: ") and words in text for text in said), said


def test_a_version_goes_with_pypi(folder: Path) -> None:
    text = GOOD.replace('project = "sits"\nrevision = "sources/newer"', 'project = "runs"\nrevision = "new"')
    with pytest.raises(ConfigurationError, match=r"replay.toml:12: 'new' is not a version; runs's recipe"):
        read(folder, text)


def test_a_recipes_own_mistakes_are_named(folder: Path) -> None:
    (folder / "recipes" / "runs.toml").write_text("[project]\nname = 'runs'\nsumary = 'x'\n")
    with pytest.raises(ConfigurationError, match=r"runs\.toml:3: unknown key `sumary`"):
        read(folder)


def test_a_recipe_that_never_runs_is_named(folder: Path) -> None:
    with (folder / "recipes" / "runs.toml").open("a") as file:
        file.write("[tracks]\nvariants = ['jit']\n")
    with pytest.raises(ConfigurationError, match=r"replay\.toml:7: runs runs on none of main · default"):
        read(folder)


def event(head: int, **facts: str) -> ReplayEvent:
    return ReplayEvent.model_validate({"at_head": head, **facts})


def test_what_holds_at_each_head() -> None:
    events = [
        event(2, project="a", revision="2"),
        event(1, project="a", revision="1"),
        event(1, project="b", revision="x"),
        event(1, packages="p"),
        event(1, worker_fault="network-lost"),
    ]
    assert settings(events, 4) == [
        Setting(),
        Setting({"a": "1", "b": "x"}, "p", Fault.NETWORK_LOST),
        Setting({"a": "2", "b": "x"}, "p"),
        Setting({"a": "2", "b": "x"}, "p"),
    ]


@pytest.mark.parametrize(
    ("source", "revision", "becomes"),
    [
        ('pypi = "runs"\nversion = "1"', None, {"pypi": "runs", "version": "1"}),
        ('pypi = "runs"\nversion = "1"', "2", {"pypi": "runs", "version": "2"}),
        ('git = "g"\nref = "v1"', "v2", {"git": "g", "ref": "v2"}),
        ('path = "../there"', None, {"path": "/folder"}),
    ],
)
def test_a_recipe_at_a_revision(source: str, revision: str | None, becomes: dict[str, str]) -> None:
    recipe = Recipe.model_validate(tomllib.loads(RECIPE.format(name="runs", source=source)))
    written = toml_text(at_revision(recipe, revision, "/folder").model_dump(mode="json", exclude_unset=True))
    assert tomllib.loads(written)["source"] == becomes
    assert Recipe.model_validate(tomllib.loads(written)).test == recipe.test


def test_what_is_written_is_what_was_meant() -> None:
    values = {
        "text": 'a "quoted" \\ line\n\x7f\x00 ünïcode \U0001f40d',
        "odd key.": {"none": None, "list": [1, 2.5, True, "x", {"a": []}]},
    }
    assert tomllib.loads(toml_text(values)) == {
        "text": values["text"],
        "odd key.": {"list": [1, 2.5, True, "x", {"a": []}]},
    }


def test_bad_use_is_told_before_anything_is_made(folder: Path) -> None:
    (folder / "replay.toml").write_text(GOOD.replace("git =", "gti ="))
    farm = folder / "farm"
    told = CliRunner().invoke(
        replay, [str(folder / "replay.toml"), "--dir", str(farm), "--json", str(folder / "out.json")]
    )
    assert told.exit_code == 2
    assert "replay.toml:2: unknown key `gti`" in told.output
    assert not farm.exists()


def test_a_folder_that_holds_something_is_refused(folder: Path) -> None:
    (folder / "replay.toml").write_text(GOOD)
    told = CliRunner().invoke(
        replay, [str(folder / "replay.toml"), "--dir", str(folder), "--json", str(folder / "out.json")]
    )
    assert told.exit_code == 2
    assert "is not empty; give --dir a folder that is new" in told.output
